"""What the gate means for the page’s numbers, in words: which columns its failures are about, which warnings few images explain."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from lib.gate.check import Check
from lib.report.gate import Gate, Line

About = Literal["all", "strict", "paper", "autoattack"]
# What a failing check casts doubt on, where it is not one of those that `_about` looks at more closely. G16 never fails.
ABOUT_STRICT = ("G5", "G6", "G7", "G8", "G11", "G14")
COLUMNS: dict[About, str] = {
    "all": "every number",
    "strict": "the strict attack’s numbers",
    "paper": "the columns of the paper’s attack",
    "autoattack": "the AutoAttack columns",
}
SHORT = "the AutoAttack run here is the weaker one: it is shortened, and the AutoAttack columns read too high"
SATURATED = "one walk on plain cross-entropy, the loss of the paper’s attack, leaves more standing than the losses of the strict attack"
ONE_IMAGE = "(one image)"


@dataclass(frozen=True)
class Failure:
    """A check that fails at one network: which row's, and which numbers that casts doubt on."""

    check: Check
    row: str
    about: About


def sentences(gate: Gate, short: bool) -> list[str]:
    """At most four: whether the headline can be believed, what fails and why, and what few images explain.

    short: whether AutoAttack was run with less than its standard version.
    """
    found = failures(gate, short)
    return [_verdict(found, gate), *_reasons(found, gate), *_expected(gate)]


def failures(gate: Gate, short: bool) -> list[Failure]:
    """Every check of every network that fails."""
    return [Failure(check, line.technique, _about(check, short)) for line, check in _checks(gate.lines) if check.verdict == "fail"]


def _about(check: Check, short: bool) -> About:
    if check.id == "G4":
        return "autoattack" if short and ", AutoAttack " in check.note else "strict"
    if check.id == "G9":
        return "paper" if _saturates(check.note) else "strict"
    if check.id == "G10":
        return "paper" if check.note.startswith("the paper's column fails") else "all"
    return "strict" if check.id in ABOUT_STRICT else "all"


def _saturates(note: str) -> bool:
    """Whether G9's note says that plain cross-entropy, named last, leaves more standing than both other losses."""
    shares = [float(word.strip(",;")) for word in note.partition("leaves ")[2].split() if word.strip(",;").replace(".", "", 1).isdigit()]
    return len(shares) >= 3 and shares[2] > max(shares[:2])


def _verdict(found: Sequence[Failure], gate: Gate) -> str:
    if not found:
        return "Yes, as far as these checks can see: none fails."
    broken, weak = (sorted({one.check.id for one in found if one.about == about}, key=_order) for about in ("all", "strict"))
    if broken:
        count = len({one.row for one in found if one.about == "all"})
        return f"No: {_listed(broken)} fail in {count} of {len(gate.lines)} rows, which puts every number of these rows in doubt."
    if weak:
        rows = list(dict.fromkeys(one.row for one in found if one.about == "strict"))
        but = f"in {len(rows)} of {len(gate.lines)} rows the strict attack may leave too many images standing"
        names = {one.check.id: f"{one.check.id}, {one.check.name}" for one in found}
        return f"Yes, but with care: {but} ({_listed(rows)}; {_listed([names[check] for check in weak])})."
    columns = _listed([COLUMNS[about] for about in dict.fromkeys(one.about for one in found)])
    return f"Yes for the strict attack and for all attacks together, which no failing check is about; read {columns} with care."


def _reasons(found: Sequence[Failure], gate: Gate) -> list[str]:
    """One sentence on the checks that fail, each with what its failing means."""
    parts = []
    for about, check in dict.fromkeys((one.about, one.check.id) for one in sorted(found, key=lambda one: _order(one.check.id))):
        mine = [one for one in found if (one.about, one.check.id) == (about, check)]
        where = f"{check} ({mine[0].check.name}) in {len({one.row for one in mine})} of {len(gate.lines)} rows"
        parts.append(f"{where}: {_meaning(mine[0])}")
    return [f"What fails: {'; '.join(parts)}."] if parts else []


def _meaning(one: Failure) -> str:
    if one.check.id == "G4":
        return SHORT if one.about == "autoattack" else "a weaker attack broke more than a stronger one"
    if one.check.id == "G9":
        return (
            f"{SATURATED}, so the columns of the paper’s attack read too high"
            if one.about == "paper"
            else "plain cross-entropy breaks more than the others"
        )
    return f"it is about {COLUMNS[one.about]}"


def _expected(gate: Gate) -> list[str]:
    """One sentence on the warnings that say only that there are few images."""
    warned = [check for _, check in _checks(gate.lines) if check.verdict == "warn"]
    few = [check for check in warned if check.id == "G16" or ONE_IMAGE in check.note]
    if not few:
        return []
    wide, single = sum(check.id == "G16" for check in few), sum(check.id != "G16" for check in few)
    kinds = [f"{wide} wide intervals (G16)", f"{single} where a rule finer than one image is broken by exactly one"]
    counted = [words for words in kinds if not words.startswith("0 ")]
    rest = len(warned) - len(few)
    others = "No other warns." if rest == 0 else f"{rest} other{'s' if rest > 1 else ''} warn{'s' if rest == 1 else ''}."
    networks = sum(len(line.seeds) for line in gate.lines)
    start = f"Counted over all {networks} networks, of which the table shows each row’s worst seed, {len(warned)} checks warn."
    return [f"{start} To be expected with so few images, and no sign of a fault, are {_listed(counted)}. {others}"]


def _checks(lines: Iterable[Line]) -> list[tuple[Line, Check]]:
    return [(line, check) for line in lines for found in line.seeds.values() for check in found]


def _order(check: str) -> int:
    return int(check.removeprefix("G"))


def _listed(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
