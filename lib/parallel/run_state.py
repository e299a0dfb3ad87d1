"""What is known of a run at a moment: which steps wait, run or have ended, what they said last, and how long the rest may take."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from lib.parallel.plan import Step
from lib.parallel.resources import kind_of
from lib.parallel.worker import Outcome


@dataclass
class Running:
    """A step at work since `began` (time.monotonic): on which node, where its log is, its last line, and how often it was begun."""

    began: float
    node: str
    log: str
    line: str
    tries: int


@dataclass
class Board:
    """`steps` in the order of a serial run; `dashboard`: where Ray shows what it does, if it does."""

    steps: Sequence[Step]
    dashboard: str = ""
    running: dict[str, Running] = field(default_factory=dict)
    ended: dict[str, Outcome] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def heard(self, stage: str, told: dict) -> None:
        """Take in what a worker told: `began` on its start, later `line`."""
        known = self.running.get(stage)
        if stage in self.ended:
            return
        if told.get("began"):
            tries = 1 if known is None else known.tries + 1
            self.running[stage] = Running(time.monotonic(), told["node"], told["log"], "", tries)
        elif known is not None:
            known.line = told["line"]

    def end(self, outcome: Outcome) -> None:
        """Take in how a step ended."""
        self.running.pop(outcome.stage, None)
        self.ended[outcome.stage] = outcome

    def count(self, *states: str) -> int:
        """How many steps ended in one of these states."""
        return sum(outcome.state in states for outcome in self.ended.values())

    def left(self, now: float) -> float | None:
        """Seconds that the rest may take: the mean duration of their kind, side by side as many as ran until now; None: nothing is known.

        A kind of which nothing has ended is taken to last as long as the mean of all that have.
        """
        lasted: dict[str, list[float]] = {}
        for outcome in self.ended.values():
            if outcome.state in ("ran", "failed"):
                lasted.setdefault(kind_of(outcome.stage), []).append(outcome.seconds)
        if not lasted:
            return None
        every = [seconds for durations in lasted.values() for seconds in durations]
        mean = {kind: sum(durations) / len(durations) for kind, durations in lasted.items()}
        rest = 0.0
        for step in self.steps:
            if step.name not in self.ended:
                expected = mean.get(kind_of(step.name), sum(every) / len(every))
                gone = now - self.running[step.name].began if step.name in self.running else 0.0
                rest += max(0.0, expected - gone)
        return rest / max(1, self._side_by_side(now, sum(every)))

    def _side_by_side(self, now: float, done: float) -> float:
        """How many steps were at work at a time, on average."""
        spent = done + sum(now - one.began for one in self.running.values())
        return spent / max(now - self.began, 1e-9)
