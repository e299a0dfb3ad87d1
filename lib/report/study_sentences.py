"""What the studies say, in words that are chosen by comparisons with the numbers."""

from collections.abc import Sequence
from statistics import median

import pandas as pd

from lib.columns import Column
from lib.report.effects import Change, within
from lib.report.findings import between, signed
from lib.report.regression import PREDICTORS, Regression

MARGIN = 5.0  # points: an effect whose whole interval lies within is called small
MOST = 8  # names in one list
COLLAPSE = 30.0  # points of clean accuracy: a network that loses so much has not learnt its task
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def audit_words(changes: Sequence[Change]) -> list[str]:
    """Which switches matter to strict robust accuracy, which do not, and what remains open."""
    lost = _collapsed(changes)
    changes = [change for change in changes if change not in collapsed(changes)]
    clear = ranked([change for change in changes if change.effects["robust"].clear])
    left = [change for change in clear if change.effects["robust"].withstands]
    small = [change for change in changes if change not in clear and within(change.effects["robust"], MARGIN)]
    found = [_clear_words(clear, left, len(changes))]
    if small:
        have = "has at most a small effect, with an interval" if len(small) == 1 else "have at most a small effect, with intervals"
        found.append(f"{number(len(small)).capitalize()} {have} within ±{MARGIN:g} points: {_names(small)}.")
    open_ = [change for change in changes if change not in clear and change not in small]
    if open_:
        width = median(change.effects["robust"].high - change.effects["robust"].mean for change in open_)
        found.append(
            f"Undecided: {number(len(open_))}, half of whose intervals reach more than {width:.0f} points to either side, so that an "
            "effect of that size could have gone unnoticed."
        )
    return [*found, *lost, *_elsewhere(changes)]


def meaning(changes: Sequence[Change], lead: float | None, study: str = "") -> list[str]:
    """What the audit means for the main result: which switches move accuracy by more than the `lead` (points) over the permuted maps that
    another `study` found in the same way.
    """
    if lead is None:
        return []
    standing = [change for change in changes if change not in collapsed(changes)]
    moving = ranked([change for change in standing if change.effects["robust"].clear and change.effects["robust"].size > abs(lead)])
    start = f"For the main result: of the {number(len(standing))} switches that leave a working network, "
    than = f"more than the {abs(lead):.1f} points that part the maps from their permuted copies in study {study}, measured alike"
    if not moving:
        return [f"{start}none with an interval that excludes no effect moves robust accuracy by {than}."]
    beyond = [one for one in moving if max(one.effects["robust"].low, -one.effects["robust"].high) > abs(lead)]
    verb = "moves" if len(moving) == 1 else "move"
    sure = f"whole interval lies beyond them for {number(len(beyond))}" if beyond else "whole interval lies beyond them for none"
    clear = "whose interval excludes no effect" if len(moving) == 1 else "whose intervals exclude no effect"
    return [f"{start}{number(len(moving))} {clear} {verb} robust accuracy by {than}: {_sized(moving)}; the {sure}."]


def collapsed(changes: Sequence[Change]) -> list[Change]:
    """The variants whose clean accuracy is far below that of what they are compared with."""
    return [change for change in changes if change.effects["clean"].mean < -COLLAPSE]


def group_words(changes: Sequence[Change]) -> str:
    """What strict robust accuracy does in one group, each variant against its own base."""
    gone = collapsed(changes)
    changes = [change for change in changes if change not in gone]
    clear = ranked([change for change in changes if change.effects["robust"].clear])
    rest = [change for change in changes if change not in clear]
    broken = f" {_collapsed(gone)[0]}" if gone else ""
    bases = list(dict.fromkeys(change.against for change in changes))
    than = called(bases[0]) if len(bases) == 1 else "what each is compared with"
    if not clear:
        many = f"Against {than} the seeds decide for none of these {number(len(rest))}."
        return (many if len(rest) > 1 else f"Against {than} the seeds do not decide.") + broken
    parts = []
    for word, sign in (("more", 1), ("less", -1)):
        mine = [change for change in clear if sign * change.effects["robust"].mean > 0]
        parts += [f"{word} robust than {than}, with an interval that excludes zero: {_sized(mine)}"] * bool(mine)
    parts.append(f"after Holm’s correction {_of(len([one for one in clear if one.effects['robust'].withstands]), len(clear))}")
    parts += [f"undecided: {_names(rest)}"] * bool(rest)
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}.{broken}"


def regression_words(found: Regression, per_seed: Sequence[Regression]) -> list[str]:
    """How much norm and direction explain, together and each beyond the other."""
    norm, cosine = (found.coefficients[name] for name in PREDICTORS)
    together = (
        f"Over {found.n} variants, each a mean over seeds, norm and direction together explain {100 * found.explained:.0f} % of the "
        f"variance of strict robust accuracy (R² {found.explained:.2f})."
    )
    apart = (
        f"Of what the direction leaves unexplained the norm explains {100 * norm.partial:.0f} %; of what the norm leaves, the direction "
        f"{100 * cosine.partial:.0f} % (partial R²). A gradient twice as large goes with {signed(norm.value)} points "
        f"{between(norm.low, norm.high)}, a cosine higher by 0.1 with {signed(cosine.value / 10)} points "
        f"{between(cosine.low / 10, cosine.high / 10)}."
    )
    agree = all(_sign(one) == _sign(found) for one in per_seed)
    seeds = f"Fitted to each of {number(len(per_seed))} seeds alone, both signs are "
    return [together, apart, seeds + ("the same." if agree else "not all the same, so at least one of them is luck.")]


