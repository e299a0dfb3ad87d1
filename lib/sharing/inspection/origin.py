"""Whether a target file comes from where it says: from these images, these weights, and by this method.

Everything here is asked of files from strangers. Weights are read from safetensors and methods are found by their name among the
project's own files, so nothing of theirs is executed.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.base import image_file, params
from lib.base.errors import require
from lib.network import checkpoint, runtime
from lib.sharing.inspection import comparison, recomputed, streams
from lib.sharing.inspection.comparison import Distances
from lib.sharing.inspection.recomputed import Recipe
from lib.targets.extraction import teachers
from lib.targets.target_file import Header

ACCURACY = {"clean": 0.01, "robust": 0.05}  # the attack starts from other noise on other devices
ALIKE = 0.999
# Where a ReLU or a maximum is at its kink, rounding decides between two gradients. Between single and double precision, which differ like
# two devices, 4 of 2,000 simple gradients of the quick scale were more than 0.01 of their norm apart, one of them 0.11. The nearest map
# of another image is 0.28 away, and one more sample, or sigma 0.16 for 0.15, moves every SmoothGrad map by more than 0.02.
SELDOM, KINK = 100, 0.2


@dataclass(frozen=True)
class _Stated:
    """What lib/targets/extraction/teachers.py writes into a provenance."""

    images: int
    norm: str
    epsilon: float
    step_size: float
    steps: int
    split: str
    clean: float
    robust: float


@dataclass(frozen=True)
class Sample:
    """Maps of the file beside those that were made again: `rows` (n,) of the split, `distances` of n pairs, of `total` in the file.

    exchanged: rows whose map was made again for another row of the sample.
    """

    rows: np.ndarray
    distances: Distances
    exchanged: dict[int, int]
    total: int

    def in_words(self) -> str:
        """What was compared, and how close the worst map is."""
        known = self.distances.cosines[~np.isnan(self.distances.cosines)]
        worst = f"worst cosine {known.min():.6f}" if len(known) else "all are zero"
        relative, largest = self.distances.relative.max(), self.distances.largest.max()
        start = f"{len(self.rows)} of {self.total} maps made again"
        return f"{start}: {worst}, off by at most {relative:.2g} of a map's norm and {largest:.2g} in a value"

    def require_close(self, path: Path, tolerance: float) -> None:
        """Raise `InputError` unless the maps are what was made again, up to rounding.

        Each must be within `tolerance`, relative to its norm; but one in a hundred may be off by up to `KINK`.
        """
        relative, cosines = self.distances.relative, self.distances.cosines
        far, seldom = int((relative > tolerance).sum()), -(-len(relative) // SELDOM)
        worst = int(relative.argmax())
        moved = next(iter(self.exchanged.items()), None)
        hint = "" if moved is None else f"; row {moved[0]} holds the map of row {moved[1]}: rows were permuted"
        most = f"row {self.rows[worst]} most (cosine {cosines[worst]:.4f}, off by {relative[worst]:.2g} of its norm)"
        good = far <= seldom and relative[worst] <= max(tolerance, KINK)
        require(good, f"{path}: {far} of {len(relative)} maps are not what the provenance gives, {most}{hint}")


def weights(path: Path, header: Header, model: Path) -> str:
    """Whether the weights in the folder `model` are those that the provenance names."""
    named, found = header.provenance["teacher"]["weights_sha256"], checkpoint.digest(model)
    require(named == found, f"{path} was made from other weights (SHA-256 {str(named)[:12]}, those of {model} are {found[:12]})")
    return f"SHA-256 {found[:12]}, as the provenance names them"


def accuracy(path: Path, header: Header, images: Path, model: Path) -> str:
    """Whether the teacher's accuracies are those that the provenance states, measured again in the same way."""
    where = f"{path}: provenance.teacher"
    teacher, size = header.provenance["teacher"], recomputed.whole(header.provenance["saliency"], "batch_size", where, least=1)
    stated = params.parse(_Stated, teacher["accuracy"], f"{where}.accuracy")
    seed = recomputed.whole(teacher, "seed", where)
    plan = params.parse(teachers.Accuracy, {name: getattr(stated, name) for name in teachers.Accuracy.__dataclass_fields__}, where)
    network, validation = checkpoint.read(model, runtime.start(seed, "analysis")), image_file.read(images, "validation")
    found = teachers.measured(network, validation, plan, size, seed)
    before, now = (", ".join(f"{name} {100 * one[name]:.1f} %" for name in ACCURACY) for one in (vars(stated), found))
    near = all(abs(getattr(stated, name) - found[name]) <= allowed for name, allowed in ACCURACY.items())
    require(near, f"{path}: the provenance states that the teacher's accuracy is {before}, measured again it is {now}")
    return f"{now}, measured again on {found['images']} validation images"


def sample(path: Path, header: Header, images: Path, model: Path | None, rows: int, random: np.random.Generator) -> Sample:
    """Make `rows` or more maps of the file again, in whole passes that are drawn by `random`."""
    with ExitStack() as stack:
        train = stack.enter_context(image_file.opened(images, "train"))
        _, maps = stack.enter_context(streams.opened(path))
        network = None if model is None else checkpoint.read(model, runtime.start(0, "analysis"))
        recipe = recomputed.recipe(path, header, train, network)
        start = maps.place.first
        passes = recipe.passes(range(start, start + len(maps)), maps.place.total)
        require(bool(passes), f"{path} holds no whole pass of {recipe.size} images, so none can be made again")
        count = min(len(passes), -(-rows // recipe.size))
        chosen = [passes[place] for place in sorted(random.choice(len(passes), count, replace=False))]
        pairs = [
            (maps[one.start - start : one.stop - start], _nearest(recipe, one, maps[one.start - start : one.stop - start]))
            for one in chosen
        ]
    stored, again = (np.concatenate(part) for part in zip(*pairs))
    places = np.concatenate([np.arange(one.start, one.stop) for one in chosen])
    return Sample(places, comparison.distances(stored, again), _exchanged(stored, again, places), len(maps))


def _nearest(recipe: Recipe, rows: range, stored: np.ndarray) -> np.ndarray:
    """What is made again, where a value next to the threshold may be on either side of it."""
    low, high = recipe.bounds(rows)
    return np.where(np.abs(stored - low) <= np.abs(stored - high), low, high)


def _exchanged(stored: np.ndarray, again: np.ndarray, rows: np.ndarray) -> dict[int, int]:
    """Rows whose stored map points the way of another row's, and not of their own."""
    one, other = (maps.reshape(len(maps), -1).astype(np.float64) for maps in (stored, again))
    lengths = [np.maximum(np.linalg.norm(flat, axis=1), np.finfo(float).tiny) for flat in (one, other)]
    cosines = (one / lengths[0][:, None]) @ (other / lengths[1][:, None]).T
    best = cosines.argmax(1)
    moved = np.flatnonzero((cosines[np.arange(len(rows)), best] > ALIKE) & (cosines.diagonal() < ALIKE))
    return {int(rows[place]): int(rows[best[place]]) for place in moved}
