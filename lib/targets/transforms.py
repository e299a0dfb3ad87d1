"""From saliency maps to target interpretations: threshold and permutation, pure functions of numpy arrays, one map at a time."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from lib.base import per_image_rng
from lib.base.errors import require

RULES = ("fraction", "probability")


@dataclass(frozen=True)
class Threshold:
    """Section `threshold`: which values of a map are erased (Sec. 3.1), and when.

    phi: how many standard deviations around the map's mean; ddof: what is taken off their divisor, D - ddof.
    when: "before" the random crop and flip of training, or "after" them, on every batch anew (the authors' code, CIFAR-10).
    exceptions: target sets, <teacher>_<method>, with a phi of their own; None leaves their maps as they are.
    """

    phi: float
    ddof: int = 1
    when: Literal["before", "after"] = "before"
    exceptions: dict[str, float | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for phi in (self.phi, *self.exceptions.values()):
            require(phi is None or phi > 0, f"phi must be positive, got {phi}")
        require(self.ddof in (0, 1), f"ddof must be 0 or 1, got {self.ddof}")

    def phi_of(self, name: str) -> float | None:
        """The phi of the target set called `name`.

        >>> Threshold(1.0, exceptions={"NR_simple": None}).phi_of("NR_simple") is None
        True
        """
        return self.exceptions.get(name, self.phi)


def thresholded(maps: np.ndarray, phi: float | None, settings: Threshold) -> np.ndarray:
    """Maps as their target file holds them: as they are without a phi, or where the threshold is left to whoever uses them."""
    return maps if phi is None or settings.when == "after" else threshold(maps, phi, settings.ddof)


def finished(provenance: dict, maps: np.ndarray) -> np.ndarray:
    """Maps (N, C, H, W) of a target file as a student would see them without augmentation: thresholded, if that was left for later."""
    step = provenance.get("threshold", {})
    pending = step.get("when") == "after" and step["phi"] is not None
    return threshold(maps, step["phi"], step["ddof"]) if pending else maps


def threshold(maps: np.ndarray, phi: float, ddof: int = 1) -> np.ndarray:
    """Zero every value inside [mean - phi std, mean + phi std] of its own map, over all channels (Sec. 3.1).

    Args:
        maps: (N, C, H, W).
        phi: number of standard deviations.
        ddof: their divisor is D - ddof; 1 is torch's default and the authors' code.

    >>> threshold(np.array([[[[0.0, 0.0, 0.0, 1.0]]]]), 1.0)
    array([[[[0., 0., 0., 1.]]]])
    >>> threshold(np.array([[[[5.0, 5.0, 5.0, 9.0]]]]), 2.0)
    array([[[[0., 0., 0., 0.]]]])
    """
    flat = maps.reshape(len(maps), -1)
    mean, spread = flat.mean(1, dtype=np.float64, keepdims=True), flat.std(1, dtype=np.float64, ddof=ddof, keepdims=True)
    kept = np.abs(flat - mean) > phi * spread
    return np.where(kept, flat, 0).astype(maps.dtype).reshape(maps.shape)


@dataclass(frozen=True)
class Permutation:
    """`fraction` of the pixels of each map change places; `seed` and the `replication` (which seed's targets) choose which.

    rule: "fraction" chooses exactly that share of the pixels, "probability" each pixel by itself with that probability.
    """

    fraction: float
    seed: int
    replication: int
    rule: Literal["fraction", "probability"] = "fraction"

    def __post_init__(self) -> None:
        number = isinstance(self.fraction, (int, float)) and not isinstance(self.fraction, bool)
        require(number and 0 <= self.fraction <= 1, f"fraction must be a number in [0, 1], got {self.fraction!r}")
        require(type(self.seed) is int and self.seed >= 0, f"permute.seed must be a non-negative integer, got {self.seed!r}")
        require(self.rule in RULES, f"permute.rule must be one of {', '.join(RULES)}, got {self.rule!r}")


def permute(maps: np.ndarray, rows: Iterable[int], settings: Permutation) -> np.ndarray:
    """Let some of each map's values change places among themselves (Sec. 4.4).

    By the rule "fraction" floor(fraction * D) positions are chosen, by "probability" a random number of them; the chosen are shuffled,
    and a value may fall back on its own place. Each map keeps its values, so its mean and deviation; its permutation depends on the
    settings and its row alone.

    Args:
        maps: (N, C, H, W); channels are permuted together with pixels.
        rows: the N row numbers.
    """
    result = maps.reshape(len(maps), -1).copy()
    stream = f"permute {settings.replication} {float(settings.fraction)!r}"
    for values, row in zip(result, rows, strict=True):
        random = per_image_rng.generator(settings.seed, stream, row)
        chosen = _chosen(result.shape[1], settings, random)
        values[chosen] = values[random.permutation(chosen)]
    return result.reshape(maps.shape)


def _chosen(places: int, settings: Permutation, random: np.random.Generator) -> np.ndarray:
    if settings.rule == "probability":
        return np.flatnonzero(random.random(places) < settings.fraction)
    return random.choice(places, int(settings.fraction * places), replace=False)
