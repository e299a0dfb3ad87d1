"""What a check of the gate is, and the arithmetic of verdicts: which is worse, and what one image more or less may decide."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["pass", "warn", "fail", "info", "not measured"]
About = Literal["all", "radius", "paper"]  # every figure, the robust radii and what follows from them, the columns of the paper's attack
SEVERITY: dict[Verdict, int] = {"info": 0, "pass": 1, "not measured": 2, "warn": 3, "fail": 4}
LOUD: tuple[Verdict, ...] = ("fail", "warn")
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Check:
    """One answer of the gate. `value` is in `unit` ("points" and "%" of the images; "" is a plain number), None if not measured."""

    id: str
    name: str
    value: float | None
    unit: str
    rule: str
    verdict: Verdict
    note: str


@dataclass(frozen=True)
class Part:
    """One of the comparisons that a check consists of: its verdict, the number behind it, and the sentence that says so."""

    verdict: Verdict
    value: float
    note: str


@dataclass(frozen=True)
class Rule:
    """A check before it is asked: its name, the unit of its value, its rule in words, and which figures a failure puts in doubt."""

    id: str
    name: str
    unit: str
    about: About
    rule: str

    def check(self, parts: Sequence[Part | None], missing: Sequence[str] = ()) -> Check:
        """The check whose value is that of the first part and whose verdict is the worst of all.

        Its note says what every part says; where one warns or fails, those that pass keep silent.
        A check that lacks a record it needs (`missing` names the attacks) may warn or fail, but it cannot pass.
        """
        measured = [part for part in parts if part]
        verdict, absent = worst(part.verdict for part in measured), list(missing)
        if not parts or parts[0] is None:
            absent = absent or ["the attacks that it needs"]
        if absent and verdict not in LOUD:
            verdict = "not measured"
        value = parts[0].value if parts and parts[0] else None
        return Check(self.id, self.name, value, self.unit, self.rule, verdict, _note(measured, verdict, absent))


def _note(parts: list[Part], verdict: Verdict, absent: list[str]) -> str:
    """What the parts say, the worst first; what is missing comes first where that decides."""
    kept = [part for part in parts if part.note and not (verdict in LOUD and part.verdict == "pass")]
    said = [part.note for part in sorted(kept, key=lambda part: -SEVERITY[part.verdict])]
    lack = [f"not measured: {', '.join(absent)}"] * bool(absent)
    return "; ".join(said + lack if verdict in LOUD else lack + said)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The most severe verdict; "not measured" if there is none.

    >>> worst(["pass", "warn", "info"]), worst([])
    ('warn', 'not measured')
    """
    return max(verdicts, key=lambda verdict: SEVERITY[verdict], default="not measured")


def hardest(parts: Iterable[Part]) -> Part | None:
    """The part with the worst verdict, and among those with the largest value; None if there is none."""
    return max(parts, key=lambda part: (SEVERITY[part.verdict], part.value), default=None)


def counted(images: float, n: int, limit: float, severe: Verdict, note: str, inclusive: bool = True) -> Part:
    """Judge `images` of n against a `limit` in percent of the images, which itself is allowed if `inclusive`.

    Where the limit is finer than one image, exactly one image (or a part of one, in a mean over runs) cannot be told apart from
    chance: it is worth a warning; anything more gets the `severe` verdict.

    >>> [counted(images, 100, 0.5, "fail", "").verdict for images in (0, 1, 2)]
    ['pass', 'warn', 'fail']
    >>> [counted(images, 1000, 0.5, "fail", "").verdict for images in (5, 6)]
    ['pass', 'fail']
    """
    share = 100 * images / n
    if share <= limit + _ROUNDING if inclusive else share < limit - _ROUNDING:
        return Part("pass", share, note)
    if images <= 1 + _ROUNDING:
        return Part("warn", share, f"{note} (one image)" if note else "one image")
    return Part(severe, share, note)


def over(value: float, limit: float, severe: Verdict, note: str) -> Part:
    """Judge a number that is no count of images: above the limit it gets the `severe` verdict."""
    return Part(severe if not value <= limit else "pass", value, note)
