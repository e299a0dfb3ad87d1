"""A whole grid of result files with known answers, made through the project's own writers."""

import json
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML

from lib import gradient_file, outcome_file, rows, target_file
from lib.base import image_file, params
from lib.families import permuted_targets, teacher_targets
from lib.gradient_file import Gradients
from lib.outcome_file import Outcomes, Record

PARAMS = Path(__file__).parents[1] / "params.yaml"
SIDE, CLASSES = 8, 3


def make(folder: Path, shares: dict[str, float] | None = None, **changes: object) -> None:
    """Write params.yaml (the committed one with `changes`, key "a.b" for nested ones) and every file that it asks for into `folder`.

    `shares`: row -> accuracy at the first threat model under the paper's attack; each further one loses 10 %, the strict attack 20 %.
    """
    document = YAML(typ="safe").load(PARAMS.read_text())
    document["evaluation"]["images"] = 100
    for key, entry in changes.items():
        *path, last = key.split("__")
        node = document
        for name in path:
            node = node[name]
        node[last] = entry
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(json.dumps(document))
    write_images(folder)
    for seed in rows.seeds():
        write_targets(folder, seed)
        write_gradients(folder, seed)
        for key in rows.rows():
            write_outcomes(folder, seed, key, (shares or {}).get(key, 0.8))


def command_line(folder: Path) -> list[str]:
    """The arguments of the report stage for this grid."""
    places = {"images": "data/mnist5k.h5", "targets": "data/targets", "results": "results/attacks", "gradients": "results/gradients"}
    return [text for name, place in places.items() for text in (f"--{name}", str(folder / place))] + ["--out", str(folder / "report")]


def outcomes(seed: int, key: str, share: float, suite: str = "pgd") -> Outcomes:
    """Exactly round(share * n) images stand at the first threat model; `seed` changes nothing."""
    n = params.value("evaluation", "images")
    standing, records = share, []
    for threat in rows.threats(rows.rows()[key].threats):
        for semantics, aggregate, factor in (("paper", "mean", 1.0), ("strict", "worst", 0.8)):
            correct = np.tile(np.arange(n) < round(standing * factor * n), (3, 1))
            records.append(Record(semantics, "pgd40", threat.norm, threat.epsilon, aggregate, correct))  # type: ignore[arg-type]
        standing *= 0.9
    clean = np.arange(n) < round(0.97 * n)
    return Outcomes("mnist5k", key, seed, suite, "0" * 64, np.arange(n), np.zeros(n, dtype=np.int64), clean, tuple(records))


def write_outcomes(folder: Path, seed: int, key: str, share: float) -> None:
    """One outcome file, in its place."""
    outcome_file.write(folder / f"results/attacks/{seed}/{key}.pgd.h5", outcomes(seed, key, share))


def write_images(folder: Path) -> None:
    """30 train images of 3 classes in turn."""
    draw = np.random.default_rng(0)
    labels = np.arange(30, dtype=np.int64) % CLASSES
    images = draw.integers(0, 256, (30, 1, SIDE, SIDE), dtype=np.uint8)
    splits = dict.fromkeys(image_file.SPLITS, (images, labels, np.arange(30)))
    image_file.write(folder / "data/mnist5k.h5", "mnist5k", CLASSES, splits)


def write_targets(folder: Path, seed: int) -> None:
    """A random map for every train image in every target set."""
    train = image_file.read(folder / "data/mnist5k.h5", "train")
    for name in dict.fromkeys([*teacher_targets(), *permuted_targets()]):
        maps = np.random.default_rng(seed).standard_normal(train.images.shape).astype(np.float32)
        header = target_file.Header("mnist5k", train.digest, name, {})
        target_file.write(folder / f"data/targets/{seed}/{name}.h5", header, maps.shape, [maps])


def write_gradients(folder: Path, seed: int) -> None:
    """Row number r has label norm 10 - r / 2 + seed, and the cosine with its own targets falls with r."""
    models = {}
    for number, key in enumerate(rows.rows()):
        norm = np.full(6, 10 - number / 2 + seed)
        cosine = np.full(6, 0.9 - number / 20)
        maps = np.random.default_rng(number).standard_normal((4, 1, SIDE, SIDE)).astype(np.float32)
        models[key] = Gradients(norm, norm / 3, cosine, cosine if key in params.value("ir") else None, maps)
    gradient_file.write(folder / f"results/gradients/{seed}.h5", seed, "R_smoothgrad", np.arange(6), models)