def matched_words(changes: Sequence[Change], fitting: dict[str, bool]) -> list[str]:
    """What remains of the differences at equal validation loss; `fitting` says for which variants every seed found a strength."""
    kept = [change for change in changes if fitting[change.variant] and fitting[change.base]]
    lost = [change for change in changes if change not in kept]
    found = [f"At equal validation loss: {_lowered(group_words(kept))}"] if kept else []
    if lost:
        found.append(f"Not comparable, as some seed found no strength within the tolerance: {_names(lost)}.")
    return found


def ranked(changes: Sequence[Change], measure: str = "robust") -> list[Change]:
    """The largest effect first, whichever way it goes; what has none (NaN) comes last."""
    return sorted(changes, key=lambda change: -change.effects[measure].size)


def reading(table: pd.DataFrame) -> str:
    """How the numbers of a study's table (lib/study_table.py) and their effects are to be read."""
    first, seeds = table.iloc[0], int(table["seed"].nunique())
    images, threat = int(first["n_attacked"]), Column("", "", first["norm"], first["epsilon"]).threat
    return (
        f"Means over {seeds} seeds; robust accuracy on {images} test images at {threat} (elsewhere where its name says so), where one "
        f"image is {100 / images:.1f} points. Differences are paired by seed, with Student’s 95 % t interval over the seeds ({seeds - 1} "
        f"degree{'s' * (seeds > 2)} of freedom); the norm’s is a ratio of geometric means. All networks are attacked on the same images, "
        "and the tables hold no single images, so an interval over images is not available. Bold: the interval excludes no effect; †: "
        "also after Holm’s correction over all variants of the study, measure by measure. With so few seeds an effect that is not bold "
        "may still be there."
    )


def number(count: int) -> str:
    """A small number as a word.

    >>> number(3), number(34)
    ('three', '34')
    """
    return NUMBERS[count] if count < len(NUMBERS) else str(count)


def called(label: str) -> str:
    """A label within a sentence, in quotation marks where it has several words.

    >>> called("JR"), called("JR, GELU"), called("IR(R,SmG)")
    ('JR', '“JR, GELU”', 'IR(R,SmG)')
    """
    return f"“{label}”" if " " in label else label


def _clear_words(clear: Sequence[Change], left: Sequence[Change], total: int) -> str:
    if not clear:
        return f"Of {total} switches none has an interval over the seeds that excludes no effect on accuracy under the strict attack."
    verb = "has an interval that excludes" if len(clear) == 1 else "have intervals that exclude"
    first = f"Of {total} switches {number(len(clear))} {verb} no effect on accuracy under the strict attack: "
    chance = f" By chance alone one would expect {0.05 * total:.1f} among {total}."
    after = f" After Holm’s correction {_of(len(left), len(clear))}"
    return first + _sized(clear) + "." + chance + after + (f": {_names(left)}." if left and len(left) < len(clear) else ".")


def _collapsed(changes: Sequence[Change]) -> list[str]:
    """Those are not less robust, they do not work."""
    lost = collapsed(changes)
    if not lost:
        return []
    each = ", ".join(f"{called(change.label)} ({change.effects['clean'].shown} points of clean accuracy)" for change in lost)
    return [f"Collapsed, so that it says nothing of robustness: {each}."]


def _elsewhere(changes: Sequence[Change]) -> list[str]:
    """Switches that visibly move the size of the gradients, but not robust accuracy."""
    only = ranked([change for change in changes if change.effects["norm"].clear and not change.effects["robust"].clear], "norm")
    return [f"The size of the gradients changes, without a visible change of robust accuracy, with: {_names(only)}."] if only else []


def _sized(changes: Sequence[Change]) -> str:
    return ", ".join(f"{called(change.label)} ({change.effects['robust'].shown})" for change in changes)


def _names(changes: Sequence[Change]) -> str:
    """What they are called, up to `MOST` of them."""
    names = [called(change.label) for change in changes]
    rest = len(names) - MOST
    return ", ".join(names) if rest < 2 else f"{', '.join(names[:MOST])} and {number(rest)} more"


def _of(left: int, total: int) -> str:
    """How many of a few remain.

    >>> _of(1, 1), _of(0, 3), _of(2, 3)
    ('it remains', 'none remains', 'two of these three remain')
    """
    if left == 0 or total == 1:
        return "it remains" if left else "none remains"
    return f"{number(left)} of these {number(total)} remain{'s' * (left == 1)}"


def _lowered(text: str) -> str:
    return text[0].lower() + text[1:]


def _sign(found: Regression) -> list[bool]:
    return [one.value > 0 for one in found.coefficients.values()]
