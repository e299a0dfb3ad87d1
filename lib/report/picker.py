"""The gallery of the page: pick a class, and see what one image of it became on its way from a teacher's gradient to the students'."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from lib.base import params
from lib.base.errors import require
from lib.base.image_file import Split
from lib.report import pixels
from lib.report.families import is_robust, permuted_targets, teacher_targets
from lib.report.galleries import target_words
from lib.report.results import Evidence, labels
from lib.report.templates import rendered
from lib.targets import target_file, transforms

METHODS = {"simple": "simple gradient", "smoothgrad": "SmoothGrad"}
DIGITS = ("mnist", "mnist5k")
MOST = 10  # classes; each has about thirty pictures


@dataclass(frozen=True)
class Tile:
    """One picture: its `name` below it, `source` as a data URI, `alt`, and for a map its `largest` absolute value (logits per unit of
    pixel intensity) and, of a gradient, the `cosine` with the target that it was trained to resemble.
    """

    name: str
    source: Markup
    alt: str
    largest: float | None = None
    cosine: float | None = None

    @property
    def scale(self) -> str:
        """The largest absolute value to two digits.

        >>> Tile("", Markup(""), "", 0.0562).scale, Tile("", Markup(""), "", 118.4).scale
        ('0.056', '118')
        """
        value = self.largest or 0.0
        return f"{value:.0f}" if value >= 99.5 else f"{value:.2g}"


@dataclass(frozen=True)
class Group:
    """Pictures that belong together; `missing` says what is not among them."""

    title: str
    words: str
    tiles: tuple[Tile, ...]
    missing: str = ""


@dataclass(frozen=True)
class Pick:
    """What is shown of one class: train image number `row`."""

    label: int
    row: int
    image: Tile
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Sets:
    """What there is to show of the chosen images: maps (n, C, H, W) by name, n as many as `rows`.

    `raw` and `targets` by target set; `students` by row of the table, for the images at the positions `kept` of them (-1: none kept).
    """

    rows: np.ndarray
    raw: dict[str, np.ndarray]
    targets: dict[str, np.ndarray]
    students: dict[str, np.ndarray]
    kept: np.ndarray


def section(evidence: Evidence, train: Split, targets: Path, maps: Path | None = None) -> Markup:
    """The gallery as a part of the page; it says what is absent.

    Args:
        targets: folder of the first seed's target files.
        maps: folder of the first seed's maps before the threshold; None: they are left out.
    """
    sets = _sets(evidence, train, targets, maps)
    found = bool(sets.targets or sets.raw or sets.students)
    picks = sorted((_pick(evidence, train, sets, place) for place in range(len(sets.rows))), key=lambda pick: pick.label) if found else []
    total = len(np.unique(train.labels))
    words = {"kind": _kind(train), "seed": evidence.seeds[0], "reduced": max(train.images.shape[2:]) > pixels.SIDE, "side": pixels.SIDE}
    left_out = f"{total - MOST} of {total} classes are not shown." if total > MOST else ""
    return rendered("picker.html.j2", picks=picks, gradient=pixels.gradient(), channels=train.images.shape[1], left_out=left_out, **words)


def chosen(train: Split, kept: np.ndarray) -> np.ndarray:
    """The rows, ascending, of one train image of each of the first `MOST` classes: among those `kept` if there is one, else the first."""
    found = []
    for label in np.unique(train.labels)[:MOST]:
        among = [row for row in kept if train.labels[row] == label]
        found.append(int(among[0]) if among else int(np.flatnonzero(train.labels == label)[0]))
    return np.sort(found)


def cosine(first: np.ndarray, second: np.ndarray) -> float | None:
    """The cosine of two maps of the same shape; None if one of them is zero everywhere.

    >>> cosine(np.array([3.0, 4.0]), np.array([3.0, 0.0]))
    0.6
    """
    one, other = first.astype(np.float64).ravel(), second.astype(np.float64).ravel()
    norms = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / norms if norms > 0 else None


def map_tile(name: str, what: str, values: np.ndarray, target: np.ndarray | None = None) -> Tile:
    """The picture of a map (C, H, W), which the alternative text calls `what`."""
    shown = pixels.flat(values)
    above, below = float((shown > 0).mean()), float((shown < 0).mean())
    alt = f"{what}: {100 * above:.0f} % of the pixels speak for the label, {100 * below:.0f} % against it"
    resembles = None if target is None else cosine(values, target)
    return Tile(name, pixels.of_map(shown), alt, float(np.abs(shown).max()), resembles)


def _sets(evidence: Evidence, train: Split, targets: Path, maps: Path | None) -> Sets:
    count = min((len(found) for found in evidence.examples.values()), default=0)
    known = evidence.example_rows[:count]
    rows = chosen(train, known)
    kept = np.array([next((place for place, row in enumerate(known) if row == wanted), -1) for wanted in rows])
    raw = {} if maps is None else _present(maps, list(teacher_targets()), train, rows)
    found = _present(targets, list(dict.fromkeys([*teacher_targets(), *permuted_targets()])), train, rows)
    return Sets(rows, raw, found, evidence.examples if count else {}, kept)


def _present(folder: Path, names: Sequence[str], train: Split, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The maps of these rows, ascending, in those files that are there."""
    return {name: _read(folder / f"{name}.h5", train, rows) for name in names if (folder / f"{name}.h5").is_file()}


