"""Say what a `dvc repro` did: what ran, what came from the cache, how long each took, and where report and log are.

LOG holds what `dvc repro` printed; `make repro` keeps one in .logs and ends with this. Times are in the file that STAGE_TIMES named during
the run (a line per stage that ran); without a log only these are known.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import click

from lib.base.command import Command
from lib.base.errors import InputError, require
from lib.parallel.resources import kind_of
from lib.report.aligned import aligned

REPORT = Path("report/index.html")
FEW = 24  # stages that are listed one by one
KINDS = {
    "ran": re.compile(r"^Running stage '(.+)':", re.MULTILINE),
    "from cache": re.compile(r"^Stage '(.+)' is cached - skipping run", re.MULTILINE),
    "unchanged": re.compile(r"^Stage '(.+)' didn't change, skipping", re.MULTILINE),
}
FAILED = re.compile(r"failed to reproduce(?: stages:)? ((?:'[^']+'(?:, | and )?)+)")


@dataclass(frozen=True)
class Took:
    """How long a stage took, in seconds: its process until it could begin, and its work."""

    startup: float
    work: float


@click.command(cls=Command, help=__doc__)
@click.argument("log", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@click.option(
    "--times", type=click.Path(path_type=Path), envvar="STAGE_TIMES", show_envvar=True, help="File with a line per stage that ran."
)
@click.option("--seconds", type=click.FloatRange(min=0), help="How long the whole run took.")
def main(log: Path | None, times: Path | None, seconds: float | None) -> None:
    given = log is not None or times is not None
    require(given, "expected a log of dvc repro, or --times with the file that STAGE_TIMES named, got neither")
    took = read_times(times) if times else {}
    text = log.read_text(encoding="utf-8", errors="replace") if log else ""
    found = stages(text) if log else {"ran": list(took), "from cache": [], "unchanged": []}
    click.echo("\n".join(summary(found, took, seconds, failures(text))))
    if log is not None:
        click.echo(f"Everything that was printed: {log}")


def stages(text: str) -> dict[str, list[str]]:
    """What `dvc repro` said of each stage: which it ran, took from its cache of earlier runs, or left as they were."""
    return {kind: list(dict.fromkeys(pattern.findall(text))) for kind, pattern in KINDS.items()}


def failures(text: str) -> list[str]:
    """The stages that `dvc repro` gave up.

    >>> failures("ERROR: failed to reproduce 'train-ir@R_simple-0': failed to run: python -m stages.train_ir, exited with 1")
    ['train-ir@R_simple-0']
    """
    return list(dict.fromkeys(name for told in FAILED.findall(text) for name in re.findall(r"'([^']+)'", told)))


def read_times(path: Path) -> dict[str, Took]:
    """Stage -> how long it took; a stage that ran more than once counts with its last run. Empty if nothing ran."""
    found: dict[str, Took] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines() if path.is_file() else [], 1):
        try:
            entry = json.loads(line)
            found[entry["stage"]] = Took(float(entry["startup"]), float(entry["work"]))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"expected stage, startup and work in line {number} of {path}, got {line[:80]!r}") from error
    return found


def summary(found: dict[str, list[str]], took: dict[str, Took], seconds: float | None, failed: list[str]) -> list[str]:
    """The lines: what happened in one sentence, a table by kind of stage, the stages that ran, and where the report is."""
    lines = [headline(found, took, seconds)]
    if any(found["ran"]) or any(found["from cache"]):
        lines += ["", *by_kind(found, took)]
    if 0 < len(found["ran"]) <= FEW:
        lines += ["", *each(found["ran"], took)]
    if failed:
        return [*lines, "", f"FAILED: {', '.join(failed)}. What follows from it was not made; {REPORT} is as it was before."]
    return [*lines, "", where(found)]


def headline(found: dict[str, list[str]], took: dict[str, Took], seconds: float | None) -> str:
    """`2 stages ran, 1 came from the cache, 136 were up to date: 63 s in all, 41 s of work, 9 s to start processes, 13 s DVC itself.`"""
    told = f"{len(found['ran'])} stages ran, {len(found['from cache'])} came from the cache, {len(found['unchanged'])} were up to date"
    known = [took[name] for name in map(_short, found["ran"]) if name in took]
    work, startup = sum(one.work for one in known), sum(one.startup for one in known)
    parts = [] if seconds is None else [f"{seconds:.0f} s in all"]
    parts += [f"{work:.0f} s of work", f"{startup:.0f} s to start processes"] if known else []
    parts += [f"{max(0.0, seconds - work - startup):.0f} s DVC itself"] if seconds is not None and known else []
    return f"{told}: {', '.join(parts)}." if parts else f"{told}."


def by_kind(found: dict[str, list[str]], took: dict[str, Took]) -> list[str]:
    """A line per kind of stage."""
    kinds = dict.fromkeys(kind_of(name) for names in found.values() for name in names)
    lines = [["stage", *KINDS, "work, s", "longest, s"]]
    for kind in kinds:
        counts = {key: sum(kind_of(name) == kind for name in names) for key, names in found.items()}
        works = [took[_short(name)].work for name in found["ran"] if kind_of(name) == kind and _short(name) in took]
        seconds = [f"{sum(works):.1f}", f"{max(works):.1f}"] if works else ["", ""]
        lines.append([kind, *(str(count or "") for count in counts.values()), *seconds])
    return aligned(lines)


def each(ran: Iterable[str], took: dict[str, Took]) -> list[str]:
    """A line per stage that ran, in that order."""
    known = [(name, took.get(_short(name))) for name in ran]
    lines = [[name, f"{one.work:.1f}" if one else "", f"{one.startup:.1f}" if one else ""] for name, one in known]
    return aligned([["ran", "work, s", "start, s"], *lines])


def where(found: dict[str, list[str]]) -> str:
    """Where the report is, and whether it is a new one."""
    if not REPORT.is_file():
        return f"There is no {REPORT} yet."
    made = [name for name in (*found["ran"], *found["from cache"]) if _short(name) == "report"]
    return f"The report is {REPORT}{', made anew' if made else ', as it was before'}."


def _short(name: str) -> str:
    """A stage's name without the file that it stands in.

    >>> _short("studies/audit/dvc.yaml:run@jr"), _short("report")
    ('run@jr', 'report')
    """
    return name.rpartition(":")[2]


if __name__ == "__main__":
    main()
