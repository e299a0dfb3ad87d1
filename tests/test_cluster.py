"""Nodes with clones of their own, a training whose worker is killed, and SLURM's script: real Ray clusters, a real S3 server."""

import os
import re
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner
from members import Member, contents
from project import ROOT, copy
from remotes import serving
from test_resume import PARAMS, USUAL, write_data
from toy_pipeline import AUTHORITY, FEW, begun, finished, head, order, starts, toy, waited

from stages import train_jr

RESULTS = ("data", "models", "results", "report")


def test_two_clones_meet_in_a_remote(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    """The second node has a clone of its own, in another folder; results travel through an S3 server."""
    serial = finished(tmp_path_factory, seeds=[0])
    with serving("s3", tmp_path) as remote, head(cpus=1, environment=remote.environment) as address:
        one = toy(tmp_path / "one", remote.environment, seeds=[0])
        one.do(f"dvc remote add -q -d store {remote.url} && git commit -qam remote")
        one.configure("repo", remote.shared)
        one.do("git commit -qam 'Where the store is'")
        two = Member(tmp_path / "two", tmp_path / "elsewhere", environment=AUTHORITY | remote.environment)
        two.clone(one.folder)
        (two.folder / "lib").unlink()
        (two.folder / "lib").symlink_to(ROOT / "lib")
        with begun(two, f"python -m tools.node {address} --cpus 1") as node:
            assert node.stdout is not None and any("Ray runtime started" in line for line in node.stdout)
            alone = one.fails(f"python -m tools.parallel --address {address}")
            assert alone.endswith(
                f"{two.folder} on {os.uname().nodename} is another clone than {one.folder}: their results meet in a remote, say --remote\n"
            )
            waiting = [order(member, stage, "wait") for member in (one, two) for stage in FEW if stage.startswith("train")]
            with begun(one, f"python -m tools.parallel --address {address} --remote") as driver:
                waited(lambda: starts(one).get("prepare") or starts(two).get("prepare"))
                waited(lambda: any("train" in stage for stage in starts(one)) and any("train" in stage for stage in starts(two)))
                for path in waiting:
                    path.unlink()
                said = driver.communicate(timeout=200)[0]
        assert driver.returncode == 0 and "5 stages ran" in said, said
    assert sorted([*starts(one), *starts(two)]) == sorted(FEW)  # each once, wherever
    assert starts(one)["report"] == 1  # summary.json is not in DVC's cache: it can be made at home alone
    assert (one.folder / "dvc.lock").read_bytes() == (serial.folder / "dvc.lock").read_bytes()
    assert contents(one.folder, RESULTS) == contents(serial.folder, RESULTS)
    assert "Data and pipelines are up to date" in one.do("dvc status")


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
        said = driver.communicate(timeout=120)[0]
    assert driver.returncode == 0, said
    log = next((training.folder / ".logs").rglob("train-jr.log")).read_text()
    resumed = re.search(r"training resumes at epoch (\d+)", log)
    assert resumed is not None and 1 < int(resumed[1]) <= EPOCHS, log
    for name in ("weights.safetensors", "history.csv"):
        assert (training.folder / "models/JR" / name).read_bytes() == (training.folder / "straight" / name).read_bytes()


def at_work(owner: Member) -> psutil.Process:
    """The process that trains in the folder of `owner`."""
    found = psutil.process_iter(["cmdline", "cwd"])
    return next(one for one in found if "stages.train_jr" in (one.info["cmdline"] or []) and one.info["cwd"] == str(owner.folder))


STAND_INS = {
    "scontrol": "#!/bin/sh\necho 127.0.0.1\n",
    "srun": '#!/bin/sh\necho "srun $1 $2"\nshift 3\nexec "$@"\n',
}


def test_the_slurm_script_runs_a_pipeline_in_an_allocation(tmp_path: Path) -> None:
    """With stand-ins for SLURM's own commands, that know one node."""
    owner = toy(tmp_path)
    (tmp_path / "bin").mkdir()
    for name, text in STAND_INS.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    allocation = {
        "SLURM_JOB_NODELIST": "here",
        "SLURM_NNODES": "1",
        "SLURM_CPUS_ON_NODE": "2",
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_PROCID": "0",
    }
    words = " ".join(f"{name}={value}" for name, value in allocation.items())
    said = owner.do(f"{words} PATH={tmp_path / 'bin'}:$PATH bash {ROOT / 'tools/slurm.sh'} measure@0")
    assert "srun --nodes=1 --ntasks=1" in said and "4 stages ran, 0 came from the cache, 0 were up to date" in said
    assert set(starts(owner)) == {"prepare", "train@a-0", "train@b-0", "measure@0"}
