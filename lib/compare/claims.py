"""The paper's claims side by side: report/claims.csv of every revision."""

from dataclasses import dataclass

from lib.compare.comparison import Comparison
from lib.compare.sides import Sides, sides
from lib.report.wording import between, signed
from lib.statistics.columns import SEMANTICS


@dataclass(frozen=True)
class Finding:
    """What one revision says of a claim under one attack."""

    sentence: str
    attack: str
    verdict: str
    numbers: str


def claims(compared: Comparison) -> Sides[tuple[str, str], Finding]:
    """The claims whose verdict is not the same in all revisions, by their keys and attacks."""
    return sides([_findings(revision.claims.to_dict("records")) for revision in compared.revisions], lambda one: one.verdict)


def _findings(lines: list[dict[str, str]]) -> dict[tuple[str, str], Finding]:
    return {(line["claim"], line["semantics"]): _finding(line) for line in lines}


def _finding(line: dict[str, str]) -> Finding:
    """One line of the table; a claim about gradients is under no attack."""
    attack = SEMANTICS.get(line["semantics"], line["semantics"])
    if not line["comparison"]:
        return Finding(line["sentence"], attack, line["verdict"], line["reason"])
    estimate, low, high = (float(line[name] or "nan") for name in ("estimate", "low", "high"))
    numbers = f"{line['comparison']}: {signed(estimate)} {between(low, high)} {line['unit']}"
    return Finding(line["sentence"], attack, line["verdict"], numbers)
