"""The robust radius of every image under one model, and every other outcome of its evaluation. Accuracies are derived, never stored.

Layout: `rows`, `labels`, `clean` (n,); per norm `radius/<norm>` (n,) float32 and `found_by/<norm>` (n,) text; per threat model of the paper
`paper/<norm>_<epsilon>` (runs, n) uint8, and of the referee `referee/<norm>_<epsilon>/asked` (n,) and `broken` (attacks, n) uint8; the
gate's probes in `probes/0`, `probes/1`, … with `correct` (runs, n) and `asked` (n,) uint8; and what the attacks noticed on each image in
`telemetry/<group>/<name>` (n,) float32, the group being a norm or the place of one of the others.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

import h5py
import numpy as np

from lib.base import h5, json_text, params
from lib.base.errors import require
from lib.evaluation import radii
from lib.evaluation.threats import Norm

KIND = "radii"
NORMS: tuple[Norm, ...] = get_args(Norm)
CLEAN = "clean"  # what "finds" the radius 0 of an image that is misclassified as it is
PAPER, REFEREE, PROBE = "paper", "autoattack", "probe"
TRANSFER = "transfer"
GROUPS = {PAPER: "paper", REFEREE: "referee", PROBE: "probes"}


@dataclass(frozen=True)
class Record:
    """One attack at one radius: `correct` (runs, n) bool, true where the model still classified the attacked image correctly.

    `aggregate` says how runs become one accuracy: "mean" (the paper: independent runs are averaged) or "worst" (an image counts
    as robust only if no run fooled it). `settings` holds every hyperparameter of the attack, `telemetry` what it noticed on each
    image, (n,) float32, NaN where it was not attacked. `asked` (n,) bool says on which images the attack was tried; None: on all.
    """

    semantics: str
    attack: str
    norm: str
    epsilon: float
    aggregate: Literal["mean", "worst"]
    correct: np.ndarray
    settings: dict = field(default_factory=dict)
    telemetry: dict[str, np.ndarray] = field(default_factory=dict)
    asked: np.ndarray | None = None

    @property
    def per_image(self) -> np.ndarray:
        """How far each image counts as robust, (n,) float: 0 or 1 for the worst case, a share of the runs for the mean."""
        return self.correct.mean(0) if self.aggregate == "mean" else self.correct.all(0).astype(float)

    @property
    def accuracy(self) -> float:
        """Robust accuracy as a fraction of the images that were asked for.

        >>> fooled_once = np.array([[True, True], [True, False]])
        >>> Record("paper", "pgd40", "l2", 1.5, "mean", fooled_once).accuracy
        0.75
        >>> Record("strict", "search", "l2", 1.5, "worst", fooled_once).accuracy
        0.5
        """
        return float((self.per_image if self.asked is None else self.per_image[self.asked]).mean())

    def noticed(self, name: str) -> np.ndarray:
        """The telemetry `name` of the images that were attacked, (m,); empty where the attack did not keep it."""
        found = self.telemetry.get(name, np.empty(0))
        return found[~np.isnan(found)]


@dataclass(frozen=True)
class Radius:
    """The robust radius (n,) float32 of every image in one norm, in units of pixel intensity, and the attack that found it.

    `found_by` (n,) text is "clean" where the image is misclassified as it is (radius 0), "" where nothing was found (radius inf).
    `telemetry` is what the search noticed, (n,) float32 each, NaN where an image was not attacked; `searched`, the radius before any other
    attack was tried; and `reach`, the length of the longest perturbation that leaves the image in the box.
    """

    radius: np.ndarray
    found_by: np.ndarray
    telemetry: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def reach(self) -> np.ndarray:
        """Length (n,) of the longest perturbation that leaves each image in the box."""
        return self.telemetry["reach"]

    @property
    def capped(self) -> np.ndarray:
        """Radii (n,) that are finite: where nothing was found, the image's reach."""
        return radii.capped(self.radius, self.reach)

    def shortened(self, others: Iterable["Radius"]) -> "Radius":
        """The shortest of this one and others on the same first images, image by image: all attacks together."""
        radius, found_by = self.radius.copy(), self.found_by.copy()
        for other in others:
            count = min(len(radius), len(other.radius))
            shorter = np.flatnonzero(other.radius[:count] < radius[:count])
            radius[shorter], found_by[shorter] = other.radius[shorter], other.found_by[shorter]
        return replace(self, radius=radius, found_by=found_by)