def _read(path: Path, train: Split, rows: np.ndarray) -> np.ndarray:
    with target_file.opened(path) as (header, maps):
        target_file.fit(path, header, maps, train)
        require(header.name == path.stem, f"{path} says that it holds the maps {header.name!r}")
        return transforms.finished(header.provenance, maps[rows])


def _pick(evidence: Evidence, train: Split, sets: Sets, place: int) -> Pick:
    row = int(sets.rows[place])
    label = int(train.labels[row])
    whose = f"train image {row}, {_kind(train)} {label}"
    image = Tile("image", pixels.of_image(train.images[row]), f"The image: {whose}")
    groups = [_teacher(teacher, sets, place) for teacher in _teachers()]
    groups += [_permuted(sets, place), *_students(evidence, sets, place)]
    return Pick(label, row, image, tuple(groups))


def _teachers() -> list[str]:
    return list(dict.fromkeys(teacher for teacher, _ in teacher_targets().values()))


def _teacher(teacher: str, sets: Sets, place: int) -> Group:
    """A teacher's maps, each followed by the target that the threshold makes of it."""
    tiles = []
    for name, (whose, method) in teacher_targets().items():
        words = METHODS.get(method, method)
        for found, after in ((sets.raw, ""), (sets.targets, ", thresholded")):
            if whose == teacher and name in found:
                tiles.append(map_tile(f"{words}{after}", f"{words} of the teacher {teacher}{after}", found[name][place]))
    robust = "robust" if is_robust(teacher) else "non-robust"
    missing = "" if sets.raw else "The maps before the threshold were not given to this report."
    words = "Its gradient of the label’s logit, and what the threshold leaves of it as a target."
    return Group(f"The {robust} teacher {teacher}", words, tuple(tiles), missing if tiles else "No maps of it are at hand.")


def _permuted(sets: Sets, place: int) -> Group:
    source = target_words(params.value("permute", "source"))
    present = {name: share for name, share in permuted_targets().items() if name in sets.targets}
    tiles = [
        map_tile(f"{100 * share:.0f} % permuted", f"The target {source}, {100 * share:.0f} % permuted", sets.targets[name][place])
        for name, share in present.items()
    ]
    words = f"The target {source} with a growing share of its pixels in other places: the same values, less and less of a picture."
    missing = "" if any(present.values()) else "No permuted targets are at hand."
    return Group("Permuted targets", words, tuple(tiles) if not missing else (), missing)


def _students(evidence: Evidence, sets: Sets, place: int) -> list[Group]:
    """The trained networks' own gradients: those without targets, then those that were trained to resemble one."""
    guided = [row for row in evidence.rows if row in params.value("ir")]
    free = [row for row in evidence.rows if row not in guided]
    named = (
        ("Trained without targets", "Each network’s own gradient of the label’s logit.", free),
        ("Trained to resemble a target", "The students’ own gradients, with their cosine to the target that each was shown.", guided),
    )
    missing = "" if sets.kept[place] >= 0 else "No network’s gradient was kept for an image of this class (gradients.examples)."
    return [Group(title, words, () if missing else _own(evidence, rows, sets, place), missing) for title, words, rows in named if rows]


def _own(evidence: Evidence, rows: Sequence[str], sets: Sets, place: int) -> tuple[Tile, ...]:
    names, at = labels(evidence.rows), int(sets.kept[place])
    targets = {row: sets.targets[row][place] for row in rows if row in params.value("ir") and row in sets.targets}
    return tuple(map_tile(names[row], f"Gradient of {names[row]}", sets.students[row][at], targets.get(row)) for row in rows)


def _kind(train: Split) -> str:
    return "digit" if train.dataset in DIGITS else "class"
