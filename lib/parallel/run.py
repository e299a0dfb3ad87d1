"""A whole run: plan, run what is out of date, and leave the workspace as a serial run leaves it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from lib.base.errors import require
from lib.base.git import git
from lib.parallel import engine, lockfile
from lib.parallel.lockfile import STATE
from lib.parallel.plan import Plan, plan
from lib.parallel.resources import Table
from lib.parallel.run_lock import only_run
from lib.parallel.run_state import Board
from lib.parallel.view import View
from lib.parallel.worker import Job

SECONDS_BETWEEN_RECORDS = 60.0
ORDER = "order.json"  # of dvc.lock before a run, kept until one comes to its end


@dataclass(frozen=True)
class Wish:
    """What somebody asked for.

    targets: as those of `dvc repro`. address: of a Ray cluster; None starts one here, for `workers` steps at a time (None: the cores).
    remote: whether nodes may work in clones of their own and meet in DVC's default remote.
    """

    targets: Sequence[str] = ()
    address: str | None = None
    workers: int | None = None
    remote: bool = False
    force: bool = False


@dataclass(frozen=True)
class Done:
    """What a run did: how its steps ended, what it had planned, and the folder of its logs (None: nothing was to be done)."""

    board: Board
    plan: Plan
    log: Path | None = None


def run(root: Path, wish: Wish, table: Table, watch: Callable[[Board], AbstractContextManager[View]]) -> Done:
    """Bring `wish.targets` in the workspace `root` up to date.

    Raises:
        InputError: another run is at work here, DVC cannot plan, there is no such cluster, or a node of it cannot be used.
    """
    with only_run(root / STATE / "driver.lock"):
        lockfile.gather(root)  # of a run that was killed
        planned = plan(root, wish.targets, wish.force)
        board = Board(planned.steps)
        if not planned.steps:
            return Done(board, planned)
        job = _job(root, wish)
        _begin(root, planned)
        board.dashboard = engine.connect(wish.address, wish.workers)
        _work(root, job, planned, board, table, watch)
        _end(root, board, planned)
        return Done(board, planned, root / job.log)


def _work(root: Path, job: Job, planned: Plan, board: Board, table: Table, watch: Callable[[Board], AbstractContextManager[View]]) -> None:
    token = root / job.token
    token.touch()
    try:
        apart = engine.check_nodes(job)
        given = {name for step in planned.steps for name in step.given}
        if job.remote and apart and given:
            _dvc(root, "push", given)
        with watch(board) as view:
            engine.run(job, planned.steps, table, lockfile.entries(root, given) if job.remote else {}, board, _looks(root, view))
            view.look()
    finally:
        token.unlink()
        lockfile.gather(root)


def _looks(root: Path, view: View) -> Callable[[], None]:
    """What is done every half second: show the board and, now and then, record what is done, for at most a tenth of the time."""
    due = time.monotonic() + SECONDS_BETWEEN_RECORDS

    def look() -> None:
        nonlocal due
        view.look()
        began = time.monotonic()
        if began >= due:
            lockfile.gather(root)
            ended = time.monotonic()
            due = ended + max(SECONDS_BETWEEN_RECORDS, 9 * (ended - began))

    return look


def _job(root: Path, wish: Wish) -> Job:
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid4().hex[:4]}"
    return Job(
        str(root), str(STATE / f"{name}.token"), _commit(root) if wish.remote else None, f".logs/parallel-{name}", wish.remote, wish.force
    )


def _commit(root: Path) -> str:
    """The commit that clones elsewhere must be at; raises `InputError` if this workspace is not at one."""
    edits = "status", "--porcelain", "--untracked-files=no", "--", ".", ":!*dvc.lock", ":!*.gitignore"
    found = git(*edits, folder=root).split("\n")[0].strip()
    require(not found, f"nodes with clones of their own work at one commit: expected no edits here, got {found!r}; commit first")
    return git("rev-parse", "HEAD", folder=root)


def _begin(root: Path, planned: Plan) -> None:
    """Note the order of dvc.lock, unless a run that did not come to its end has."""
    if not (root / STATE / ORDER).exists():
        (root / STATE / ORDER).write_text(json.dumps(lockfile.names(root, planned.order)), encoding="utf-8")


def _end(root: Path, board: Board, planned: Plan) -> None:
    """Gather what was made in other clones, and bring dvc.lock into order."""
    elsewhere = {stage: outcome for stage, outcome in board.ended.items() if outcome.made and not outcome.shared}
    if elsewhere:
        lockfile.merge(root, {name: entry for outcome in elsewhere.values() for name, entry in outcome.entry.items()})
        _dvc(root, "pull", elsewhere)
    before = json.loads((root / STATE / ORDER).read_text(encoding="utf-8"))
    lockfile.arrange(root, before, planned.order)
    (root / STATE / ORDER).unlink()


def _dvc(root: Path, verb: str, stages: Iterable[str]) -> None:
    """Push or pull the results of `stages`."""
    call = [sys.executable, "-m", "dvc", "--wait-for-lock", verb, "--quiet", *sorted(stages)]
    done = subprocess.run(call, cwd=root, capture_output=True, encoding="utf-8", errors="replace")
    said = done.stderr.strip().splitlines() or ["it said nothing"]
    require(done.returncode == 0, f"`dvc {verb}` of what several nodes need failed: {said[0]}")
