"""A whole grid of result files with known answers, made through the project's own writers."""

import json
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from ruamel.yaml import YAML

from lib.base import environment, image_file, params
from lib.evaluation import outcome_file, radii
from lib.evaluation.outcome_file import CLEAN, NORMS, PAPER, REFEREE, Outcomes, Radius, Record
from lib.evaluation.threats import Norm, threats
from lib.gradients import gradient_file
from lib.gradients.gradient_file import Gradients
from lib.report import results, rows
from lib.report.families import permuted_targets, teacher_targets
from lib.report.results import Evidence
from lib.targets import target_file

ROOT = Path(__file__).parents[1]
SIDE, CLASSES, IMAGES = 8, 3, 100
SHOWN, PROBED, RIGHT = 40, 32, 97
FORWARD = {"spread": 0, "alone": 0, "near": 0, "probabilities": 0, "classes": 10}
HEALTH = {"zero": 0, "nan": 0, "vanished": 0, "cosine": 0.9, "predicted": 0.6}


def make(shares: dict[str, float] | None = None, scale: str = "quick", **changes: object) -> None:
    """Write params.yaml (a scale with `changes`, "a__b" for nested keys) and all files that it asks for into the current folder.

    The images are ordered: whatever an attack leaves standing, it leaves the first so many of the 100. 97 are right without an attack.
    `shares`: row -> accuracy at the first threat model of the tables under the paper's attack (0.8 where not given); each further one
    loses a tenth of that. Of what the paper's attack leaves, the search leaves four fifths: an image that falls between two radii of the
    tables has the robust radius half way between them, one that falls at the smallest half of that, one that stands at the largest 1.1
    times that. AutoAttack is tried on 16 survivors and breaks none. Transfer is shown the first 40 images and leaves what the paper's
    attack leaves; probes ask the first 32. All seeds agree.
    """
    for path, content in made(json.dumps([shares or {}, scale, changes])).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    params.parsed.cache_clear()


@cache
def made(asked: str) -> dict[Path, bytes]:
    """Every file of the grid with these arguments of `make`, written once for all tests of this process."""
    shares, scale, changes = json.loads(asked)
    with TemporaryDirectory() as folder, chdir(folder):
        write(shares, scale, changes)
        return {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def write(shares: dict[str, float], scale: str, changes: dict[str, object]) -> None:
    """Write the whole grid into the current folder."""
    document = YAML(typ="safe").load((ROOT / f"scales/{scale}.yaml").read_text())
    for key, entry in ({"evaluation__images": IMAGES, "transfer__images": SHOWN, "seeds": [0, 1]} | changes).items():
        *path, last = key.split("__")
        node = document
        for name in path:
            node = node[name]
        node[last] = entry
    Path("params.yaml").write_text(json.dumps(document))
    params.parsed.cache_clear()
    write_images()
    for seed in rows.seeds():
        write_targets(seed)
        write_gradients(seed)
        for key in rows.rows():
            write_outcomes(seed, key, shares.get(key, 0.8))


def images() -> Path:
    """The image file of the grid's dataset."""
    return Path(f"data/{params.value('data', 'dataset')}.h5")


def read() -> Evidence:
    """The grid in the current folder, as the report reads it."""
    places = (Path("results/attacks"), Path("results/transfer"), Path("results/gradients"))
    with remembered():
        return results.read(*places, image_file.read(images(), "test"))


@contextmanager
def remembered() -> Iterator[None]:
    """Outcome files with bytes that were written or read before are not parsed again."""
    plain = outcome_file.read

    def read_once(path: Path) -> Outcomes:
        digest = sha256(path.read_bytes()).digest() if path.is_file() else b""
        if digest not in PARSED:
            PARSED[digest] = unchangeable(plain(path))
        return PARSED[digest]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outcome_file, "read", read_once)
        yield


PARSED: dict[bytes, Outcomes] = {}


def unchangeable(found: Outcomes) -> Outcomes:
    """The same arrays, which several tests hold from here on."""
    for part in (found, *found.records, *found.radii.values()):
        for value in vars(part).values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
    return found


