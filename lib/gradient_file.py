"""What was measured of the input-logits Jacobians of all models of one seed, image by image, in HDF5.

Layout: `rows` (n,) of the train split and one group per model (row of the table) with `label_norm` and `other_norm` (n,),
`cosine_reference` (n,) and, for students with targets, `cosine_target` (n,); `maps` (m, C, H, W), the label-logit gradients of
the first m of those images, for pictures.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.base import h5

KIND = "gradients"


@dataclass(frozen=True)
class Gradients:
    """One model: norms in logits per unit of pixel intensity, cosines in [-1, 1]; `cosine_target` is None without targets."""

    label_norm: np.ndarray
    other_norm: np.ndarray
    cosine_reference: np.ndarray
    cosine_target: np.ndarray | None
    maps: np.ndarray


def write(path: Path, seed: int, reference: str, rows: np.ndarray, models: dict[str, Gradients]) -> None:
    """Write the measurements of every model of one `seed`; `reference` names the target set of `cosine_reference`."""
    nbytes = rows.nbytes + sum(values.nbytes for measured in models.values() for values in vars(measured).values() if values is not None)
    with h5.writing(path, KIND, nbytes=nbytes) as file:
        h5.tell(file, seed=seed, reference=reference)
        file["rows"] = rows
        for name, measured in models.items():
            group = file.create_group(f"models/{name}")
            for key, values in vars(measured).items():
                if values is not None:
                    group[key] = values


def read(path: Path) -> tuple[int, np.ndarray, dict[str, Gradients]]:
    """Seed, rows and the measurements by model."""
    with h5.reading(path, KIND) as file:
        rows = h5.array(file, "rows", path)
        models = {name: _gradients(group, path) for name, group in file["models"].items()}
        return int(h5.attribute(file, "seed", path)), rows, models


def _gradients(group, path: Path) -> Gradients:
    target = h5.array(group, "cosine_target", path) if "cosine_target" in group else None
    label, other, reference = (h5.array(group, name, path) for name in ("label_norm", "other_norm", "cosine_reference"))
    return Gradients(label, other, reference, target, h5.array(group, "maps", path))
