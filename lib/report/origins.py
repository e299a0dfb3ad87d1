"""Whether the rows of one table come from one environment or from several, in words, and the environments as a part of the page."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from lib.base import params
from lib.base.environment import Environment
from lib.report import environments, grid
from lib.report.environments import FIELDS, Records
from lib.report.families import permuted_targets, teacher_targets
from lib.report.results import Evidence, labels
from lib.report.templates import rendered

Level = Literal["same", "commit", "mixed", "unknown"]
STEPS = ("training", "maps", "targets", "evaluation")
# A difference in these alone is said quietly: DVC runs a stage again where code that it uses has changed.
QUIET = ("commit", "modified")
WORDS = {"cuda": "CUDA", "h5py": "h5py", "lock_sha256": "lock", "modified": "edits", "numpy": "NumPy", "python": "Python"}
KINDS = {"images": "image file", "model": "network", "maps": "map file", "targets": "target file"}
KINDS |= {"outcomes": "evaluation", "transfer": "transfer evaluation", "gradients": "gradient measurement"}
ALWAYS = ("torch", "cuda", "device", "commit", "lock_sha256")  # columns of the page's table; others only where they differ
MOST = 3  # so many rows are named where more than one environment has rows
MISSING = 6  # so many results without a record are named


@dataclass(frozen=True)
class Step:
    """One step in the making of a table: by the id of each environment ("": not recorded) which rows had it done there, in words, and
    in which fields of the records these environments differ.
    """

    name: str
    rows: dict[str, list[str]]
    differ: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """The rows, in words, that had one step done in the environment `id`, of which `said` is what sets it apart from the others."""

    id: str
    said: str
    rows: str


@dataclass(frozen=True)
class Notice:
    """What stands below a table. `steps` say which rows come from where, `missing` what has no record."""

    level: Level
    text: str
    missing: str
    steps: dict[str, list[Group]]


def notice(evidence: Evidence, records: Records) -> Notice:
    """What is to be said of the table's rows: training and evaluation of each, and the maps and targets of those that had some."""
    found = [_step(step, evidence, records) for step in STEPS]
    known = environments.different(records)
    if not any(id for step in found for id in step.rows):
        return Notice("unknown", "In which environment the rows of this table were made is not recorded.", "", {})
    missing = _missing(found)
    differ = [field for field in FIELDS if any(field in step.differ for step in found)]
    if not differ:
        return Notice("same", _same(found, known, "The recorded rows" if missing else "All rows"), missing, {})
    level, text = _difference([WORDS.get(field, field) for field in differ if field not in QUIET])
    return Notice(level, text, missing, {step.name: _groups(step, known) for step in found if step.differ})


def below_table(found: Notice, outdated: str) -> Markup:
    """The notice as a part of the page, after what is to be said of results that were not made anew."""
    return rendered("origins.html.j2", notice=found, outdated=outdated)


def section(records: Records) -> Markup:
    """Every environment with what was made in it, as a part of the page."""
    known = environments.different(records)
    counts = {id: Counter(made.kind for made in records.values() if made.id == id) for id in known}
    shown = [field for field in FIELDS if field in ALWAYS or len({getattr(one, field) for one in known.values()}) > 1]
    shown = [field for field in shown if field != "modified"]  # stands beside the commit
    lines = [(id, [value(one, field) for field in shown], _counted(counts[id])) for id, one in known.items()]
    first = next(iter(known.values()), None)
    alike = [_prefixed(field, value(first, field)) for field in FIELDS if first and field not in (*shown, "modified")]
    lost = [path for path, made in records.items() if made.record is None]
    heads = [WORDS.get(field, field) for field in shown]
    left = {"missing": _some(lost, MISSING), "lost": len(lost), "total": len(records)}
    return rendered("environments.html.j2", environments=lines, heads=heads, alike=alike, **left)


def value(record: Environment, field: str) -> str:
    """What a record says of one field, short enough for a table."""
    said = getattr(record, field)
    if said is None:
        return "–"
    if field == "commit":
        return said[:7] + (" with edits" if record.modified else "")
    return said[:7] if field == "lock_sha256" else str(said)


def _words(record: Environment) -> str:
    """An environment in one line: `torch 2.13.0, cpu (AMD EPYC), commit f63869f, lock 3c1a0b2`."""
    cuda = f"CUDA {record.cuda}, " if record.cuda else ""
    code = f"commit {value(record, 'commit')}" if record.commit else "commit not known"
    lock = f"lock {value(record, 'lock_sha256')}" if record.lock_sha256 else "no lock"
    return f"torch {record.torch}, {cuda}{record.device}, {code}, {lock}"


