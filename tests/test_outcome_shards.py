"""An evaluation that several machines share out: its parts merge to the bytes of one run, others are refused."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from project import SHIPPED
from ruamel.yaml import YAML
from torch import nn
from torch.nn import functional

from lib.base import image_file, params
from lib.base.errors import InputError
from lib.evaluation import outcome_file, parts, radii
from lib.network import checkpoint
from lib.network.architecture import Model, build
from stages import evaluate_attacks
from tools import outcomes

SHAPE, CLASSES, IMAGES = (1, 8, 8), 4, 30
MODEL = Model("cnn", 0.25, None, 0.5)
SETTINGS: dict[str, dict] = {
    "search": {"seed": 0, "gradients": 14, "classes": 3, "steps": 5, "worth": 0.01},
    "paper": {"seed": 0, "steps": 3, "runs": 2, "batch_size": 50, "start": "box", "floor": 1e-6, "mean_loss": True, "box_last": False},
    "referee": {"seed": 0, "radii": {"linf": 0.05}, "images": 4, "attacks": ["apgd-ce", "square"], "iterations": 2, "targets": 2},
    "probes": {"seed": 0, "images": 12, "draws": 2, "norms": ["linf"], "longer": 1.5},
}
SETTINGS["referee"]["queries"] = 3
THREATS = [{"norm": "l2", "epsilon": 0.6, "step_size": 0.3}, {"norm": "linf", "epsilon": 0.1, "step_size": 0.04}]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder with two networks and images, of which the first network misclassifies six; write_params makes params.yaml."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEVICE", "cpu")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write_params()
    labels, pixels = np.arange(IMAGES) % CLASSES, np.random.default_rng(0).integers(170, size=(IMAGES, *SHAPE), dtype=np.uint8)
    for place, label in enumerate(labels):
        pixels[place, 0, 4 * (label // 2) :][:4, 4 * (label % 2) :][:, :4] += 85  # a brighter quarter
    for seed in (0, 1):
        checkpoint.write(Path(f"model{seed}"), trained(seed, pixels, labels), MODEL, SHAPE, CLASSES, [{"epoch": 0}])
    labels[[0, 3, 4, 11, 20, 29]] = (labels[[0, 3, 4, 11, 20, 29]] + 1) % CLASSES
    image_file.write(Path("images.h5"), "toy", CLASSES, {"test": (pixels, labels, np.arange(IMAGES))})
    return tmp_path


TRAINED: dict[int, nn.Module] = {}


def trained(seed: int, pixels: np.ndarray, labels: np.ndarray) -> nn.Module:
    """A network that knows these images by heart; the same for all tests."""
    if seed in TRAINED:
        return TRAINED[seed]
    torch.manual_seed(seed)
    model, images = build(MODEL, SHAPE, CLASSES).eval(), torch.from_numpy(pixels).float() / 255
    rule = torch.optim.Adam(model.parameters(), 0.005)
    for _ in range(60):
        rule.zero_grad()
        functional.cross_entropy(model(images), torch.from_numpy(labels)).backward()
        rule.step()
    with torch.no_grad():
        assert (model(images).argmax(1).numpy() == labels).all()
    TRAINED[seed] = model
    return model


def write_params(change: Callable[[dict], object] = lambda document: None) -> None:
    document = {
        "rows": {"mine": {"threats": "few"}, "other": {"threats": "few"}},
        "threats": {"few": [dict(one) for one in THREATS]},
        "evaluation": {"images": None, "batch_size": 7},
        "attacks": {name: dict(one) for name, one in SETTINGS.items()},
    }
    change(document)
    with Path("params.yaml").open("w") as file:
        YAML().dump(document, file)
    params.parsed.cache_clear()


EVALUATED: dict[tuple, bytes] = {}  # what was asked with which parameters, and the file that it gave


def evaluated(out: str, row: str = "mine", seed: int = 0, model: str = "model0", part: str = "1 1") -> Path:
    asked = (Path("params.yaml").read_text(), row, seed, model, part, evaluate_attacks.torch.__version__)
    if asked in EVALUATED:
        Path(out).write_bytes(EVALUATED[asked])
        return Path(out)
    words = [row, str(seed), "--images", "images.h5", "--model", model, "--part", *part.split(), "--out", out]
    evaluate_attacks.main.main(words, standalone_mode=False)
    EVALUATED[asked] = Path(out).read_bytes()
    return Path(out)


def merged(files: list[Path], out: str = "merged.h5") -> Result:
    return CliRunner().invoke(outcomes.main, ["merge", *map(str, files), "--out", out])


def test_parts_merge_to_the_bytes_of_one_evaluation(folder):
    """24 images are attacked in batches of 7, 7, 7 and 3; the referee is for 4 of the first batch, the probes for the first 12 of 30."""
    whole = evaluated("whole.h5")
    for count in (1, 2, 3):
        files = [evaluated(f"{index}of{count}.h5", part=f"{index} {count}") for index in range(1, count + 1)]
        if count == 1:
            assert files[0].read_bytes() == whole.read_bytes()
            continue
        result = merged(files[::-1])
        assert result.exit_code == 0 and "mine, seed 0; 24 of 30 images attacked" in result.output
        assert Path("merged.h5").read_bytes() == whole.read_bytes()
    found = outcome_file.read(whole)
    assert any(0 < record.accuracy < found.clean.mean() for record in found.records)  # the attacks can tell images apart
    assert all(np.isfinite(radius.radius).all() and len(np.unique(radius.radius)) > 20 for radius in found.radii.values())


def test_a_batch_is_what_the_attacks_see_of_it_alone(folder):
    """The outcomes of the first batch do not change when the images after it are not there."""
    whole = outcome_file.read(evaluated("whole.h5"))
    write_params(lambda document: document["evaluation"].update(images=10))
    few = outcome_file.read(evaluated("few.h5"))
    assert few.clean.sum() == 7
    for norm, radius in few.radii.items():
        assert np.array_equal(whole.radii[norm].radius[:10], radius.radius)
    for record, one in zip(whole.records, few.records, strict=True):
        assert np.array_equal(record.correct[:, :10], one.correct) and record.telemetry.keys() == one.telemetry.keys()
        for name, values in one.telemetry.items():
            np.testing.assert_array_equal(record.telemetry[name][:10], values)


def test_the_referee_is_asked_for_survivors_of_the_first_batch_only(folder):
    """Which are the first ten images but for three that are misclassified."""
    found = outcome_file.read(evaluated("whole.h5"))
    (record,) = (record for record in found.records if record.semantics == "autoattack")
    survivors = np.flatnonzero(radii.stands(found.radii["linf"].telemetry["searched"], 0.05))
    assert np.flatnonzero(record.asked).tolist() == [row for row in survivors if row < 10][:4] and survivors.max() > 10


def test_a_part_is_no_outcome_file(folder):
    with pytest.raises(InputError, match="expected a radii file at half.h5, found kind 'radii_part'"):
        outcome_file.read(evaluated("half.h5", part="1 2"))
    assert merged([evaluated("whole.h5")]).output == "Error: expected a radii_part file at whole.h5, found kind 'radii'\n"


def other_attacks(document: dict) -> None:
    document["attacks"]["paper"]["steps"] = 4


def other_threats(document: dict) -> None:
    document["threats"]["few"][0]["epsilon"] = 0.9


def fewer_images(document: dict) -> None:
    document["evaluation"]["images"] = 29


OTHERS = {
    "weights": ({"model": "model1"}, None),
    "settings": ({}, other_attacks),
    "threats": ({}, other_threats),
    "evaluation": ({}, fewer_images),
    "row": ({"row": "other"}, None),
    "seed": ({"seed": 1}, None),
}


@pytest.mark.parametrize("what", OTHERS)
def test_parts_of_different_evaluations_are_refused(folder, what):
    first = evaluated("first.h5", part="1 2")
    words, change = OTHERS[what]
    if change is not None:
        write_params(change)
    result = merged([first, evaluated("second.h5", **words, part="2 2")])
    assert result.exit_code == 1 and not Path("merged.h5").exists() and result.output.count("\n") == 1
    told, _, differing = result.output.strip().partition(": they differ in ")
    assert told == "Error: second.h5 and first.h5 do not belong together" and what in differing


def test_parts_made_with_another_torch_are_refused(folder, monkeypatch):
    first = evaluated("first.h5", part="1 2")
    monkeypatch.setattr(evaluate_attacks, "torch", SimpleNamespace(__version__="1.0"))
    assert "do not belong together: they differ in torch\n" in merged([first, evaluated("second.h5", part="2 2")]).output


def test_parts_that_are_missing_or_twice_there_are_refused(folder):
    one, two, three = (evaluated(f"{index}.h5", part=f"{index} 3") for index in (1, 2, 3))
    between = evaluated("half.h5", part="1 2")
    for files, sentence in [
        ([one, three], "the parts must follow each other, after batch 2 of 4 comes 3.h5 with batches 4 to 4"),
        ([two, three], "the parts must follow each other, after batch 0 of 4 comes 2.h5 with batches 3 to 3"),
        ([one, two], "the parts must hold all 4 batches, the last is 2.h5 with batches 3 to 3"),
        ([one, two, two, three], "the parts must follow each other, after batch 3 of 4 comes 2.h5 with batches 3 to 3"),
        ([one, between, two, three], "the parts must follow each other, after batch 2 of 4 comes half.h5 with batches 1 to 2"),
    ]:
        assert merged(files).output == f"Error: {sentence}\n" and not Path("merged.h5").exists()
    assert merged([one, two, three], "1.h5").output == "Error: 1.h5 is one of the parts; name another file for the result\n"


@pytest.mark.parametrize("chosen", [(1, 5), (3, 2), (5, 4)])
def test_there_are_as_many_parts_as_batches_at_most(chosen):
    sentence = r"the part must be I K with 1 <= I <= K <= 4 \(batches of 7 images that the model classifies correctly\), got %d %d"
    with pytest.raises(InputError, match=sentence % chosen):
        parts.part(24, 7, *chosen)


def test_every_batch_is_in_one_part():
    for count in range(1, 11):
        found = [parts.part(95, 10, index, count) for index in range(1, count + 1)]
        assert [batch for one in found for batch in range(one.first, one.last)] == list(range(10))
        assert all(one.last > one.first for one in found)


def test_the_shipped_parameters_are_those_that_this_knows():
    known = YAML(typ="safe").load(SHIPPED.read_text())["attacks"]
    assert known.keys() == SETTINGS.keys() and all(known[name].keys() == SETTINGS[name].keys() for name in known)