@dataclass(frozen=True)
class Outcomes:
    """What was found on one model, on the test images numbered `rows` (n,) int64 of the split whose digest is `images_digest`.

    `clean` (n,) bool says which images the model classifies correctly as they are. `records` are those of the paper's attack, the referee
    and the probes. `settings` holds the parameters of every attack by its name: an evaluation has `search`, a black-box file `transfer`, an
    own attack's file its name.
    """

    dataset: str
    row: str
    seed: int
    images_digest: str
    rows: np.ndarray
    labels: np.ndarray
    clean: np.ndarray
    radii: dict[Norm, Radius]
    records: tuple[Record, ...] = ()
    settings: dict = field(default_factory=dict)

    def strict(self, norm: Norm, epsilon: float) -> Record:
        """The strict record at a radius: an image stands if its robust radius is larger."""
        found = self.radii[norm]
        return Record("strict", "search", norm, epsilon, "worst", radii.stands(found.radius, epsilon)[None], self.settings, found.telemetry)

    def transfer(self, norm: Norm, epsilon: float) -> list[Record]:
        """One record per source of transferred images: an image stands at a radius if none of that source's, up to there, fools."""
        sources = {name: radius for name, radius in self.radii[norm].telemetry.items() if name.startswith("from ")}
        return [
            Record(TRANSFER, name, norm, epsilon, "worst", (self.clean & radii.stands(radius, epsilon))[None], self.settings)
            for name, radius in sources.items()
        ]


_TEXT = ("dataset", "row", "images_digest")
_LONGEST = 24  # letters of an attack's name


def write(path: Path, outcomes: Outcomes) -> None:
    """Write everything that was found on one model."""
    with h5.writing(path, KIND, nbytes=nbytes(outcomes)) as file:
        fill(file, outcomes)


def nbytes(outcomes: Outcomes) -> int:
    """The room that the outcomes of single images take in a file, in bytes."""
    single = sum(record.correct.size + sum(4 * noticed.size for noticed in record.telemetry.values()) for record in outcomes.records)
    found = sum(_LONGEST + 4 + 4 * len(radius.telemetry) for radius in outcomes.radii.values())
    return single + len(outcomes.rows) * (found + len(outcomes.records) + 17)


def fill(file: h5py.File, outcomes: Outcomes) -> None:
    """Put `outcomes` into an open file."""
    h5.tell(file, **{name: getattr(outcomes, name) for name in _TEXT}, seed=outcomes.seed)
    h5.tell(file, settings=json.dumps(outcomes.settings, sort_keys=True))
    file["rows"], file["labels"] = outcomes.rows, outcomes.labels
    file["clean"] = outcomes.clean.astype(np.uint8)
    for norm, found in sorted(outcomes.radii.items()):  # the order is part of the bytes
        file[f"radius/{norm}"] = found.radius.astype(np.float32)
        file[f"found_by/{norm}"] = np.char.encode(found.found_by.astype(str), "ascii").astype(f"S{_LONGEST}")
        _fill_telemetry(file, norm, found.telemetry)
    probes = 0
    for record in sorted(outcomes.records, key=_order):
        place = _place(record) if record.semantics != PROBE else f"probes/{probes}"
        probes += record.semantics == PROBE
        _fill_record(file, place, record)


def _order(record: Record) -> tuple[int, str, float]:
    """By what it is and by radius; probes keep the order in which they were asked."""
    group = list(GROUPS).index(record.semantics)
    return (group, "", 0.0) if record.semantics == PROBE else (group, record.norm, record.epsilon)


