"""A process ends with whoever it works for, at whatever moment that is killed; nothing here needs torch or Ray."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from project import ROOT
from toy_pipeline import alive, begun, order, toy, waited

from lib.base import lifetime

# Notes itself as DVC does, and starts a stage through a shell that stays in between.
FAKE_DVC = """
import json, os, subprocess, sys
info = {"pid": os.getpid(), "cmd": "dvc repro"}
with open(".dvc/tmp/rwlock", "w") as file:
    json.dump({"write": {"out": info}, "read": {"in": [info]}}, file)
done = subprocess.run([sys.argv[1], "-c", f"{sys.executable} stage.py; exit $?"], env=os.environ | {"DVC_STAGE": "train@a"})
open("done", "w").write(str(done.returncode))
"""
STAGE = """
import ctypes, os, sys, time
def come_to(place):
    open(place, "w").write(str(os.getpid()))
    while os.path.exists(f"wait-{place}"):
        time.sleep(0.01)
come_to("imports")
from lib.base import lifetime
lifetime.begin()
come_to("work")
if os.path.exists("hold"):
    open("holds", "w").close()
    ctypes.PyDLL(None).sleep(60)  # as C code that holds the interpreter's lock
open("out", "w").close()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    (tmp_path / "fake_dvc.py").write_text(FAKE_DVC)
    (tmp_path / "stage.py").write_text(STAGE)
    return tmp_path


@pytest.fixture
def dvc(folder: Path) -> Iterator[subprocess.Popen]:
    """Runs the stage by bash, which waits for orders at its imports and at its work."""
    for place in ("imports", "work"):
        (folder / f"wait-{place}").touch()
    with subprocess.Popen([sys.executable, "fake_dvc.py", "/bin/bash"], stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def stage_at(place: str) -> int:
    """The process of the stage, as soon as it has come to this place."""
    waited(lambda: Path(place).exists() and Path(place).read_text())
    return int(Path(place).read_text())


def test_a_stage_whose_dvc_was_killed_before_it_had_imported_anything_ends(dvc: subprocess.Popen) -> None:
    stage = stage_at("imports")
    dvc.kill()
    dvc.wait()
    assert alive(stage)
    Path("wait-imports").unlink()
    assert dvc.stderr is not None and dvc.stderr.read() == "Error: the dvc that began this stage has ended\n"
    waited(lambda: not alive(stage))
    assert not Path("work").exists() and not Path("out").exists()


def test_a_stage_ends_with_its_dvc_even_while_c_code_runs(dvc: subprocess.Popen) -> None:
    Path("hold").touch()
    Path("wait-imports").unlink()
    stage = stage_at("work")
    Path("wait-work").unlink()
    waited(Path("holds").exists)
    dvc.kill()
    waited(lambda: not alive(stage), seconds=30)
    assert not Path("out").exists()


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
def test_a_stage_whose_dvc_lives_comes_to_its_end(shell: str, folder: Path) -> None:
    """And leaves nothing behind that still waits for the end of one of them."""
    assert subprocess.run([sys.executable, "fake_dvc.py", shell], timeout=60).returncode == 0
    assert Path("done").read_text() == "0" and Path("out").exists()
    waited(lambda: not any(one.info["cwd"] == str(folder) for one in psutil.process_iter(["cwd"]) if one.pid != os.getpid()))


def test_a_process_that_no_dvc_runs_is_left_alone(folder: Path) -> None:
    call = [sys.executable, "stage.py"]
    assert subprocess.run(call, timeout=60).returncode == 0 and Path("out").exists()
    Path("out").unlink()
    assert subprocess.run(call, env=os.environ | {"DVC_STAGE": "by hand"}, timeout=60).returncode == 0 and Path("out").exists()


def test_a_process_ends_with_the_one_that_it_is_told(folder: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        (folder / "wait-work").touch()
        with subprocess.Popen([sys.executable, "stage.py"], env=os.environ | {lifetime.ENDS_WITH: str(other.pid)}) as process:
            stage_at("work")
            other.kill()
            assert process.wait(60) == -signal.SIGKILL
    (folder / "wait-work").unlink()
    late = subprocess.run([sys.executable, "stage.py"], env=os.environ | {lifetime.ENDS_WITH: str(other.pid)}, timeout=60)
    assert late.returncode == -signal.SIGKILL and not Path("out").exists()


NOTES = '{"write": {"a": {"pid": 7, "cmd": "dvc"}}, "read": {"b": [{"pid": 8, "cmd": ""}]}}'


@pytest.mark.parametrize("text, noted", [(NOTES, {7, 8}), ("{}", set()), (NOTES[:9], None), ("", None), (None, None)])
def test_what_dvc_notes(text: str | None, noted: set[int] | None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifetime, "SECONDS_OF_WRITING", 0.05)
    if text is not None:
        (folder / ".dvc/tmp/rwlock").write_text(text)
    (folder / "studies/audit").mkdir(parents=True)
    assert lifetime._noted(folder / "studies/audit") == noted


def test_what_dvc_notes_is_read_when_it_is_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = folder / ".dvc/tmp/rwlock"
    place.write_text(NOTES[:9])
    monkeypatch.setattr(lifetime.time, "sleep", lambda _: place.write_text(NOTES))
    assert lifetime._noted(folder) == {7, 8}


def test_a_stage_ends_with_the_real_dvc(tmp_path: Path) -> None:
    owner = toy(tmp_path, seeds=[0])
    order(owner, "prepare", "wait")
    with begun(owner, "dvc repro -q prepare") as dvc:
        seen = owner.folder / ".seen/prepare"
        waited(lambda: seen.exists() and seen.read_text().endswith("\n"))
        dvc.kill()
        waited(lambda: not alive(int(seen.read_text().split()[0])), seconds=30)
    assert not (owner.folder / "data/images.txt").exists()
