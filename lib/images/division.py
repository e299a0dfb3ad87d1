"""Random rows for each split, stratified by class, as a seed says."""

import numpy as np

from lib.base.errors import require


def choose_rows(labels: np.ndarray, wanted: dict[str, int], generator: np.random.Generator, pool: str) -> dict[str, np.ndarray]:
    """Disjoint random rows of `pool` for every split in `wanted`, each split and each prefix of it stratified.

    A split of n images has n·share of each class, rounded up or down. Its first k rows have, of a class with the share s, k·s
    within (1 + K·s) / 2 images, K being the number of classes: within one image if the classes are equally large.

    Args:
        labels: (N,) class of each image of the pool.
        wanted: number of images per split.
        pool: how the pool is called in the sentence that refuses to take more images than it has.
    """
    total = sum(wanted.values())
    asked = " + ".join(f"data.{name}" for name in wanted)
    require(total <= len(labels), f"{asked} ask for {total} images, {pool} has {len(labels)}")
    piles = [generator.permutation(np.flatnonzero(labels == label)) for label in range(int(labels.max()) + 1)]
    shares = class_shares(np.array([len(pile) for pile in piles]), np.array(list(wanted.values())), generator)
    parts = [np.split(pile, np.cumsum(share)) for pile, share in zip(piles, shares.T, strict=True)]
    return {name: interleave([part[index] for part in parts], generator) for index, name in enumerate(wanted)}


def class_shares(sizes: np.ndarray, counts: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """How many images of each class (K,) each split (S,) gets, (S, K): the exact shares, rounded up or down (Cox 1987).

    Such a rounding, with the given row sums and no class taken more often than it occurs, always exists: it is a vertex of a
    transportation polytope, whose vertices are all integers.

    >>> class_shares(np.array([60, 20]), np.array([40, 8]), np.random.default_rng(0))
    array([[30, 10],
           [ 6,  2]])
    """
    from scipy.optimize import linprog  # here, because it takes half a second

    total = sizes.sum()
    rows = np.append(counts, total - counts.sum())  # the last row is what no split takes
    exact = np.outer(rows, sizes)
    bounds = np.stack([exact // total, -(-exact // total)], axis=-1).reshape(-1, 2)
    sums = np.vstack([np.kron(np.eye(len(rows)), np.ones(len(sizes))), np.kron(np.ones(len(rows)), np.eye(len(sizes)))])
    costs = generator.random(exact.size)  # random costs make the optimum unique, so that it does not depend on the solver
    solution = linprog(costs, A_eq=sums, b_eq=np.append(rows, sizes), bounds=bounds, method="highs-ds")
    return np.rint(solution.x).astype(np.int64).reshape(exact.shape)[:-1]


def interleave(parts: list[np.ndarray], generator: np.random.Generator) -> np.ndarray:
    """Merge the rows of each class so that they alternate as their numbers demand (Webster's method), ties in random order.

    >>> interleave([np.array([0, 1, 2, 3]), np.array([8])], np.random.default_rng(0))
    array([0, 1, 8, 2, 3])
    """
    rows = np.concatenate(parts)
    position = np.concatenate([(np.arange(len(part)) + 0.5) / max(len(part), 1) for part in parts])
    return rows[np.lexsort((generator.random(len(rows)), position))]
