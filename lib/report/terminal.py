"""What the report stage prints when it is done: Table 1, the gate, the claims and the leads, as plain text of at most 110 columns."""

from collections.abc import Sequence

import pandas as pd

from lib.report.aligned import aligned
from lib.report.comparisons import NOT_TESTED, Comparison
from lib.report.gate import SYMBOLS, Gate
from lib.report.wording import interval, p_value


def gate_text(gate: Gate) -> str:
    """The symbols of all checks, one line per row, worst over the seeds."""
    lines = [[line.technique, *(cell.symbol for cell in cells)] for line, cells in gate.table]
    key = "  ".join(f"{symbol} {verdict} ({gate.counts.get(verdict, 0)})" for verdict, symbol in SYMBOLS.items())
    table = aligned([["", *(rule.id for rule in gate.rules)], *lines])
    return "\n".join(["Gate: all checks, the worst over the seeds", *table, key])


def claims_text(claimed: pd.DataFrame) -> str:
    """One line per claim of the paper: its key and the verdict under each attack; one on gradients holds under every one."""
    attacks = [name for name in claimed["semantics"].unique() if name]
    verdicts = {key: dict(zip(mine["semantics"], mine["verdict"])) for key, mine in claimed.groupby("claim", sort=False)}
    lines = [[str(key), *(found.get(name) or found.get("", NOT_TESTED) for name in attacks)] for key, found in verdicts.items()]
    return "\n".join(["Claims of the paper, verdict by attack (claims.csv has the sentences)", *aligned([["", *attacks], *lines])])


def comparisons_text(compared: Sequence[Comparison]) -> str:
    """What the question is about: one line per pair, norm and experiment; nothing where there is none."""
    lines = [
        [" over ".join(line.techniques), line.place, f"{interval(line.contrast)} %", p_value(line.contrast.adjusted), line.experiment]
        for line in compared
        if line.pair.asked and line.measure == "radius"
    ]
    return "\n".join(["Mean robust radius, difference in percent (contrasts.csv has all)", *aligned(lines)]) if lines else ""
