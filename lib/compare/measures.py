"""What report/summary.json alone has, side by side: accuracy under all attacks together."""

from collections.abc import Iterator

from lib.compare.cells import Cell, Table
from lib.compare.comparison import Comparison
from lib.compare.revision import Revision
from lib.report.wording import signed
from lib.statistics.columns import NORMS

PARTS = {"worst": "all attacks together"}

Measured = dict[tuple[str, str], float]  # of a row and a head of the table


def table(compared: Comparison) -> Table:
    """The rows that differ, in percent; differences are in points."""
    found = [dict(_measured(revision)) for revision in compared.revisions]
    heads = list(dict.fromkeys(head for one in found for row, head in one if row in compared.moved))
    rows = [row for row in compared.moved if any((row, head) in one for one in found for head in heads)]
    lines = [(compared.rows[row], [(place, _line(row, heads, found, place)) for place in range(len(found))]) for row in rows]
    return Table("All attacks together", heads, lines)


def cell(share: float | None, base: float | None) -> Cell | None:
    """A share, and its difference to the base where there is one."""
    if share is None:
        return None
    value = f"{100 * share:.1f}"
    if base is None:
        return Cell(value, f"{value} %, mean over seeds")
    difference = "same" if share == base else signed(100 * (share - base))
    return Cell(value, f"{value} %, mean over seeds", difference, look="same" if share == base else "")


def _line(row: str, heads: list[str], found: list[Measured], place: int) -> list[Cell | None]:
    return [cell(found[place].get((row, head)), found[0].get((row, head)) if place else None) for head in heads]


def _measured(revision: Revision) -> Iterator[tuple[tuple[str, str], float]]:
    for row, entry in revision.summary.items():
        for part, words in PARTS.items():
            shares = entry.get(part) if isinstance(entry, dict) else None
            for threat, share in (shares or {}).items():
                yield (row, f"{words}, {_threat(threat)}"), float(share)


def _threat(key: str) -> str:
    """A threat model or a norm as report/summary.json writes it, as people do.

    >>> _threat("linf_0_2"), _threat("l2_8_255"), _threat("l2_1"), _threat("l2")
    ('L∞\xa00.2', 'L2\xa08/255', 'L2\xa01', 'L2')
    """
    norm, *radius = key.split("_")
    written = "/".join(radius) if radius[1:] == ["255"] else ".".join(radius)
    return f"{NORMS.get(norm, norm)}\xa0{written}".rstrip()  # not broken over two lines
