"""Many stages at a time, on real Ray clusters of this machine: the same results and the same dvc.lock as one after the other."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner
from members import Member, contents
from project import copy
from test_resume import PARAMS, USUAL, write_data
from toy_pipeline import AUTHORITY, FEW, STAGES, alive, begun, copied, finished, head, order, second_node, starts, toy, waited

from lib.parallel import lockfile, session
from stages import train_jr

pytestmark = pytest.mark.cluster
RESULTS = ("data", "models", "results", "report")
PARALLEL = "python -m tools.parallel"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A Ray cluster of two nodes that see the same files, the first with two GPUs that nobody computes on."""
    with head(cpus=4, gpus=2) as found, second_node(found, cpus=3):
        yield found


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Member:
    """The project after a serial run: to compare with, not to change."""
    return finished(tmp_path_factory)


def test_a_run_leaves_what_a_serial_run_leaves(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    """Even if the process that passes on what the logs say is killed; nothing of Ray stays."""
    serial, parallel = finished(tmp_path_factory, seeds=[0]), toy(tmp_path, seeds=[0])
    ordered = order(parallel, "prepare", "wait")
    with begun(parallel, f"{PARALLEL} --workers 2") as driver:
        waited_for(parallel, "prepare")
        next(one for one in psutil.Process(driver.pid).children(recursive=True) if "ray::_Queue" in " ".join(one.cmdline())).kill()
        ordered.unlink()
        said = driver.communicate(timeout=200)[0]
    assert "5 stages ran, 0 came from the cache, 0 were up to date" in said, said
    waited(lambda: not session.members(driver.pid))
    assert (parallel.folder / "dvc.lock").read_bytes() == (serial.folder / "dvc.lock").read_bytes()
    assert contents(parallel.folder, RESULTS) == contents(serial.folder, RESULTS)
    assert "Data and pipelines are up to date" in parallel.do("dvc status")
    assert parallel.do("git status --porcelain").split() == ["??", "dvc.lock", "??", "report/"]
    assert starts(parallel) == dict.fromkeys(FEW, 1)
    assert "0 stages ran, 0 came from the cache, 5 were up to date" in parallel.do(PARALLEL)


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


TRAINING = """
stages:
  train-jr:
    cmd: python -m stages.train_jr JR 0 --images images.h5 --out models/JR
    deps: [images.h5]
    params: [jr, model, training]
    outs: [models/JR]
"""
EPOCHS = 40


@pytest.fixture
def training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Member:
    """A project of one real training."""
    owner = Member(tmp_path / "home", tmp_path / "work", environment=AUTHORITY | {"DEVICE": "cpu"})
    owner.folder.mkdir()
    copy(owner.folder)
    monkeypatch.chdir(owner.folder)
    monkeypatch.setenv("DEVICE", "cpu")
    write_data()
    settings = "jr: {JR: {lambda_j: 0.3, form: half_squared, projections: 1, reduction: sample}}\n"
    (owner.folder / "params.yaml").write_text(PARAMS.format(**{**USUAL, "epochs": EPOCHS, "selection": "last"}) + settings)
    (owner.folder / "dvc.yaml").write_text(TRAINING)
    (owner.folder / "resources.yaml").write_text("default: {cpus: 1, gpus: 0, memory: 0}\n")
    (owner.folder / ".gitignore").write_text("/models/\n/.resume/\n/.logs/\n__pycache__/\nimages.h5\ntargets.h5\n")
    owner.do("git init -q && dvc init -q -f && git add -A && git commit -qm start")
    return owner


def test_a_training_whose_worker_is_killed_resumes(training: Member, address: str) -> None:
    straight = CliRunner().invoke(train_jr.main, ["JR", "0", "--images", "images.h5", "--out", "straight"])
    assert straight.exit_code == 0, straight.output
    with begun(training, f"python -m tools.parallel --address {address}") as driver:
        waited(lambda: any((training.folder / ".resume").rglob("*.safetensors")))
        stage = at_work(training)
        next(one for one in stage.parents() if one.cmdline()[0].startswith("ray::")).kill()
        waited(lambda: not alive(stage.pid), seconds=10)
        said = driver.communicate(timeout=120)[0]
    assert driver.returncode == 0 and "1 stages ran" in said, said
    assert "up to date" in training.do("dvc status")
    log = next((training.folder / ".logs").rglob("train-jr.log")).read_text()
    resumed = re.search(r"training resumes at epoch (\d+)", log)
    assert resumed is not None and 1 < int(resumed[1]) <= EPOCHS, log
    for name in ("weights.safetensors", "history.csv"):
        assert (training.folder / "models/JR" / name).read_bytes() == (training.folder / "straight" / name).read_bytes()


def at_work(owner: Member) -> psutil.Process:
    """The process that trains in the folder of `owner`, a fork with the name of its command."""
    found = psutil.process_iter(["name", "cwd"])
    return next(one for one in found if one.info["name"] == "stages.train_jr" and one.info["cwd"] == str(owner.folder))
