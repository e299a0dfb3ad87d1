"""A whole grid of result files with known answers, made through the project's own writers."""

import json
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML

from lib import gradient_file, outcome_file, target_file
from lib.base import image_file, params
from lib.gradient_file import Gradients
from lib.outcome_file import Outcomes, Record
from lib.report import results, rows
from lib.report.families import permuted_targets, teacher_targets
from lib.report.results import Evidence
from lib.threats import threats

ROOT = Path(__file__).parents[1]
SIDE, CLASSES, IMAGES = 8, 3, 100


def make(shares: dict[str, float] | None = None, scale: str = "quick", **changes: object) -> None:
    """Write params.yaml (a scale with `changes`, "a__b" for nested keys) and all files that it asks for into the current folder.

    `shares`: row -> accuracy at the first threat model under the paper's attack (0.8 where not given). Each further threat model
    loses a tenth of that, the strict attack a fifth. 97 of 100 images are right without an attack. All seeds agree.
    """
    document = YAML(typ="safe").load((ROOT / f"scales/{scale}.yaml").read_text())
    for key, entry in ({"evaluation__images": IMAGES, "seeds": [0, 1]} | changes).items():
        *path, last = key.split("__")
        node = document
        for name in path:
            node = node[name]
        node[last] = entry
    Path("params.yaml").write_text(json.dumps(document))
    params._document.cache_clear()
    write_images()
    for seed in rows.seeds():
        write_targets(seed)
        write_gradients(seed)
        for key in rows.rows():
            write_outcomes(seed, key, (shares or {}).get(key, 0.8))


def images() -> Path:
    """The image file of the grid's dataset."""
    return Path(f"data/{params.value('data', 'dataset')}.h5")


def read() -> Evidence:
    """The grid in the current folder, as the report reads it."""
    return results.read(Path("results/attacks"), Path("results/gradients"), image_file.read(images(), "test"))


def command_line(out: str = "report") -> list[str]:
    """The arguments of the report stage for the grid in the current folder."""
    places = {"images": str(images()), "targets": "data/targets", "results": "results/attacks", "gradients": "results/gradients"}
    return [text for name, place in places.items() for text in (f"--{name}", place)] + ["--out", out]


def outcomes(seed: int, key: str, share: float) -> Outcomes:
    """The first round(share * n) images stand at the first threat model."""
    test = image_file.read(images(), "test")
    standing, records = share, []
    for threat in threats(rows.rows()[key].threats):
        for semantics, aggregate, factor in (("paper", "mean", 1.0), ("strict", "worst", 0.8)):
            correct = np.tile(np.arange(IMAGES) < round(standing * factor * IMAGES), (3, 1))
            records.append(Record(semantics, "pgd40", threat.norm, threat.epsilon, aggregate, correct))  # type: ignore[arg-type]
        standing *= 0.9
    clean = np.arange(IMAGES) < 97
    return Outcomes(test.dataset, key, seed, "pgd", test.digest, np.arange(IMAGES), test.labels, clean, tuple(records))


def write_outcomes(seed: int, key: str, share: float) -> None:
    """One outcome file, in its place."""
    outcome_file.write(Path(f"results/attacks/{seed}/{key}.pgd.h5"), outcomes(seed, key, share))


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
    models = {}
    for number, key in enumerate(rows.rows()):
        norm, cosine = np.full(6, 10 - number / 2 + seed), np.full(6, 0.9 - number / 20)
        maps = np.random.default_rng(number).standard_normal((4, 1, SIDE, SIDE)).astype(np.float32)
        models[key] = Gradients(norm, norm / 3, cosine, cosine if key in params.value("ir") else None, maps)
    gradient_file.write(Path(f"results/gradients/{seed}.h5"), seed, "R_smoothgrad", np.arange(6), models)
