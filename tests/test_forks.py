"""The process that stays beside a worker, without Ray: what its forks run, record and see, and that they end with it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from dvc.utils.serialize import load_yaml
from project import ROOT, run
from toy_pipeline import RESOURCES, alive, waited

from lib.parallel import lockfile

PIPELINE = """
stages:
  say:
    matrix: {name: [a, b, c]}
    cmd: python -m stages.say ${item.name}.txt
    deps: [stages/say.py]
    outs: ["${item.name}.txt"]
  shell:
    cmd: echo $((1 + 1)) > sum.txt && python -m stages.say more.txt
    deps: [stages/say.py]
    outs: [sum.txt, more.txt]
  refuse:
    cmd: python -m stages.say
    outs: [never.txt]
"""
SAY = """
import json, os, sys, time
from pathlib import Path
from lib.base import lifetime
lifetime.begin()
if len(sys.argv) < 2:
    sys.exit("Error: expected a place, got none")
hidden = "torch" not in sys.modules
import torch
said = {"hidden": hidden, "shown": torch is sys.modules["torch"], "version": "first", "pid": os.getpid(), "parent": os.getppid()}
said["words"], said["where"] = sys.argv[1:], os.getcwd()
Path(sys.argv[1]).write_text(json.dumps(said))
while os.path.exists("wait"):
    time.sleep(0.05)
"""
# What a Ray worker does, given stages to run; the words "edit" and "touch" stand for what somebody does between two of them.
WORKER = """
import json, sys
from pathlib import Path
from lib.parallel import worker
token = Path(".dvc/tmp/token")
token.touch()
job = worker.Job(str(Path.cwd()), str(token), None, ".logs/run", False, False)
for stage in sys.argv[1:]:
    if stage == "edit":
        code = Path("stages/say.py")
        code.write_text(code.read_text().replace("first", "second"))
    else:
        outcome = worker.run(job, stage, {}, [], {"OMP_NUM_THREADS": "1"}, lambda *_: None)
        print(json.dumps([outcome.state, outcome.because, outcome.tail]), flush=True)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "stages").mkdir()
    written = {
        "dvc.yaml": PIPELINE,
        "stages/say.py": SAY,
        "work.py": WORKER,
        "resources.yaml": RESOURCES,
        ".dvc/config": "[core]\n    no_scm = true\n",
    }
    for name, text in written.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / ".dvc/tmp").mkdir()
    (tmp_path / "lib").symlink_to(ROOT / "lib")
    return tmp_path


def begun(folder: Path, *stages: str) -> subprocess.Popen:
    own = os.environ | {"PYTHONPATH": str(folder), "DVC_SITE_CACHE_DIR": str(folder / "site"), "DVC_NO_ANALYTICS": "1"}
    return subprocess.Popen([sys.executable, "work.py", *stages], cwd=folder, env=own, stdout=subprocess.PIPE, text=True)


def worked(folder: Path, *stages: str) -> list[list]:
    """How each of these stages ended: state, reason, last lines."""
    with begun(folder, *stages) as process:
        said = process.communicate(timeout=120)[0]
    assert process.returncode == 0
    return [json.loads(line) for line in said.splitlines()]


def test_steps_of_a_worker_are_forks_of_one_process_that_run_the_code_as_it_stands_and_are_noted_as_by_dvc(folder: Path) -> None:
    ends = worked(folder, "say@a", "edit", "say@b", "shell", "refuse", "say@b")
    assert [state for state, *_ in ends] == ["ran", "ran", "ran", "failed", "cached"], ends
    assert ends[3][1] == "exit status 255" and "Error: expected a place, got none" in ends[3][2]
    a, b, more = (json.loads((folder / f"{name}.txt").read_text()) for name in ("a", "b", "more"))
    assert a["parent"] == b["parent"] and a["pid"] != b["pid"]
    assert (a["version"], b["version"], b["words"], b["where"]) == ("first", "second", ["b.txt"], str(folder))
    # Torch was loaded before, and seems not to be until the command imports it.
    assert a["hidden"] and a["shown"]
    # What the pattern does not match the real shell runs, in a process of its own.
    assert (folder / "sum.txt").read_text() == "2\n" and more["parent"] != a["parent"]
    # What forks note is what a serial run records.
    notes = {name: entry for path in (folder / lockfile.NOTES).glob("*.yaml") for name, entry in load_yaml(str(path)).items()}
    run("dvc commit -q -f say@b shell", folder)
    recorded = load_yaml(str(folder / "dvc.lock"))["stages"]
    assert recorded == {name: notes[name] for name in ("say@b", "shell")}


@pytest.mark.parametrize("victim", ["worker", "staying", "step"])
def test_a_command_ends_with_whoever_it_works_for(victim: str, folder: Path) -> None:
    (folder / "wait").touch()
    with begun(folder, "say@a") as process:
        waited(lambda: (folder / "a.txt").exists() and (folder / "a.txt").read_text().endswith("}"))
        said = json.loads((folder / "a.txt").read_text())
        staying = psutil.Process(said["parent"])
        (step,) = (fork.pid for fork in staying.children() if fork.pid != said["pid"] and is_fork(fork))
        ends = {"worker": process.pid, "staying": staying.pid, "step": step}[victim]
        os.kill(ends, signal.SIGKILL)
        waited(lambda: not alive(said["pid"]) and not alive(step))
        if victim == "step":
            assert json.loads(process.communicate(timeout=60)[0])[:2] == ["failed", "exit status -9"]
        process.kill()
        waited(lambda: not alive(staying.pid))


def is_fork(process: psutil.Process) -> bool:
    """Whether a process has the words of its parent, as a fork has that nobody has renamed."""
    return process.cmdline() == process.parent().cmdline()
