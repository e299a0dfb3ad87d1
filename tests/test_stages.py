"""Every stage for real, in the order and with the command lines of dvc.yaml, on a small folder of colour images that are not square, with
augmentation and all of AutoAttack's attacks; then every refusal a person may meet."""

import csv
import importlib
import json
import shlex
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import networkx
import numpy as np
import pytest
from click.testing import CliRunner, Result
from dvc.repo import Repo
from dvc.stage import PipelineStage
from members import built_once
from PIL import Image
from project import copy, edited, shrink, start
from ruamel.yaml import YAML

from benchmarks import attack_cost, confidence
from lib.base import image_file, params
from lib.evaluation import outcome_file
from lib.report.charts import pixels
from lib.targets import target_file
from tools import evaluate, targets

TINY = {
    "data": {"dataset": "imagefolder", "train": 80, "validation": 20, "test": 40},
    "model": {"width": 0.25, "dropout": 0.0},
    "training": {"epochs": 6, "batch_size": 20, "learning_rate": 0.2, "augment": True},
    "threshold": {"when": "after"},
    "evaluation": {"images": 20},
    "gradients": {"images": 30, "examples": 4},
    "report": {"gallery": 2},
}
THREATS = (("l2", 1.5), ("linf", 0.2))


def invoke(command: str) -> Result:
    """Run `python -m stages.x …` in this process."""
    words = shlex.split(command)
    assert words[:2] == ["python", "-m"]
    return CliRunner().invoke(importlib.import_module(words[2]).main, words[3:])


@cache
def in_order(folder: Path) -> list[PipelineStage]:
    """The stages of the project in `folder`, each behind what it depends on."""
    with Repo(str(folder)) as repo:
        return list(networkx.dfs_postorder_nodes(repo.index.graph))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, set[tuple]]]:
    """A project whose whole DAG has run, and what each stage read of params.yaml."""
    place = built_once(tmp_path_factory, "stages", build)
    read = json.loads((place / "read.json").read_text())
    return place / "project", {stage: {tuple(path) for path in paths} for stage, paths in read.items()}


