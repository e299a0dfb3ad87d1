"""Nodes with clones of their own, and SLURM's script: real Ray clusters, a real S3 server."""

import os
from pathlib import Path

import pytest
from members import Member, contents
from project import ROOT
from remotes import serving
from toy_pipeline import AUTHORITY, FEW, begun, finished, head, order, starts, toy, waited

pytestmark = pytest.mark.cluster
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
    said = owner.do(f"{words} PATH={tmp_path / 'bin'}:$PATH bash {ROOT / 'tools/slurm.sh'} train@a-0")
    assert "srun --nodes=1 --ntasks=1" in said and "2 stages ran, 0 came from the cache, 0 were up to date" in said
    assert set(starts(owner)) == {"prepare", "train@a-0"}