def outcomes(seed: int, key: str, share: float) -> Outcomes:
    """The evaluation of one network."""
    left, test = standing(key, share), image_file.read(images(), "test")
    found = [
        Record(PAPER, "pgd40", norm, epsilon, "mean", np.tile(stands(round(kept * IMAGES)), (3, 1)))
        for (norm, epsilon), kept in left.items()
    ]
    known = {norm: radius({place: 0.8 * kept for place, kept in left.items()}, norm, "search image") for norm in NORMS}
    records = (*found, *referee(known), *probes(known))
    settings = params.value("attacks")
    return Outcomes(test.dataset, key, seed, test.digest, np.arange(IMAGES), test.labels, stands(RIGHT), known, records, settings)


def standing(key: str, share: float) -> dict[tuple[Norm, float], float]:
    """What the paper's attack leaves in every threat model of a row."""
    listed = threats(rows.rows()[key].threats)
    return {(threat.norm, threat.epsilon): share * 0.9**number for number, threat in enumerate(listed)}


def radius(left: dict[tuple[Norm, float], float], norm: Norm, found_by: str, count: int = IMAGES) -> Radius:
    """The radii of the first `count` images that leave these shares of all standing; 1 where nothing is said of the norm."""
    places = sorted(epsilon for one, epsilon in left if one == norm)
    fall = [0.0, *places] if places else [0.0]
    between = [(low + high) / 2 for low, high in zip(fall, places)] + ([1.1 * places[-1]] if places else [1.0])
    standing = (
        np.sum([stands(round(left[norm, epsilon] * IMAGES)) for epsilon in places], axis=0, dtype=int) if places else np.zeros(IMAGES, int)
    )
    length = np.where(stands(RIGHT), np.array(between, np.float32)[standing], 0).astype(np.float32)[:count]
    pixels = image_file.read(images(), "test").images[:count] / 255
    far = np.maximum(pixels, 1 - pixels).reshape(count, -1)
    reach = (far.max(1) if norm == "linf" else np.sqrt((far**2).sum(1))).astype(np.float32)
    seen = {"reach": reach, "searched": length} | {name: np.zeros(count, np.float32) for name in ("zero", "nan", "late")}
    return Radius(length, np.where(length > 0, found_by, CLEAN), seen | {"gradients": np.full(count, 200, np.float32)})


def referee(known: dict[Norm, Radius]) -> list[Record]:
    """Four attacks in a row on the first survivors, which break none."""
    settings, found = params.value("attacks", "referee"), []
    for norm, epsilon in settings["radii"].items():
        standing = radii.stands(known[norm].radius, epsilon)
        asked = standing & (standing.cumsum() <= 16)
        found.append(Record(REFEREE, "lite", norm, epsilon, "worst", np.tile(stands(RIGHT), (4, 1)), settings, {}, asked))
    return found


def shown(seed: int, key: str, share: float) -> Outcomes:
    """Transfer attacks on one network."""
    test, known = image_file.read(images(), "test"), {}
    sources = [source for source in params.value("transfer", "sources") if source != key]
    for norm in NORMS:
        found = radius(standing(key, share), norm, f"transfer from {sources[0]}", SHOWN)
        alone = np.where(stands(RIGHT)[:SHOWN], found.radius, np.nan).astype(np.float32)
        known[norm] = replace(found, telemetry={"reach": found.reach} | {f"from {source}": alone for source in sources})
    where = test.dataset, key, seed, test.digest, np.arange(SHOWN), test.labels[:SHOWN]
    return Outcomes(*where, stands(RIGHT)[:SHOWN], known, (), {"transfer": params.value("transfer")})


def probes(known: dict[Norm, Radius]) -> list[Record]:
    """What the gate asks; nothing that it would complain about, but for so few images."""
    found = [probe("forward", "none", FORWARD)]
    for norm, radius in known.items():
        before = radius.radius[:PROBED]
        again = {"before": before, "after": before}
        seen = {
            "gradients": HEALTH,
            "black_box": {"before": before, "noise": np.inf, "line": 2 * before},
            "longer": again,
            "float64": again,
        }
        found += [probe(name, norm, told) for name, told in seen.items()]
        found.append(probe("returned", norm, {"outside": 0, "lead": -1e-5}))
    return found