def draw(folder: Path) -> Path:
    """160 pictures of 12x10 pixels in folders of four classes; each is noise with a colour of its class: red, green, blue, none."""
    random = np.random.default_rng(0)
    for index in range(160):
        values, label = random.integers(0, 80, (10, 12, 3), dtype=np.uint8), index % 4
        values[..., label : label + 1] += 170
        (folder / "abcd"[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(folder / "abcd"[label] / f"{index}.png")
    return folder


def build(place: Path) -> None:
    (place / "project").mkdir()
    folder = copy(place / "project")
    quick = YAML(typ="safe").load((folder / "params.yaml").read_text())
    shrink(folder)
    with edited(folder) as document:
        for section, values in TINY.items():
            document[section].update(values)
        document["data"]["root"] = str(draw(place / "pictures"))
        document["attacks"] = quick["attacks"]
        document["attacks"]["search"].update(gradients=15, classes=3, steps=4)
        document["attacks"]["paper"].update(steps=3, runs=2)
        document["attacks"]["referee"].update(
            attacks=["apgd-ce", "apgd-t", "fab-t", "square"], iterations=2, targets=1, queries=3, images=3
        )
        document["attacks"]["probes"].update(images=8, draws=2)
        document["threats"]["table"] = [entry for entry in document["threats"]["table"] if (entry["norm"], entry["epsilon"]) in THREATS]
        document["transfer"].update(steps=3, images=10)
        document["saliency"]["accuracy"]["images"] = 20
        document["saliency"]["methods"]["smoothgrad"]["samples"] = 2
    start(folder)
    read: dict[str, set[tuple]] = {}
    plain = params.value
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for stage in in_order(folder):
            keys = read.setdefault(stage.name, set())
            patch.setattr(params, "value", lambda *path, keys=keys: keys.add(path) or plain(*path))
            result = invoke(stage.cmd)
            assert result.exit_code == 0, f"{stage.cmd}\n{result.output}"
    (place / "read.json").write_text(json.dumps({stage: sorted(paths) for stage, paths in read.items()}))


@pytest.fixture
def project(built: tuple[Path, dict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = shutil.copytree(built[0], tmp_path / "project", symlinks=True)
    monkeypatch.chdir(folder)
    return folder


def test_every_stage_writes_what_dvc_expects_and_nothing_half_written(built: tuple[Path, dict]) -> None:
    for stage in in_order(built[0]):
        for out in stage.outs:
            assert (built[0] / out.def_path).exists(), out.def_path
    assert list(built[0].rglob("*.part")) == []


def test_every_stage_tracks_exactly_the_parameters_that_it_reads(built: tuple[Path, dict]) -> None:
    for stage in in_order(built[0]):
        asked = [dep.params for dep in stage.deps if hasattr(dep, "params")]
        whole = any(dep.def_path == "params.yaml" and not hasattr(dep, "params") for dep in stage.deps)
        tracked = {tuple(key.split(".")) for keys in asked for key in keys} | ({()} if whole else set())
        read = built[1][stage.name]
        for key in read:
            assert any(key[: len(one)] == one for one in tracked), f"{stage.name} reads {key} without tracking it"
        for one in tracked:
            assert any(key[: len(one)] == one or one[: len(key)] == key for key in read), f"{stage.name} tracks {one} without reading it"


def test_outcomes_are_kept_image_by_image(built: tuple[Path, dict]) -> None:
    outcomes = outcome_file.read(built[0] / "results/attacks/0/R_simple.h5")
    assert (outcomes.row, outcomes.seed, len(outcomes.clean)) == ("R_simple", 0, 20)
    assert {(record.semantics, record.norm, record.epsilon) for record in outcomes.records} >= {
        ("paper", "l2", 1.5),
        ("paper", "linf", 0.2),
    }
    assert {record.semantics for record in outcomes.records} == {"paper", "autoattack", "probe"} and set(outcomes.radii) == {"l2", "linf"}
    for radius in outcomes.radii.values():
        assert np.array_equal(radius.radius == 0, ~outcomes.clean) and radius.radius.shape == (20,)
    for record in outcomes.records:
        assert record.correct.shape[1] == 20
        assert not record.correct[:, ~outcomes.clean].any()


def test_results_list_every_measured_accuracy_once(built: tuple[Path, dict]) -> None:
    with (built[0] / "report/results.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == ["dataset", "technique", "seed", "semantics", "attack", "norm", "epsilon", "accuracy", "n", "environment"]
    at_each_threat = 1 + 1 + 3  # the paper's PGD, the search, transfer from three sources
    assert len(lines) == 7 * (1 + 2 * at_each_threat) + 1 * (1 + at_each_threat) - 2 * 3  # a source is shown none of its own
    assert len({tuple(line[key] for key in list(lines[0])[:7]) for line in lines}) == len(lines)
    outcomes = outcome_file.read(built[0] / "results/attacks/0/JR.h5")
    (clean,) = (line for line in lines if line["technique"] == "JR" and line["attack"] == "clean")
    assert float(clean["accuracy"]) == outcomes.clean.mean()
    assert len({line["environment"] for line in lines}) == 1 and lines[0]["environment"]


def test_targets_say_where_they_come_from(built: tuple[Path, dict]) -> None:
    with target_file.opened(built[0] / "data/targets/0/R_smoothgrad_perm50.h5") as (header, maps):
        assert maps.shape == (80, 3, 10, 12)
        assert header.name == "R_smoothgrad_perm50"
        assert header.provenance["teacher"]["name"] == "R"
        assert header.provenance["saliency"] == {
            "method": "smoothgrad", "seed": 0, "batch_size": 100, "samples": 2, "sigma": 0.15, "clamp": False, "include_clean": False,
            "of": "logits",
        }  # fmt: skip
        assert header.provenance["threshold"] == {"phi": 1.0, "ddof": 1, "when": "after"}
        assert header.provenance["permute"] == {"fraction": 0.5, "seed": 0, "replication": 0, "rule": "fraction"}


def test_a_stage_run_twice_writes_the_same_bytes(built: tuple[Path, dict], project: Path) -> None:
    for stage in in_order(built[0]):
        if stage.name in ("prepare-data", "extract-saliency@R-smoothgrad-0", "permute-targets@0", "train-ir@R_simple-0"):
            paths = [
                path for out in stage.outs for path in [project / out.def_path, *(project / out.def_path).rglob("*")] if path.is_file()
            ]
            before = {path: path.read_bytes() for path in paths}
            assert invoke(stage.cmd).exit_code == 0
            assert {path: path.read_bytes() for path in paths} == before, stage.name


OTHERS = {
    "sources": {name: {} for name in ("image", "class_mean", "edges", "other_class", "same_class")},
    "nulls": {"blocks": {"size": 2}, "phase": {}, "sign": {"of": "pixels"}, "blur": {"sigma": 1.0}},
    "distillation": {"both": {"lambda_k": 1.0, "temperature": 4.0, "lambda_d": 1.0, "lambda_m": 0.1, "reduction": "sample"}},
}


def test_the_stages_of_the_studies_take_colour_too(project: Path) -> None:
    source = "data/targets/0/R_smoothgrad.h5"
    calls = [f"make_targets {name} 0 --images data/imagefolder.h5 --out new/{name}.h5" for name in OTHERS["sources"]]
    calls += [f"disturb_targets {name} 0 --targets {source} --out new/{name}.h5" for name in OTHERS["nulls"]]
    calls += ["initial_network 0 --images data/imagefolder.h5 --out new/initial"]
    calls += [f"train_distilled both 0 --images data/imagefolder.h5 --teacher models/0/R --targets {source} --out new/both"]
    with params.changed(OTHERS):
        for call in calls:
            result = invoke(f"python -m stages.{call}")
            assert result.exit_code == 0, f"{call}\n{result.output}"
    train = image_file.read(Path("data/imagefolder.h5"), "train")
    shapes = {name: target_file.read(Path(f"new/{name}.h5"), train)[1].shape for name in [*OTHERS["sources"], *OTHERS["nulls"]]}
    assert set(shapes.values()) == {train.images.shape} == {(80, 3, 10, 12)}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # foolbox imports a namespace that SciPy will drop
def test_the_tools_take_colour_too(built: tuple[Path, dict], project: Path) -> None:
    model, maps, images = "models/0/R", "data/targets/0/R_smoothgrad.h5", "data/imagefolder.h5"
    for tool, words in [
        (targets, f"inspect {maps} --images {images} --gallery new.png"),
        (targets, f"verify {maps} --images {images} --model {model}"),
        (evaluate, f"--model {model} --images {built[0].parent / 'pictures'} --out new"),
        (
            attack_cost,
            f"--models models/0 --rows R --images {images} --count 4 --norm l2 --long 0 --steps 2",
        ),
        (confidence, f"train --images {images} --epochs 1 --out weights"),
        (confidence, f"attack --images {images} --weights weights --count 4 --factors 1 --out new.csv"),
    ]:
        result = CliRunner().invoke(tool.main, words.split())
        assert result.exit_code == 0, f"{words}\n{result.output}"
    assert Image.open("new.png").convert("RGB").getcolors(2) is None


def test_the_page_shows_images_in_their_colours(built: tuple[Path, dict]) -> None:
    train = image_file.read(built[0] / "data/imagefolder.h5", "train")
    page = (built[0] / "report/index.html").read_text()
    assert str(pixels.of_image(train.images[0])) in page


def test_the_size_of_shards_changes_no_byte(project: Path) -> None:
    call = "python -m stages.extract_saliency R smoothgrad 0 --images data/imagefolder.h5 --model models/0/R --out other.h5 --shard 7"
    assert invoke(call).exit_code == 0
    assert Path("other.h5").read_bytes() == Path("data/maps/0/R_smoothgrad.h5").read_bytes()


PREPARE = "python -m stages.prepare_data --out new"
IR = "python -m stages.train_ir R_simple 0 --images data/imagefolder.h5 --targets data/targets/0/R_simple.h5 --out new"
JR = "python -m stages.train_jr JR 0 --images data/imagefolder.h5 --out new"
TEACHER = "python -m stages.train_teacher R 0 --images data/imagefolder.h5 --out new"
EXTRACT = "python -m stages.extract_saliency R smoothgrad 0 --images data/imagefolder.h5 --model models/0/R --out new"
THRESHOLD = "python -m stages.threshold --maps data/maps/0/R_simple.h5 --out new"
PERMUTE = "python -m stages.permute perm50 0 --targets data/targets/0/R_smoothgrad.h5 --out new"
EVALUATE = "python -m stages.evaluate_attacks JR 0 --images data/imagefolder.h5 --model models/0/JR --out new"
BAD_PARAMS = [
    ("data.dataset", "cifar11", PREPARE, "dataset must be one of mnist5k, mnist, cifar10, imagefolder, got 'cifar11'"),
    ("data.train", 5000, PREPARE, "ask for 5060 images, imagefolder has 160"),
    ("data.tset", 1, PREPARE, "unknown keys tset"),
    ("teachers.R.norm", "l1", TEACHER, "must be one of 'l2', 'linf', got 'l1'"),
    ("teachers.R.epsilon", 0, TEACHER, "epsilon must be positive or null, got 0"),
    ("teachers.R.epsilon", -1.5, TEACHER, "got -1.5"),
    ("training.batch_size", 81, TEACHER, "batch_size 81 is larger than the 80 training images"),
    ("training.learning_rate", 1.0e30, JR, "the loss became nan at epoch 1, step"),
    ("training.lr", 0.1, JR, "unknown keys lr; known are epochs"),
    ("model.architecture", "resnet", JR, "architecture must be a file in lib/models, got 'resnet'"),
    ("ir.R_simple.lambda_d", -1, IR, "lambda_d must not be negative"),
    ("jr.JR.form", "square", JR, "must be one of 'half_squared', 'norm'"),
    ("jr.JR.masks", "per_row", JR, "masks must be shared with projections, per_row needs 0 of them, got 1"),
    ("jr.JR.batch_divisor", 0, JR, "batch_divisor must be positive, got 0"),
    ("ir.R_simple.reduction", "mean", IR, "reduction must be one of 'sample', 'batch', 'square', got 'mean'"),
    ("ir.R_simple.mode", "both", IR, "must be one of 'train', 'eval', got 'both'"),
    ("model.conv_bias", True, JR, "conv_bias must be null for the architecture cnn, which does not have it, got True"),
    ("saliency.methods.smoothgrad.of", "softmax", EXTRACT, "must be one of 'logits', 'outputs', got 'softmax'"),
    ("saliency.methods.smoothgrad.samples", 0, EXTRACT, "samples (N) must be positive, got 0"),
    ("saliency.methods.smoothgrad.sigma", "1e-3x", EXTRACT, "sigma must be a number, got '1e-3x'"),
    ("threshold.phi", -1, THRESHOLD, "phi must be positive, got -1"),
    ("threshold.ddof", 2, THRESHOLD, "ddof must be 0 or 1, got 2"),
    ("threshold.when", "later", THRESHOLD, "must be one of 'before', 'after', got 'later'"),
    ("threshold.exceptions", {"R_simple": 0}, THRESHOLD, "phi must be positive, got 0"),
    ("permute.rule", "chance", PERMUTE, "permute.rule must be one of fraction, probability, got 'chance'"),
    ("permute.fractions.perm50", 1.5, PERMUTE, "fraction must be a number in [0, 1], got 1.5"),
    ("threats.table.0.epsilon", 0, EVALUATE, "epsilon must be positive, got 0"),
    ("threats.table.0.norm", "l3", EVALUATE, "must be one of 'l2', 'linf', got 'l3'"),
    ("attacks.paper.steps", 0, EVALUATE, "steps must be positive, got 0"),
    ("evaluation.images", 41, EVALUATE, "evaluation.images is 41, the test split has 40"),
]


@pytest.fixture(scope="module")
def copied(built: tuple[Path, dict], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(built[0], tmp_path_factory.mktemp("copied") / "project", symlinks=True)


@pytest.fixture
def refusing(copied: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project of which nothing changes but params.yaml, which is put back."""
    monkeypatch.chdir(copied)
    before = Path("params.yaml").read_bytes()
    params.parsed.cache_clear()
    yield copied
    Path("params.yaml").write_bytes(before)
    params.parsed.cache_clear()


@pytest.mark.parametrize("key, value, command, sentence", BAD_PARAMS)
def test_bad_parameters_are_refused_in_one_sentence(key: str, value: object, command: str, sentence: str, refusing: Path) -> None:
    with edited(refusing) as document:
        *path, last = key.split(".")
        for part in path:
            document = document[int(part)] if isinstance(document, list) else document[part]
        document[last] = value
    params.parsed.cache_clear()
    refused(command, sentence)


BAD_WORDS = [
    (IR.replace("R_simple 0", "R_simpel 0"), "has no key 'R_simpel', it has"),
    (EXTRACT.replace("smoothgrad", "roughgrad"), "saliency method must be a file in lib/saliency, got 'roughgrad'"),
    (EVALUATE.replace("evaluate_attacks", "own_attack deepfool"), "attack must be a file in lib/own_attacks, got 'deepfool'"),
    (IR.replace("data/targets/0/R_simple.h5", "data/imagefolder.h5"), "expected a maps file at data/imagefolder.h5, found kind 'images'"),
    (EVALUATE.replace("models/0/JR", "data"), "expected a model description at data/model.json, found nothing there"),
]


@pytest.mark.parametrize("command, sentence", BAD_WORDS)
def test_bad_words_are_refused_in_one_sentence(command: str, sentence: str, refusing: Path) -> None:
    refused(command, sentence)


def test_targets_of_other_images_are_refused(project: Path) -> None:
    with edited(project) as document:
        document["data"]["seed"] = 1
    params.parsed.cache_clear()
    assert invoke("python -m stages.prepare_data --out data/imagefolder.h5").exit_code == 0
    refused(IR, "was made from other images")


def test_truncated_files_are_refused(project: Path) -> None:
    params.parsed.cache_clear()
    for name, command, sentence in [
        ("models/0/JR/weights.safetensors", EVALUATE, "does not hold the weights that model.json describes"),
        ("data/targets/0/R_simple.h5", IR, "is not a readable HDF5 file"),
        ("data/imagefolder.h5", JR, "is not a readable HDF5 file"),
    ]:
        data = (project / name).read_bytes()
        (project / name).write_bytes(data[: len(data) // 2])
        refused(command, sentence)


def test_help_explains_every_command() -> None:
    for file in sorted((Path(__file__).parents[1] / "stages").glob("[a-z]*.py")):
        result = CliRunner().invoke(importlib.import_module(f"stages.{file.stem}").main, ["--help"])
        assert result.exit_code == 0
        assert len(result.output) > 300 and "--out" in result.output, file.stem


def refused(command: str, sentence: str) -> None:
    result = invoke(command)
    assert result.exit_code != 0
    error = result.output[result.output.index("Error: ") :].strip()
    assert sentence in error
    assert "\n" not in error
    assert not Path("new").exists() and not Path("new.part").exists()


def test_the_summary_is_what_dvc_shows(built: tuple[Path, dict]) -> None:
    summary = json.loads((built[0] / "report/summary.json").read_text())
    assert set(summary) >= {"NR", "R", "JR", "R_smoothgrad"}
