"""What a study measured of one variant, image by image, in HDF5.

Layout: attribute `variant`; one group per seed with `clean` (n,) of all test images, `robust` and `paper` (m,) of the first m under the
strict and the paper's attack, `radius_l2` and `radius_linf` (m,), `label_norm` and `cosine_reference` (k,) of train images,
`cosine_target` (k,) for networks with targets, attribute `validation_loss`, and whatever else the variant's procedure noted as numbers
in `notes`.
"""

from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from lib.base import h5

KIND = "measures"
SHARE, COSINE = (0, 1), (-1.001, 1.001)  # rounding in float32, over as many values as a large image has
LENGTH = (0, np.inf)
LIMITS: dict[str, tuple[float, float]] = dict.fromkeys(("clean", "robust", "paper"), SHARE)
LIMITS |= dict.fromkeys(("radius_l2", "radius_linf", "label_norm"), LENGTH) | dict.fromkeys(("cosine_reference", "cosine_target"), COSINE)


@dataclass(frozen=True)
class Measures:
    """One network: outcomes per test image (0 or 1; a share of the runs for `paper`), robust radii, finite, in units of
    pixel intensity, norms in logits per unit of pixel intensity."""

    clean: np.ndarray
    robust: np.ndarray
    paper: np.ndarray
    radius_l2: np.ndarray
    radius_linf: np.ndarray
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
            for name in LIMITS:
                if getattr(found, name) is not None:
                    group[name] = np.asarray(getattr(found, name), np.float32)
            h5.tell(group, validation_loss=found.validation_loss)
            notes = group.create_group("notes")
            for name, value in found.notes.items():
                notes.attrs[name] = value


def read(path: Path) -> tuple[str, dict[int, Measures]]:
    """Variant and measures by seed; raises `InputError` for another file, and for values that cannot be."""
    with h5.reading(path, KIND) as file:
        seeds = h5.numbered(file, "seeds", path)
        return h5.attribute(file, "variant", path), {seed: _measures(group, path) for seed, group in seeds.items()}


def _measures(group: h5py.Group, path: Path) -> Measures:
    arrays = {name: h5.numbers(group, name, path, *LIMITS[name]) for name in LIMITS if name != "cosine_target" or name in group}
    notes = h5.group(group, "notes", path)
    told = {name: h5.attribute(notes, name, path, float) for name in notes.attrs}
    loss = h5.attribute(group, "validation_loss", path, float)
    return Measures(**{"cosine_target": None, **arrays}, validation_loss=loss, notes=told)  # type: ignore[arg-type]
