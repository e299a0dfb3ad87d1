"""What became of the report's comparisons between rows: report/contrasts.csv of every revision side by side."""

from dataclasses import dataclass

from lib.compare.comparison import Comparison
from lib.compare.sides import Sides, sides
from lib.report.comparisons import Verdict, verdict
from lib.report.wording import interval
from lib.statistics.columns import NORMS
from lib.statistics.crossed import Contrast


@dataclass(frozen=True)
class Compared:
    """What one revision says of a pair of rows: the difference with its interval, and the verdict."""

    interval: str
    verdict: Verdict


def contrasts(compared: Comparison) -> Sides[tuple[str, str], Compared]:
    """The comparisons whose verdict is not the same in all revisions, by what is compared and in which norm and experiment."""
    return sides([_contrasts(revision.contrasts.to_dict("records")) for revision in compared.revisions], lambda line: line.verdict)


def _contrasts(lines: list[dict[str, str]]) -> dict[tuple[str, str], Compared]:
    return {
        (f"{line['first']} over {line['second']}", f"{NORMS.get(line['norm'], line['norm'])}, {line['experiment']}"): _compared(line)
        for line in lines
    }


def _compared(line: dict[str, str]) -> Compared:
    estimate, low, high, adjusted = (float(line[name] or "nan") for name in ("percent", "low", "high", "p_adjusted"))
    contrast = Contrast(estimate, low, high, float("nan"), adjusted, int(line["images"]), int(line["seeds"]), adjusted)
    return Compared(f"{interval(contrast)} %", verdict(contrast))
