"""What was measured of the input-logits Jacobians of all models of one seed, image by image, in HDF5.

Layout: attributes `seed`, `reference` and `images_digest`, that of the train split; `rows` (n,) of it and one group per model (row of the
table) with `label_norm` and `other_norm` (n,), `cosine_reference` (n,) and, for students with targets, `cosine_target` (n,); `maps`
(m, C, H, W), the label-logit gradients of the first m of those images, for pictures.
"""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from lib.base import h5
from lib.base.errors import require
from lib.base.image_file import Split

KIND = "gradients"
COSINE = (-1.001, 1.001)  # rounding in float32, over as many values as a large image has
LIMITS = {"label_norm": (0, np.inf), "other_norm": (0, np.inf), "cosine_reference": COSINE, "cosine_target": COSINE, "maps": ()}


@dataclass(frozen=True)
class Gradients:
    """One model: norms in logits per unit of pixel intensity, cosines in [-1, 1]; `cosine_target` is None without targets."""

    label_norm: np.ndarray
    other_norm: np.ndarray
    cosine_reference: np.ndarray
    cosine_target: np.ndarray | None
    maps: np.ndarray


def write(path: Path, seed: int, reference: str, images_digest: str, rows: np.ndarray, models: dict[str, Gradients]) -> None:
    """Write the measurements of every model of one `seed` on `rows` of the train split with that digest; `reference` names the target set
    of `cosine_reference`."""
    nbytes = rows.nbytes + sum(values.nbytes for measured in models.values() for values in vars(measured).values() if values is not None)
    with h5.writing(path, KIND, nbytes=nbytes) as file:
        h5.tell(file, seed=seed, reference=reference, images_digest=images_digest)
        file["rows"] = rows
        for name, measured in models.items():
            group = file.create_group(f"models/{name}")
            for key, values in vars(measured).items():
                if values is not None:
                    group[key] = values


def read(path: Path) -> tuple[int, np.ndarray, dict[str, Gradients]]:
    """Seed, rows and the measurements by model; raises `InputError` for another file, and for values that no gradient can have."""
    with h5.reading(path, KIND) as file:
        rows, outer = h5.array(file, "rows", path), h5.group(file, "models", path)
        plain = rows.ndim == 1 and rows.dtype.kind in "iu"
        require(plain, f"{path}: rows must be whole numbers (n,), got {rows.shape} {rows.dtype}")
        models = {name: _gradients(h5.group(outer, name, path), len(rows), path) for name in outer}
        return h5.attribute(file, "seed", path, int), rows, models


def require_images(path: Path, train: Split) -> None:
    """Raise `InputError` unless the file was made from these train images."""
    with h5.reading(path, KIND) as file:
        told, now = h5.attribute(file, "images_digest", path), train.digest
        require(told == now, f"{path} was made from other images (digest {told[:12]}, the train split has {now[:12]})")


def _gradients(group: h5py.Group, count: int, path: Path) -> Gradients:
    names = [name for name in LIMITS if name != "cosine_target" or name in group]
    found = {name: h5.numbers(group, name, path, *LIMITS[name]) for name in names}
    for name, values in found.items():
        fits = values.ndim == 4 and len(values) <= count if name == "maps" else values.shape == (count,)
        require(fits, f"{path}: {name} of {group.name} does not belong to {count} rows, it has the shape {values.shape}")
    return Gradients(**{"cosine_target": None, **found})  # type: ignore[arg-type]
