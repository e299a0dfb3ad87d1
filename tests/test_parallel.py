"""Many stages at a time, on real Ray clusters of this machine: the same results and the same dvc.lock as one after the other."""

import os
import re
import signal
from pathlib import Path

import psutil
import pytest
from members import Member, contents
from toy_pipeline import FEW, STAGES, alive, begun, copied, finished, order, starts, toy, waited

from lib.parallel import lockfile, session

RESULTS = ("data", "models", "results", "report")
PARALLEL = "python -m tools.parallel"


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Member:
    """The project after a serial run: to compare with, not to change."""
    return finished(tmp_path_factory)


def test_a_run_leaves_what_a_serial_run_leaves(serial: Member, tmp_path: Path) -> None:
    """Even if the process that passes on what the logs say is killed; nothing of Ray stays."""
    parallel = toy(tmp_path)
    ordered = order(parallel, "prepare", "wait")
    with begun(parallel, f"{PARALLEL} --workers 2") as driver:
        waited_for(parallel, "prepare")
        next(one for one in psutil.Process(driver.pid).children(recursive=True) if "ray::_Queue" in " ".join(one.cmdline())).kill()
        ordered.unlink()
        said = driver.communicate(timeout=200)[0]
    assert "8 stages ran, 0 came from the cache, 0 were up to date" in said, said
    waited(lambda: not session.members(driver.pid))
    assert (parallel.folder / "dvc.lock").read_bytes() == (serial.folder / "dvc.lock").read_bytes()
    assert contents(parallel.folder, RESULTS) == contents(serial.folder, RESULTS)
    assert "Data and pipelines are up to date" in parallel.do("dvc status")
    assert parallel.do("git status --porcelain").split() == ["??", "dvc.lock", "??", "report/"]
    assert starts(parallel) == dict.fromkeys(STAGES, 1)
    assert "0 stages ran, 0 came from the cache, 8 were up to date" in parallel.do(PARALLEL)


def test_only_what_depends_on_an_edit_runs(serial: Member, address: str, tmp_path: Path) -> None:
    owner = copied(serial, tmp_path)
    (owner.folder / "params.yaml").write_text("rows: {a: 1, b: 2}\n")
    said = owner.do(f"{PARALLEL} --address {address} train@b-0 measure@1")
    # What train@b-1 writes does not depend on the parameter: what follows from it is up to date.
    assert "2 stages ran, 0 came from the cache, 3 were up to date" in said
    assert {stage for stage, count in starts(owner).items() if count == 2} == {"train@b-0", "train@b-1"}
    assert [line for line in owner.do("git diff -U0 dvc.lock").splitlines() if re.match(r"[+-] ", line)] == 2 * [
        "-        rows.b: 1",
        "+        rows.b: 2",
    ]
    (owner.folder / "params.yaml").write_text("rows: {a: 1, b: 1}\n")
    assert "0 stages ran, 2 came from the cache, 6 were up to date" in owner.do(f"{PARALLEL} --address {address}")


def test_a_stage_that_fails_stops_only_what_depends_on_it(address: str, tmp_path: Path) -> None:
    owner = toy(tmp_path, seeds=[0])
    ordered = order(owner, "train@b-0", "fail")
    said = owner.fails(f"{PARALLEL} --address {address}")
    assert "2 stages ran" in said and "FAILED: train@b-0" in said
    assert "measure@0 was left out: needs train@b-0" in said and "report was left out: needs measure@0" in said
    assert "    Error: expected something better for train@b-0" in said
    ordered.unlink()
    assert "3 stages ran, 0 came from the cache, 2 were up to date" in owner.do(f"{PARALLEL} --address {address}")
    assert starts(owner) == dict.fromkeys(FEW, 1) | {"train@b-0": 2}