def probe(name: str, norm: str, seen: Mapping[str, np.ndarray | float]) -> Record:
    """One probe of the first images that are right as they are."""
    asked, telemetry = np.arange(IMAGES) < PROBED, {}
    for key, values in seen.items():
        telemetry[key] = np.full(IMAGES, np.nan, np.float32)
        telemetry[key][:PROBED] = values
    return Record("probe", name, norm, 0.0, "worst", stands(RIGHT)[None], {"images": PROBED}, telemetry, asked)


def stands(count: int) -> np.ndarray:
    """The first `count` images stand, (n,) bool."""
    return np.arange(IMAGES) < count


def record(**changes: object) -> dict[str, object]:
    """What a record of an environment says: one CPU, no edits."""
    versions = {"torch": "2.13.0", "torchvision": "0.28.0", "h5py": "3.16.0", "numpy": "2.4.6", "python": "3.11.7"}
    machine = {"platform": "Linux x86_64", "cuda": None, "device": "cpu (Made up)", "threads": 2}
    code = {"stage": "made-up@0", "commit": "a" * 40, "modified": False, "lock_sha256": "b" * 64}
    return versions | machine | code | changes


def write_record(path: str, **changes: object) -> None:
    """The record of one result, in its place."""
    place = environment.place(Path(path))
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(record(**changes)))


def write_outcomes(seed: int, key: str, share: float) -> None:
    """The outcome files of one network, in their places."""
    for path, content in outcome_files(json.dumps([params.document() | {"seeds": None}, seed, key, share])).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@cache
def outcome_files(asked: str) -> dict[Path, bytes]:
    """The outcome files of one network, which all grids share that ask for the same of it."""
    _, seed, key, share = json.loads(asked)
    files = {Path(f"results/attacks/{seed}/{key}.h5"): outcomes(seed, key, share)}
    files[Path(f"results/transfer/{seed}/{key}.h5")] = shown(seed, key, share)
    for path, found in files.items():
        outcome_file.write(path, found)
        PARSED[sha256(path.read_bytes()).digest()] = unchangeable(found)
    return {path: path.read_bytes() for path in files}


def write_images() -> None:
    """`IMAGES` random images in every split, their classes in turn."""
    labels = np.arange(IMAGES, dtype=np.int64) % CLASSES
    pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, 1, SIDE, SIDE), dtype=np.uint8)
    splits = {name: (pixels, labels, np.arange(IMAGES)) for name in image_file.SPLITS}
    image_file.write(images(), params.value("data", "dataset"), CLASSES, splits)


def write_targets(seed: int) -> None:
    """A random map for every train image in every target set."""
    train = image_file.read(images(), "train")
    for name in dict.fromkeys([*teacher_targets(), *permuted_targets()]):
        maps = np.random.default_rng(seed).standard_normal(train.images.shape).astype(np.float32)
        header = target_file.Header(train.dataset, train.digest, name, {})
        target_file.write(Path(f"data/targets/{seed}/{name}.h5"), header, maps.shape, [maps])


def write_gradients(seed: int) -> None:
    """Row number r has label norm 10 - r / 2 + seed and cosine 0.9 - r / 20 with its own targets, if it has any."""
    models, train = {}, image_file.read(images(), "train")
    for number, key in enumerate(rows.rows()):
        norm, cosine = np.full(6, 10 - number / 2 + seed), np.full(6, 0.9 - number / 20)
        maps = np.random.default_rng(number).standard_normal((4, 1, SIDE, SIDE)).astype(np.float32)
        models[key] = Gradients(norm, norm / 3, cosine, cosine if key in params.value("ir") else None, maps)
    gradient_file.write(Path(f"results/gradients/{seed}.h5"), seed, "R_smoothgrad", train.digest, np.arange(6), models)