def _step(step: str, evidence: Evidence, records: Records) -> Step:
    names = labels(evidence.rows)
    found: dict[str, dict[str, list[int]]] = {}
    for row in (key for key, entry in evidence.rows.items() if entry.threats == "table"):
        for seed in evidence.seeds:
            for id in dict.fromkeys(records[path].id for path in _paths(step, row, seed)):
                found.setdefault(id, {}).setdefault(names[row], []).append(seed)
    known = environments.different(records)
    differ = tuple(field for field in FIELDS if _differs(field, [known[id] for id in found if id]))
    return Step(step, {id: [_seeded(row, seeds, evidence.seeds) for row, seeds in there.items()] for id, there in found.items()}, differ)


def _differs(field: str, used: Sequence[Environment]) -> bool:
    """Whether environments differ in one field; threads where there are any, as a GPU needs none."""
    return len({getattr(one, field) for one in used} - ({None} if field == "threads" else set())) > 1


def _paths(step: str, row: str, seed: int) -> list[str]:
    """What one step made for one row; nothing where the row had no such step."""
    if step == "training":
        return [environments.model(seed, row)]
    if step == "evaluation":
        return [environments.outcomes((seed, row, attack)) for attack in (grid.EVALUATION, *params.value("own_attacks"))]
    if row not in params.value("ir"):
        return []
    source = next(iter(permuted_targets())) if row in permuted_targets() else row
    if step == "maps":
        return [environments.maps(seed, source)] if source in teacher_targets() else []
    return list(dict.fromkeys(environments.targets(seed, name) for name in (source, row)))


def _difference(loud: Sequence[str]) -> tuple[Level, str]:
    """How much is said of rows that differ in these fields, and perhaps in the commit."""
    if loud:
        return "mixed", f"Rows of this table were made in different environments, which differ in {_listed(loud)}."
    return "commit", "The rows of this table were made by different commits of the code, otherwise alike."


def _same(found: Sequence[Step], known: dict[str, Environment], what: str) -> str:
    """All rows share their environments; steps whose environments read alike are named together."""
    steps: dict[str, list[str]] = {}
    for step in found:
        for id in filter(None, step.rows):
            steps.setdefault(_words(known[id]), []).append(step.name)
    if len(steps) == 1:
        return f"{what} of this table were made in one environment: {next(iter(steps))}."
    said = "; ".join(f"{_listed(names)} in {words}" for words, names in steps.items())
    return f"{what} of this table were made in the same environments: {said}."


def _groups(step: Step, known: dict[str, Environment]) -> list[Group]:
    """The environments of one step, the one with the most rows last: where these are many they are the rest."""
    fields = list(dict.fromkeys("commit" if field == "modified" else field for field in step.differ))
    ordered = sorted(filter(None, step.rows), key=lambda id: len(step.rows[id]))
    found = []
    for id in ordered:
        said = [_prefixed(field, value(known[id], field)) for field in fields if getattr(known[id], field) is not None]
        rows = step.rows[id]
        found.append(Group(id, ", ".join(said), "the other rows" if id == ordered[-1] and len(rows) > MOST else ", ".join(rows)))
    return found


def _prefixed(field: str, said: str) -> str:
    """`torch 2.13.0`, but a device needs no name before it."""
    return said if field == "device" else f"{WORDS.get(field, field)} {said}"


def _missing(found: Sequence[Step]) -> str:
    """What has no record, in words."""
    lost = [f"{step.name} of {row}" for step in found for row in step.rows.get("", [])]
    return f"Not recorded: {_some(lost, MISSING)}." if lost else ""


def _seeded(row: str, seeds: list[int], all: list[int]) -> str:
    """A row, with its seeds where these are not all.

    >>> _seeded("JR", [1], [0, 1]), _seeded("JR", [0, 1], [0, 1])
    ('JR (seed 1)', 'JR')
    """
    return row if seeds == all else f"{row} (seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))})"


def _counted(kinds: Counter[str]) -> str:
    """How many results of each kind, in words.

    >>> _counted(Counter({"model": 2, "images": 1}))
    '2 networks, 1 image file'
    """
    return ", ".join(f"{count} {KINDS[kind]}{'s' * (count > 1)}" for kind, count in kinds.items())


def _some(names: Sequence[str], most: int) -> str:
    """The first few of many names.

    >>> _some(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def _listed(words: Sequence[str]) -> str:
    """`a, b and c`.

    >>> _listed(["torch", "device", "lock"])
    'torch, device and lock'
    """
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
