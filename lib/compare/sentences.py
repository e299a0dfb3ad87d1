"""What the comparison says, in sentences; every one is chosen by the numbers."""

from lib.compare.comparison import Comparison
from lib.compare.differences import Change, moved
from lib.compare.revision import Revision
from lib.parallel import lineage
from lib.report.wording import interval
from lib.statistics.columns import Column, under
from lib.statistics.intervals import CONFIDENCE

MOST = 4  # rows that are named one by one


def sentences(compared: Comparison) -> list[str]:
    """What was not made anew, which rows differ, what became of them where the answer is given, and how sure that is."""
    late = [sentence for revision in compared.revisions if (sentence := lineage.said(revision.outdated, f" in {revision.name}"))]
    if not compared.moved:
        which = "the same outcomes, as far as they were made anew," if late else "the same outcomes"
        names = _listed([revision.name for revision in compared.revisions])
        return [*late, f"{names} have {which} in every row, under every attack."]
    found = [*late, _which(compared)]
    for place, changes in enumerate(compared.changes, 1):
        found += _at_headline(compared, place, changes)
        found.append(_how_sure(compared.revisions[place], changes))
    return found


def threats(revision: Revision) -> list[tuple[str, float]]:
    """The threat models of the paper's tables."""
    listed = (revision.params.get("threats") or {}).get("table") or []
    return [(threat["norm"], float(threat["epsilon"])) for threat in listed if threat.get("step_size") is not None]


def in_tables(column: Column) -> bool:
    """Whether the attack has columns in the tables: transfer and single steps are weaker than the others by design."""
    return column.semantics != "transfer" and column.attack != "fgsm"


def _which(compared: Comparison) -> str:
    names = [compared.rows[row] for row in compared.moved]
    if len(names) == len(compared.rows):
        return f"All {len(names)} rows differ."
    verb = "differs" if len(names) == 1 else "differ"
    return f"Of {len(compared.rows)} rows {len(names)} {verb}: {_listed(names)}. The others have the same outcome on every image."


def _at_headline(compared: Comparison, place: int, changes: dict[tuple[str, Column], Change]) -> list[str]:
    """One sentence per row, for the few or the most changed ones."""
    headline = (compared.revisions[0].params.get("report") or {}).get("figure_threat") or {}
    found: dict[str, list[Change]] = {}
    differing = moved([changes])
    for (row, column), change in changes.items():
        asked = (column.norm, column.epsilon) == (headline.get("norm"), headline.get("epsilon")) and in_tables(column)
        if row in differing and asked:
            found.setdefault(row, []).append(change)
    order = sorted(found, key=lambda row: -max(abs(change.contrast.estimate) for change in found[row]))
    names = compared.revisions[0].name, compared.revisions[place].name
    return [_row(compared.rows[row], names, found[row]) for row in order[:MOST]]


def _row(name: str, names: tuple[str, str], found: list[Change]) -> str:
    threat = found[0].cell[1].threat
    parts = [
        f"{_percent(change.before)} → {_percent(change.after)} % under {_attack(change)} ({interval(change.contrast)} points)"
        for change in found
    ]
    return f"{name} at {threat}, from {names[0]} to {names[1]}: {'; '.join(parts)}."


def _attack(change: Change) -> str:
    column = change.cell[1]
    return under(column.semantics, column.attack)


def _how_sure(revision: Revision, changes: dict[tuple[str, Column], Change]) -> str:
    tested = [change for change in changes.values() if not change.same]
    clear, decided = sum(change.contrast.clear for change in tested), sum(change.contrast.decided for change in tested)
    if not tested:
        return f"{revision.name} has the outcomes of the first revision in every row that both have."
    kinds = {
        "paired": "by seed and image",
        "independent": "as independent samples",
        "unknown": "without an interval, as images are missing",
    }
    how = " or ".join(words for kind, words in kinds.items() if any(change.kind == kind for change in tested))
    told = f"{revision.name}: the outcomes behind {len(tested)} accuracies differ, compared {how}"
    sure = f"{clear} of the {100 * CONFIDENCE:.0f} % intervals leave out zero, {decided} of them after Holm’s correction too"
    return f"{told}; {sure}. The intervals are over test images and seeds."


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
