"""The seeds of a variant side by side, each in a process of its own with one thread.

Networks of the quick scale keep one core busy and hardly profit from a second one. One thread each also makes the numbers independent of
how many cores there are.
"""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import torch

from lib.base import lifetime

Found = TypeVar("Found")


def of_each(function: Callable[[int], Found], seeds: Sequence[int]) -> dict[int, Found]:
    """`function(seed)` by seed, as many at a time as there are `cores`. More would push each other out of the caches: six processes on two
    cores took 1.3 times as long as two. The processes are forked, so this one must not have used a GPU or a thread of torch before.

    >>> of_each(abs, [-1, 2])
    {-1: 1, 2: 2}
    """
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(min(cores(), len(seeds)), mp_context=fork, initializer=_begin, initargs=(os.getpid(),)) as pool:
        return dict(zip(seeds, pool.map(function, seeds), strict=True))


def _begin(stage: int) -> None:
    lifetime.end_with(stage)
    torch.set_num_threads(1)


def cores() -> int:
    """How many cores this stage may keep busy: OMP_NUM_THREADS, its share where several stages run side by side, or all there are."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdecimal() and int(told) > 0 else len(os.sched_getaffinity(0))