def _place(record: Record) -> str:
    return f"{GROUPS[record.semantics]}/{record.norm}_{record.epsilon!r}"


def _fill_record(file: h5py.File, place: str, record: Record) -> None:
    node: h5py.Group | h5py.Dataset
    if record.semantics == PAPER:
        node = file.create_dataset(place, data=record.correct.astype(np.uint8))
    else:
        node = file.create_group(place)
        asked = np.ones(record.correct.shape[1], bool) if record.asked is None else record.asked
        node["asked"] = asked.astype(np.uint8)
        name, values = ("broken", asked & ~record.correct) if record.semantics == REFEREE else ("correct", record.correct)
        node[name] = values.astype(np.uint8)
    h5.tell(node, attack=record.attack, norm=record.norm, epsilon=record.epsilon)
    h5.tell(node, aggregate=record.aggregate, settings=json.dumps(record.settings, sort_keys=True))
    _fill_telemetry(file, place.replace("/", "_"), record.telemetry)


def _fill_telemetry(file: h5py.File, group: str, telemetry: dict[str, np.ndarray]) -> None:
    for name, noticed in sorted(telemetry.items()):
        file[f"telemetry/{group}/{name}"] = noticed.astype(np.float32)


def read(path: Path) -> Outcomes:
    """Read what `write` wrote; raises `InputError` for anything else, and for outcomes that cannot be."""
    with h5.reading(path, KIND) as file:
        return taken(file, path)


def taken(file: h5py.File, path: Path) -> Outcomes:
    """What `fill` put into the open file at `path`."""
    text = {name: h5.attribute(file, name, path) for name in _TEXT}
    settings = json_text.parsed(h5.attribute(file, "settings", path), f"{path}: attribute 'settings'")
    rows, labels, clean = h5.array(file, "rows", path), h5.array(file, "labels", path), h5.flags(file, "clean", path)
    for name, values in {"rows": rows, "labels": labels, "clean": clean}.items():
        plain = values.shape == (len(rows),) and values.dtype.kind in "iub" and int(values.min(initial=0)) >= 0
        require(plain, f"{path}: {name} must be ({len(rows)},) and whole numbers from 0 on, got {values.shape} {values.dtype}")
    known: dict[Norm, Radius] = {norm: _radius(file, norm, clean, path) for norm in NORMS if norm in h5.group(file, "radius", path)}
    found = [_record(file, semantics, place, clean, path) for semantics, place in _places(file, path)]
    records = tuple(sorted(found, key=_order))
    for record in records:
        _require_possible(record, clean, known, f"{path}: {record.semantics} {record.attack} at {record.norm} {record.epsilon:g}")
    seed = h5.attribute(file, "seed", path, int)
    return Outcomes(**text, seed=seed, rows=rows, labels=labels, clean=clean, radii=known, records=records, settings=settings)


def _radius(file: h5py.File, norm: Norm, clean: np.ndarray, path: Path) -> Radius:
    radius, letters = h5.array(file, f"radius/{norm}", path), h5.array(file, f"found_by/{norm}", path)
    for name, values, kind, called in (("radius", radius, "f", "numbers"), ("found_by", letters, "S", "text")):
        fits = values.shape == clean.shape and values.dtype.kind == kind
        require(fits, f"{path}: {name}/{norm} must be {clean.shape}, {called}, got {values.shape} {values.dtype}")
    found = Radius(radius, np.char.decode(letters, "ascii", "replace"), _telemetry(file, norm, clean, path))
    require("reach" in found.telemetry, f"{path} has no dataset 'reach' in telemetry/{norm}")
    _require_radius(found, clean, f"{path}: radius/{norm}")
    return found