def test_a_step_whose_worker_dies_is_tried_again(address: str, tmp_path: Path) -> None:
    owner = toy(tmp_path, seeds=[0])
    ordered = order(owner, "train@b-0", "wait")
    with begun(owner, f"{PARALLEL} --address {address}") as driver:
        stage = waited_for(owner, "train@b-0")
        worker = next(one for one in psutil.Process(stage).parents() if "ray::" in one.name() or "ray::" in " ".join(one.cmdline()))
        worker.kill()
        waited(lambda: not alive(stage), seconds=10)
        ordered.unlink()
        said = driver.communicate(timeout=120)[0]
    assert driver.returncode == 0 and "5 stages ran" in said, said
    assert starts(owner) == dict.fromkeys(FEW, 1) | {"train@b-0": 2}
    assert "up to date" in owner.do("dvc status")


def test_a_driver_that_was_killed_goes_on_where_it_stood(tmp_path_factory: pytest.TempPathFactory, address: str, tmp_path: Path) -> None:
    """All of the Ray that it started ends with it, agents and stages too."""
    owner = toy(tmp_path, seeds=[0])
    ordered = order(owner, "train@b-0", "wait")
    with begun(owner, f"{PARALLEL} --workers 2 --force") as driver:
        stage = waited_for(owner, "train@b-0")
        waited(lambda: len(list((owner.folder / lockfile.NOTES).glob("*.yaml"))) == 2)  # all that does not depend on it
        refused = owner.fails(f"{PARALLEL} --address {address}")
        assert refused.strip().endswith(f"is at work in {owner.folder}; wait until it is done, or stop it"), refused
        assert f"Error: process {driver.pid} on " in refused
        assert len(session.members(driver.pid)) > 5
        os.kill(driver.pid, signal.SIGKILL)
        waited(lambda: not alive(stage) and not session.members(driver.pid), seconds=30)
    ordered.unlink()
    assert "3 stages ran, 0 came from the cache, 2 were up to date" in owner.do(f"{PARALLEL} --address {address}")
    assert starts(owner) == dict.fromkeys(FEW, 1) | {"train@b-0": 2}
    serial = finished(tmp_path_factory, seeds=[0])
    assert (owner.folder / "dvc.lock").read_bytes() == (serial.folder / "dvc.lock").read_bytes()


def waited_for(owner: Member, stage: str) -> int:
    """The process of a stage, as soon as it is at work."""
    seen = owner.folder / ".seen" / stage
    waited(lambda: seen.exists() and seen.read_text().endswith("\n"))
    return int(seen.read_text().split()[0])


def test_two_nodes_share_a_folder_and_steps_share_gpus(serial: Member, address: str, tmp_path: Path) -> None:
    """Both measure at the same time, and neither node has the cores for two; four train on the two GPUs of the first."""
    owner = toy(tmp_path)
    table = "default: {cpus: 1, gpus: 0, memory: 0}\ntrain: {cpus: 1, gpus: 0.5, memory: 0}\nmeasure: {cpus: 3, gpus: 0, memory: 0}\n"
    (owner.folder / "resources.yaml").write_text(table + "report: {cpus: 2, gpus: 2, memory: 0}\n")
    orders = [order(owner, stage, "wait") for stage in STAGES if stage not in ("prepare", "report")]
    with begun(owner, f"{PARALLEL} --address {address}") as driver:
        for kind in ("train", "measure"):
            for path in [path for path in orders if path.name.startswith(kind)]:
                waited_for(owner, path.name)
            for path in [path for path in orders if path.name.startswith(kind)]:
                path.unlink()
        said = driver.communicate(timeout=120)[0]
    assert driver.returncode == 0 and "8 stages ran" in said, said
    assert (owner.folder / "dvc.lock").read_bytes() == (serial.folder / "dvc.lock").read_bytes()
    assert contents(owner.folder, RESULTS) == contents(serial.folder, RESULTS)
    seen = {stage: tuple((owner.folder / ".seen" / stage).read_text().split()[1:]) for stage in STAGES}  # devices, threads, processes
    assert sorted(told for stage, told in seen.items() if stage.startswith("train")) == [(gpu, "1", "1") for gpu in "0011"]
    assert seen["measure@0"] == seen["measure@1"] == ("none", "3", "1") and seen["prepare"] == ("none", "1", "1")
    assert seen["report"] in {("0,1", "2", "2"), ("1,0", "2", "2")}
