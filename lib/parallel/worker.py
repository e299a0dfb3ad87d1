"""What a Ray worker does with one step. Sent to the workers by value: it uses the standard library alone, and their workspaces' code."""

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECONDS_BETWEEN_LOOKS = 1.0
LAST_LINES = 12
WORKSPACE = "WORKSPACE"  # the variable by which a node names its own clone
_forks: list[tuple[subprocess.Popen, dict[str, str]]] = []  # the process that stays, and its environment; one at most


@dataclass(frozen=True)
class Job:
    """What all steps of one run share.

    root: the folder of the driver. token: a file below it, by which a node that shares the file system is known.
    commit: what a clone elsewhere must be at. log: folder of the logs, below each workspace.
    remote: whether results travel through DVC's default remote.
    """

    root: str
    token: str
    commit: str | None
    log: str
    remote: bool
    force: bool


@dataclass(frozen=True)
class Outcome:
    """How a step ended.

    state: "ran", "cached" (restored from an earlier run), "unchanged", "failed" or "left out" (something that it needs was not made).
    because: why it was not made. entry: its part of dvc.lock, if it is needed elsewhere. shared: whether it lies in the driver's folder.
    """

    stage: str
    state: str
    seconds: float = 0.0
    node: str = ""
    log: str = ""
    because: str = ""
    tail: tuple[str, ...] = ()
    entry: dict[str, Any] = field(default_factory=dict)
    shared: bool = True

    @property
    def made(self) -> bool:
        return self.state not in ("failed", "left out")


def run(
    job: Job,
    stage: str,
    given: Mapping[str, Any],
    reads: Sequence[str],
    own: dict[str, str],
    tell: Callable[[str, dict], None],
    *needs: Outcome,
) -> Outcome:
    """Run one stage in the workspace of this node.

    Args:
        given: entries of dvc.lock of what is up to date, of which some are read.
        reads: stages whose results it reads.
        own: variables of its environment.
        tell: given the stage and what is known of it, now and then.
        needs: how the steps before it ended.
    """
    missing = [other.stage for other in needs if not other.made]
    if missing:
        return Outcome(stage, "left out", because=f"needs {', '.join(missing)}")
    began = time.monotonic()
    workspace, shared = locate(job)
    node = f"{socket.gethostname()}:{workspace}"
    trouble = unusable(job, workspace, shared)
    if trouble:
        return Outcome(stage, "failed", node=node, because=trouble, shared=shared)
    log = workspace / job.log / f"{stage.replace(os.sep, '_')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    entries = {name: entry for other in needs for name, entry in other.entry.items()} | {
        name: entry for name, entry in given.items() if name in reads
    }
    tell(stage, {"began": True, "node": node, "log": str(log)})
    asked: dict[str, Any] = {"stage": stage, "reads": None, "entries": entries, "force": job.force, "record": None}
    record = log.with_suffix(".json")  # of dvc.lock, for clones elsewhere
    asked |= {"reads": list(reads), "record": str(record)} if job.remote else {}
    status = _process(workspace, log, asked, own, lambda line: tell(stage, {"line": line}))
    said = log.read_text(encoding="utf-8", errors="replace")
    state = _state(said, stage) if status == 0 else "failed"
    tail = tuple(line for line in said.splitlines() if line.strip())[-LAST_LINES:]
    because = "" if status == 0 else f"exit status {status}"
    entry = json.loads(record.read_text(encoding="utf-8")) if job.remote and status == 0 else {}
    return Outcome(stage, state, time.monotonic() - began, node, str(log), because, tail, entry, shared)


def probe(job: Job) -> tuple[bool, str]:
    """Whether this node shares the driver's folder, and why it could do nothing (empty if it could)."""
    workspace, shared = locate(job)
    return shared, unusable(job, workspace, shared)


def tell(queue: Any, stage: str, told: dict) -> None:
    """Put what is known of a stage where the driver looks for it (a ray.util.queue.Queue).

    Without waiting for an answer: Ray takes a task that waits for another to need no core, and begins a further one.
    """
    queue.actor.put_nowait.remote((stage, told))


def locate(job: Job) -> tuple[Path, bool]:
    """The folder that this node works in, and whether it is the driver's."""
    own = Path(os.environ.get(WORKSPACE, job.root))
    return own, (own / job.token).is_file()


def unusable(job: Job, workspace: Path, shared: bool) -> str:
    """Why nothing can be done in `workspace`, in one sentence; empty if something can."""
    if shared:
        return ""
    if not (workspace / "dvc.yaml").is_file():
        return f"expected a clone of the project in {workspace} on {socket.gethostname()}, found no dvc.yaml; start the node by tools.node"
    if not job.remote:
        return f"{workspace} on {socket.gethostname()} is another clone than {job.root}: their results meet in a remote, say --remote"
    asked = subprocess.run(["git", "rev-parse", "HEAD"], cwd=workspace, capture_output=True, encoding="utf-8")
    commit = asked.stdout.strip()
    if asked.returncode or commit != job.commit:
        refusal = " ".join(asked.stderr.split())
        return f"expected commit {job.commit} in {workspace} on {socket.gethostname()}, found {refusal or commit or 'no commit'}"
    edits = ["git", "diff", "--quiet", "HEAD", "--", ".", ":!*dvc.lock", ":!*.gitignore"]
    if subprocess.run(edits, cwd=workspace).returncode:
        return f"expected no edits in {workspace} on {socket.gethostname()}, `git diff` there shows some"
    return ""


def _process(workspace: Path, log: Path, asked: dict[str, Any], own: dict[str, str], tell: Callable[[str], None]) -> int:
    """Have lib/parallel/forks.py run a step, and give its exit status."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    given = {"PATH": path, "PYTHONPATH": str(workspace), "STAGE_TIMES": str(log.parent / "times.jsonl")} | own
    with log.open("ab") as file:
        start = file.tell()
    staying = _staying(workspace, log.parent, os.environ | given)
    assert staying.stdin is not None and staying.stdout is not None
    staying.stdin.write(json.dumps(asked | {"log": str(log)}).encode() + b"\n")
    staying.stdin.flush()
    last = None
    while not select.select([staying.stdout], [], [], SECONDS_BETWEEN_LOOKS)[0]:
        line = _last_line(log, start)
        if line != last:
            tell(line)
        last = line
    answer = staying.stdout.readline()
    return int(answer) if answer else staying.wait() or 1


def _staying(workspace: Path, logs: Path, environment: dict[str, str]) -> subprocess.Popen:
    """The process that forks for steps of this environment: the one that did last time, or a new one. It ends with this process."""
    if _forks and (_forks[0][1] != environment or _forks[0][0].poll() is not None):
        process, _ = _forks.pop()
        process.communicate()
    if not _forks:
        command = [sys.executable, "-m", "lib.parallel.forks"]
        with (logs / "forks.log").open("ab") as said:
            process = subprocess.Popen(
                command, cwd=workspace, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, bufsize=0
            )
        _forks.append((process, environment))
    return _forks[0][0]


def _last_line(log: Path, start: int) -> str:
    with log.open("rb") as file:
        file.seek(max(start, os.fstat(file.fileno()).st_size - 2000))
        lines = [line.strip() for line in file.read().decode(errors="replace").replace("\r", "\n").splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _state(said: str, stage: str) -> str:
    """What DVC's last words on the stage mean."""
    ran, cached = said.rfind(f"Running stage '{stage}'"), said.rfind(f"Stage '{stage}' is cached")
    unchanged = said.rfind(f"Stage '{stage}' didn't change")
    return {ran: "ran", cached: "cached", unchanged: "unchanged"}[max(ran, cached, unchanged)]