def _require_radius(found: Radius, clean: np.ndarray, where: str) -> None:
    """What no search can have found."""
    radius, named = found.radius, found.found_by != ""
    impossible = {
        "must be a length from 0 on": ~(radius >= 0),
        "must be 0 where the image as it is was misclassified": (radius != 0) & ~clean,
        "must have the name of the attack that found it in found_by, and none where nothing was found": named != np.isfinite(radius),
        "must be at most what the box allows": np.isfinite(radius) & ~(radius <= found.reach * (1 + radii.ROUNDING)),
    }
    for rule, wrong in impossible.items():
        require(not wrong.any(), f"{where} {rule}, got {radius[wrong][:1].tolist()} for image {np.flatnonzero(wrong)[:1].tolist()}")


def _places(file: h5py.File, path: Path) -> Iterable[tuple[str, str]]:
    for semantics, group in GROUPS.items():
        if group in file:
            names = map(str, h5.numbered(file, group, path)) if semantics == PROBE else h5.group(file, group, path)
            yield from ((semantics, f"{group}/{name}") for name in names)


def _record(file: h5py.File, semantics: str, place: str, clean: np.ndarray, path: Path) -> Record:
    node = h5.dataset(file, place, path) if semantics == PAPER else h5.group(file, place, path)
    text = {name: h5.attribute(node, name, path) for name in ("attack", "norm", "aggregate")}
    settings = json_text.parsed(h5.attribute(node, "settings", path), f"{path}: attribute 'settings' of {place}")
    name = {PAPER: place, REFEREE: f"{place}/broken", PROBE: f"{place}/correct"}[semantics]
    values, asked = h5.flags(file, name, path), None if semantics == PAPER else h5.flags(file, f"{place}/asked", path)
    if semantics == REFEREE and values.shape[1:] == clean.shape:
        values = clean & ~values
    telemetry = _telemetry(file, place.replace("/", "_"), clean, path)
    epsilon = h5.attribute(node, "epsilon", path, float)
    return Record(semantics, epsilon=epsilon, correct=values, settings=settings, telemetry=telemetry, asked=asked, **text)  # type: ignore[arg-type]


def _telemetry(file: h5py.File, group: str, clean: np.ndarray, path: Path) -> dict[str, np.ndarray]:
    place = f"telemetry/{group}"
    found = {name: h5.array(file, f"{place}/{name}", path) for name in (h5.group(file, place, path) if place in file else ())}
    for name, values in found.items():
        require(values.shape == clean.shape, f"{path}: {place}/{name} must be {clean.shape}, got {values.shape}")
    return found


def _require_possible(record: Record, clean: np.ndarray, known: dict[Norm, Radius], where: str) -> None:
    """What no attack can have found, `clean` (n,) bool being what the model makes of the images as they are."""
    require(record.aggregate in ("mean", "worst"), f"{where}: aggregate must be mean or worst, got {record.aggregate!r}")
    require(bool(params.NAME.fullmatch(record.semantics)), f"{where}: semantics must be a name, got {record.semantics!r}")
    require(record.norm in (*NORMS, "none"), f"{where}: norm must be l2, linf or none, got {record.norm!r}")
    ball = 0 < record.epsilon < math.inf or (record.semantics, record.epsilon) == (PROBE, 0)
    require(ball, f"{where}: epsilon must be positive and finite, got {record.epsilon}")
    runs, count = record.correct.shape if record.correct.ndim == 2 else (0, 0)
    require(runs > 0 and count == len(clean), f"{where}: outcomes must be (runs, {len(clean)}), got {record.correct.shape}")
    require(record.asked is None or record.asked.shape == clean.shape, f"{where}: asked must be {clean.shape}")
    wrong = np.flatnonzero((record.correct & ~clean).any(0))
    require(not len(wrong), f"{where}: image {wrong[:1]} is correct under attack, but was misclassified as it is")
    if record.semantics == REFEREE:
        broken = clean & ~record.correct.all(0)
        late = np.flatnonzero(broken & radii.stands(known[record.norm].radius, record.epsilon))  # type: ignore[index]
        require(not len(late), f"{where}: image {late[:1]} is broken, but its robust radius is larger")
