"""What a person sees of a run: one table that is kept up to date on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lib.parallel.run_state import Board
from lib.parallel.worker import Outcome

SECONDS_BETWEEN_LINES = 60.0
WORDS = {"ran": "ran", "cached": "came from the cache", "unchanged": "was up to date", "failed": "FAILED", "left out": "was left out"}


class View(Protocol):
    """Shows a board."""

    def look(self) -> None:
        """The board may have changed."""


@contextmanager
def view(board: Board, console: Console) -> Iterator[View]:
    """Inside, the board can be watched on `console`."""
    if board.dashboard:
        console.print(f"Ray's dashboard: http://{board.dashboard}")
    if not console.is_terminal:
        yield Lines(board, console)
        return
    with Live(console=console, auto_refresh=False, get_renderable=lambda: picture(board, time.monotonic())) as live:
        yield _Terminal(live, Lines(board, console, only=("failed",)))


class _Terminal:
    def __init__(self, live: Live, failures: "Lines") -> None:
        self._live, self._failures = live, failures

    def look(self) -> None:
        self._failures.look()
        self._live.refresh()


class Lines:
    """A line for every step that ended in one of the states `only`, and now and then one on all."""

    def __init__(self, board: Board, console: Console, only: tuple[str, ...] = tuple(WORDS)) -> None:
        self._board, self._console, self._only = board, console, only
        self._shown: set[str] = set()
        self._last = time.monotonic()

    def look(self) -> None:
        """Print what is new."""
        for stage, outcome in self._board.ended.items():
            if stage not in self._shown and outcome.state in self._only:
                self._say(f"[{len(self._shown) + 1}/{len(self._board.steps)}] {told(outcome)}")
            self._shown.add(stage)
        now = time.monotonic()
        if "ran" in self._only and now - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            self._say(headline(self._board, now))

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def told(outcome: Outcome) -> str:
    """`train-ir@R_simple-0 ran, 21 s`."""
    seconds = f", {duration(outcome.seconds)}" if outcome.seconds else ""
    because = f": {outcome.because}" if outcome.because else ""
    log = f" ({outcome.log})" if outcome.state == "failed" and outcome.log else ""
    return f"{outcome.stage} {WORDS[outcome.state]}{seconds}{because}{log}"


def headline(board: Board, now: float) -> str:
    """`12 of 57 done, 2 running, 1 failed, 3 left out; 1:02 gone, about 4:10 left`."""
    parts = [f"{len(board.ended)} of {len(board.steps)} done", f"{len(board.running)} running"]
    parts += [f"{count} {state}" for state in ("failed", "left out") if (count := board.count(state))]
    left = board.left(now)
    forecast = "" if left is None or len(board.ended) == len(board.steps) else f", about {duration(left)} left"
    return f"{', '.join(parts)}; {duration(now - board.began)} gone{forecast}"


def picture(board: Board, now: float) -> Group:
    """A bar, the counts, and a line for each step at work: for how long, where, and what its log said last."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, expand=True)
    table.add_column("running", min_width=min(40, max(map(len, board.running), default=0)), no_wrap=True, overflow="ellipsis")
    table.add_column("for", min_width=5, justify="right", no_wrap=True)
    table.add_column("node", max_width=16, no_wrap=True, overflow="ellipsis")
    table.add_column("its log says", ratio=1, no_wrap=True, overflow="ellipsis")
    for stage, one in board.running.items():
        again = f" (try {one.tries})" if one.tries > 1 else ""
        linked = Text.from_markup(f"[link={Path(one.log).as_uri()}]{escape(stage)}[/link]{again}")
        table.add_row(linked, duration(now - one.began), one.node.partition(":")[0], Text(one.line))
    bar = Table.grid()  # by itself it would not end its line
    bar.add_row(ProgressBar(total=max(1, len(board.steps)), completed=len(board.ended), width=60))
    return Group(bar, Text(headline(board, now)), table)


def duration(seconds: float) -> str:
    """`0:07`, `1:02:03`.

    >>> duration(7.4), duration(3723)
    ('0:07', '1:02:03')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
