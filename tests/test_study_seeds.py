"""The seeds of a variant: how many run side by side, and that nothing depends on it."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_pipeline import alive, waited

from lib.studies import seeds


@pytest.mark.parametrize("told, expected", [("1", 1), ("3", 3), ("", None), ("many", None), ("0", None)])
def test_a_stage_keeps_as_many_cores_busy_as_it_is_given(monkeypatch, told, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert seeds.cores() == (expected or len(os.sched_getaffinity(0)))


def test_one_core_means_one_process_beside_this_one(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = set(seeds.of_each(process, [0, 1, 2]).values())
    assert len(found) == 1 and os.getpid() not in found


@pytest.mark.parametrize("cores", ["1", "2", "3"])
def test_what_a_seed_gives_does_not_depend_on_how_many_run_side_by_side(monkeypatch, cores):
    monkeypatch.setenv("OMP_NUM_THREADS", cores)
    found = seeds.of_each(drawn, [2, 0, 1])
    assert list(found) == [2, 0, 1]
    for seed, values in found.items():
        assert np.array_equal(values, drawn(seed))


def test_no_seed_outlives_its_stage(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    stage = os.fork()
    if stage == 0:
        seeds.of_each(busy, [0, 1])
    waited(lambda: len(list(tmp_path.iterdir())) == 2)
    os.kill(stage, signal.SIGKILL)
    os.waitpid(stage, 0)
    waited(lambda: not any(alive(int(path.name)) for path in tmp_path.iterdir()))


def busy(seed: int) -> None:
    Path(str(os.getpid())).touch()
    time.sleep(600)


def process(seed: int) -> int:
    return os.getpid()


def drawn(seed: int) -> np.ndarray:
    """A sum of floats, which several threads would round in another way."""
    torch.manual_seed(seed)
    return torch.randn(64, 64).matmul(torch.randn(64, 64)).numpy()
