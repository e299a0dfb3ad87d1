"""A small project in the shape of the real one, and Ray clusters of one machine, for tests of what runs side by side."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from members import Member, built_once
from project import ENVIRONMENT, ROOT

PIPELINE = """
stages:
  prepare:
    cmd: python toy_work.py data/images.txt
    deps: [toy_work.py]
    outs: [data/images.txt]
  train:
    matrix: {{row: [a, b], seed: {seeds}}}
    cmd: python toy_work.py models/${{item.seed}}/${{item.row}} data/images.txt
    deps: [data/images.txt, toy_work.py]
    params: ["rows.${{item.row}}"]
    outs: ["models/${{item.seed}}/${{item.row}}"]
  measure:
    matrix: {{seed: {seeds}}}
    cmd: python toy_work.py results/${{item.seed}}.txt models/${{item.seed}}
    deps: ["models/${{item.seed}}"]
    outs: ["results/${{item.seed}}.txt"]
  report:
    cmd: python toy_work.py report/index.html results
    deps: [results]
    outs: [report/index.html]
    metrics: [report/summary.json: {{cache: false}}]
"""
SEEDS = (0, 1)
STAGES = ["prepare", "train@a-0", "train@b-0", "measure@0", "train@a-1", "train@b-1", "measure@1", "report"]
FEW = ["prepare", "train@a-0", "train@b-0", "measure@0", "report"]  # of one seed
IGNORED = "/data/\n/models/\n/results/\n/report/*\n!/report/summary.json\n.seen/\n.orders/\n.logs/\n__pycache__/\n.resume/\n"
AUTHORITY = {"RAY_AUTH_TOKEN": "0" * 32}  # Ray's clusters let in who knows a token; the tests' people have no home in common
CONFIG = "[core]\n    analytics = false\n"
RESOURCES = "default: {cpus: 1, gpus: 0, memory: 0}\n"


def toy(folder: Path, environment: dict[str, str] | None = None, seeds: Sequence[int] = SEEDS) -> Member:
    """The project in `folder`, committed, in which nothing has run."""
    owner = Member(folder / "home", folder / "work", environment=AUTHORITY | (environment or {}))
    owner.folder.mkdir(parents=True)
    shutil.copy(ROOT / "tests/toy_work.py", owner.folder)
    written = {
        ".dvc/config": CONFIG,
        ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
        "dvc.yaml": PIPELINE.format(seeds=list(seeds)),
        "params.yaml": "rows: {a: 1, b: 1}\n",
        ".gitignore": IGNORED,
        "resources.yaml": RESOURCES,
    }
    for name, text in written.items():
        (owner.folder / name).parent.mkdir(exist_ok=True)
        (owner.folder / name).write_text(text)
    (owner.folder / "lib").symlink_to(ROOT / "lib")  # where workers look for it
    owner.do("git init -q -b main && git add -A && git commit -qm start")
    return owner


def finished(tmp_path_factory: pytest.TempPathFactory, seeds: Sequence[int] = SEEDS) -> Member:
    """The project after a serial run, to compare with or to copy, the same one for all tests of a run."""
    name, run = f"toy{len(seeds)}", "dvc repro -q && git add -A && git commit -qm done"
    folder = built_once(tmp_path_factory, name, lambda place: toy(place, seeds=seeds).do(run))
    return Member(folder / "home", folder / "work", environment=AUTHORITY)


def copied(owner: Member, folder: Path) -> Member:
    """A copy to change."""
    shutil.copytree(owner.folder, folder / "work", symlinks=True)
    return Member(folder / "home", folder / "work", environment=AUTHORITY)


def starts(owner: Member) -> dict[str, int]:
    """How often each stage was begun in this workspace."""
    return {path.name: len(path.read_text().splitlines()) for path in (owner.folder / ".seen").glob("*")}


def order(owner: Member, stage: str, what: str) -> Path:
    """From now on the stage does `what`: "fail", or "wait" until the file is gone."""
    path = owner.folder / ".orders" / stage
    path.parent.mkdir(exist_ok=True)
    path.write_text(what)
    return path


@contextmanager
def begun(owner: Member, command: str) -> Iterator[subprocess.Popen]:
    """Inside, the command runs in a group of its own; it is killed at the end if it still does."""
    process = subprocess.Popen(
        ["bash", "-c", f"exec {command}"], cwd=owner.folder, env=os.environ | owner.variables(), start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@contextmanager
def head(cpus: int, gpus: int = 0, environment: dict[str, str] | None = None) -> Iterator[str]:
    """A Ray cluster of one node; gives its address. Its GPUs need not exist."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--head", "--node-ip-address=127.0.0.1", f"--port={port}", f"--num-gpus={gpus}", "--include-dashboard=false"]
    with _started(cpus, options, environment):
        yield f"127.0.0.1:{port}"


@contextmanager
def second_node(address: str, cpus: int) -> Iterator[None]:
    """A further node, which sees the same files."""
    with _started(cpus, [f"--address={address}", "--num-gpus=0"], None):
        yield


@contextmanager
def _started(cpus: int, options: list[str], environment: dict[str, str] | None) -> Iterator[None]:
    fixed = ["--block", "--disable-usage-stats", "--no-monitor", "--include-log-monitor=false"]  # nobody reads what these monitors tell
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", *fixed, f"--num-cpus={cpus}", *options]
    own = os.environ | ENVIRONMENT | AUTHORITY | {"RAY_AUTH_MODE": "token"} | (environment or {})
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=own, text=True)
    try:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if "Ray runtime started" in line:
                break
        else:
            raise AssertionError("".join(said))
        yield
    finally:
        process.terminate()
        process.communicate()


def waited(ready: Callable[[], object], seconds: float = 60) -> None:
    """Come back when `ready` holds; fails if it never does."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
