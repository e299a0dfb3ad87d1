"""The robust radii of every row, from whatever files of outcomes there are."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lib.evaluation.outcome_file import Outcomes
from lib.report import grid
from lib.report.results import together

Place = tuple[str, str]  # row and norm


@dataclass(frozen=True)
class Radii:
    """The robust radius of every image of one row in one norm, (seeds, n), finite; `images` says which these are."""

    seeds: tuple[int, ...]
    values: np.ndarray
    images: tuple[str, bytes]

    @cached_property
    def mean(self) -> float:
        """Over images and seeds."""
        return float(self.values.mean())


def of(outcomes: Iterable[Outcomes]) -> dict[Place, Radii]:
    """The radii under all attacks together, of every row whose seeds were all evaluated on the same images."""
    by_seed: dict[Place, dict[int, tuple[np.ndarray, tuple[str, bytes]]]] = {}
    for (row, seed), files in sorted(_by_network(outcomes).items()):
        images = files[0].images_digest, files[0].rows.tobytes()
        for norm in files[0].radii:
            by_seed.setdefault((row, norm), {})[seed] = together(files, norm).capped.astype(float), images
    same = {place: seeds for place, seeds in by_seed.items() if len({images for _, images in seeds.values()}) == 1}
    return {place: _radii(seeds) for place, seeds in same.items()}


def _by_network(outcomes: Iterable[Outcomes]) -> dict[tuple[str, int], list[Outcomes]]:
    """(row, seed) -> everything that was found on this network, the evaluation first; networks without an evaluation are left out."""
    networks: dict[tuple[str, int], list[Outcomes]] = {}
    for file in sorted(outcomes, key=lambda file: grid.what(file) != grid.EVALUATION):
        networks.setdefault((file.row, file.seed), []).append(file)
    return {place: files for place, files in networks.items() if grid.what(files[0]) == grid.EVALUATION}


def _radii(by_seed: dict[int, tuple[np.ndarray, tuple[str, bytes]]]) -> Radii:
    return Radii(tuple(by_seed), np.stack([values for values, _ in by_seed.values()]), next(iter(by_seed.values()))[1])
