"""What a study measured of one variant, image by image, in HDF5.

Layout: attribute `variant`; one group per seed with `clean` (n,) of all test images, `robust` and `paper` (m,) of the first m under the
strict and the paper's attack, `label_norm` and `cosine_reference` (k,) of train images, `cosine_target` (k,) for networks with targets,
attribute `validation_loss`, and whatever else the variant's procedure noted as numbers in `notes`.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lib.base import h5

KIND = "measures"
ARRAYS = ("clean", "robust", "paper", "label_norm", "cosine_reference")


@dataclass(frozen=True)
class Measures:
    """One network: outcomes per test image (0 or 1; a share of the runs for `paper`), norms in logits per unit of pixel intensity."""

    clean: np.ndarray
    robust: np.ndarray
    paper: np.ndarray
    label_norm: np.ndarray
    cosine_reference: np.ndarray
    cosine_target: np.ndarray | None
    validation_loss: float
    notes: dict[str, float] = field(default_factory=dict)


def write(path: Path, variant: str, seeds: dict[int, Measures]) -> None:
    """Write what was measured of `variant`, by seed."""
    with h5.writing(path, KIND) as file:
        h5.tell(file, variant=variant)
        for seed, found in seeds.items():
            group = file.create_group(f"seeds/{seed}")
            for name in ARRAYS:
                group[name] = np.asarray(getattr(found, name), np.float32)
            if found.cosine_target is not None:
                group["cosine_target"] = np.asarray(found.cosine_target, np.float32)
            h5.tell(group, validation_loss=found.validation_loss)
            notes = group.create_group("notes")
            for name, value in found.notes.items():
                notes.attrs[name] = value


def read(path: Path) -> tuple[str, dict[int, Measures]]:
    """Variant and measures by seed."""
    with h5.reading(path, KIND) as file:
        return str(h5.attribute(file, "variant", path)), {int(seed): _measures(group, path) for seed, group in file["seeds"].items()}


def _measures(group, path: Path) -> Measures:
    arrays = {name: h5.array(group, name, path) for name in ARRAYS}
    own = h5.array(group, "cosine_target", path) if "cosine_target" in group else None
    notes = {name: float(value) for name, value in group["notes"].attrs.items()}
    return Measures(**arrays, cosine_target=own, validation_loss=float(h5.attribute(group, "validation_loss", path)), notes=notes)
