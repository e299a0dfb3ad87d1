"""Studies: a variant is the pipeline itself under changed parameters, and what a change does not touch is not made again."""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from project import ROOT
from ruamel.yaml import YAML

from lib.base import image_file, params
from lib.base.errors import InputError
from lib.network import checkpoint
from lib.studies import matched, measure_file, presets, study_table, trial, variant
from lib.studies.chain import Chain, under
from lib.studies.matching import Search
from lib.studies.measure_file import Measures
from lib.studies.trial import REFERENCE
from lib.studies.variant import Study, Targets, Variant
from stages import gather_study, prepare_studies, run_variant, train_ir, train_teacher

STUDIES = ("audit", "beyond", "matched")
SMALL = {
    "training.epochs": 2, "training.batch_size": 20, "model.width": 0.1, "saliency.methods.smoothgrad.samples": 2,
    "teachers.R.steps": 1, "teachers.R.epochs": 2, "preset": "paper",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with small parameters and 60 random images of 8 x 8 pixels."""
    place = tmp_path_factory.mktemp("study")
    document = YAML(typ="safe").load((ROOT / "scales/quick.yaml").read_text())
    for key, value in SMALL.items():
        *sections, last = key.split(".")
        node = document
        for name in sections:
            node = node[name]
        node[last] = value
    with (place / "params.yaml").open("w") as file:
        YAML().dump(document, file)
    shutil.copy(ROOT / "presets.yaml", place)
    random = np.random.default_rng(0)
    contents = {}
    for split, count in {"train": 60, "validation": 20, "test": 30}.items():
        labels = np.arange(count) % 3
        images = random.integers(0, 100, (count, 1, 8, 8)).astype(np.uint8)
        images[np.arange(count), 0, labels * 2] += 150
        contents[split] = (images, labels.astype(np.int64), np.arange(count))
    image_file.write(place / "images.h5", "bars", 3, contents)
    return place


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch) -> None:
    monkeypatch.chdir(folder)


def study(name: str = "audit") -> tuple[Study, dict[str, Variant]]:
    return variant.read(ROOT / f"studies/{name}/params.yaml")


ATTACK = {
    "search": {"seed": 0, "gradients": 12, "classes": 2, "steps": 4, "worth": 0.01},
    "paper": {"seed": 0, "steps": 3, "runs": 2, "batch_size": 50},
}


def small_study() -> Study:
    plan = study()[0]
    return Study([0, 1], 10, plan.threat, ATTACK, 12)


# What the files say


@pytest.mark.parametrize("name", STUDIES)
def test_every_variant_has_a_name_of_its_own_and_targets_where_its_stage_needs_them(name: str) -> None:
    plan, variants = study(name)
    assert len(plan.seeds) == len(set(plan.seeds)) >= 3
    assert len({(one.group, one.label) for one in variants.values()}) == len(variants)
    for one in variants.values():
        assert one.base is None or one.base in variants
        assert (one.targets is not None) == (one.stage == "train_ir" or one.label == "logits and gradients")


def test_the_audit_turns_every_switch_whose_columns_differ() -> None:
    """Each key of presets.yaml with another value under `paper` than under `strict` is changed by some variant, to the value of `paper`."""
    turned = [
        {**one.change, **one.student, **{f"attack.{key}": value for key, value in (one.attack or {}).items()}}
        for one in study()[1].values()
    ]
    for key, switch in presets.switches().items():
        for column in ("", "_cifar10"):
            paper, strict = switch.value("paper", bool(column)), switch.value("strict", bool(column))
            if paper == strict or key in {"jr.*.batch_divisor", "saliency.methods.simple.of", "at.*.mode", "at.*.semantics"}:
                continue  # 8 does not divide the quick scale's batch; `of` matters where outputs are probabilities; at is as teachers
            if key == "training.weight_decay" and column:
                continue
            wanted = key.split(".")
            found = [value for one in turned for name, value in one.items() if _fits(name.split("."), wanted)]
            together = {name: value for one in found for name, value in one.items()} if isinstance(paper, dict) else None
            assert paper in found or paper == together, f"no variant sets {key} to {paper!r}"


def _fits(name: list[str], pattern: list[str]) -> bool:
    return len(name) == len(pattern) and all(part in ("*", word) for word, part in zip(name, pattern))


def test_what_is_wrong_in_a_study_is_said_in_one_sentence(tmp_path: Path) -> None:
    text = (ROOT / "studies/audit/params.yaml").read_text()
    for before, after, sentence in [
        ("base: ir\n", "base: nobody\n", "base must be a variant, got 'nobody'"),
        ("seeds: [0, 1, 2]", "seeds: [0]", "at least two seeds"),
        ("method: smoothgrad}", "method: smoothgrad, source: edges}", "a teacher and a method, or a source"),
        ("level: perm50}", "level: perm50, disturbed: blur}", "one of disturbed and level"),
        ("method: smoothgrad}", "method: smoothgrad, null: blur}", "unknown keys None"),
    ]:
        assert before in text
        path = tmp_path / f"{abs(hash(after))}.yaml"
        path.write_text(text.replace(before, after))
        with pytest.raises(InputError, match=sentence):
            variant.read(path)
    with pytest.raises(InputError, match="has no variant 'nobody', it has ir, "):
        variant.chosen(study()[1], "nobody", Path("studies/audit/params.yaml"))


# What a chain makes


def test_a_student_of_a_study_is_that_of_the_pipelines_own_commands_bit_for_bit(folder: Path, tmp_path: Path) -> None:
    chain = Chain(3, folder / "images.h5", tmp_path / "chain")
    with under({}):
        made, targets = chain.student(REFERENCE), chain.targets(Targets("R", "smoothgrad"))
        call = ["R_smoothgrad", "3", "--images", str(folder / "images.h5"), "--targets", str(targets), "--out", str(tmp_path / "own")]
        train_ir.main.main(args=call, standalone_mode=False)
        call = ["R", "3", "--images", str(folder / "images.h5"), "--out", str(tmp_path / "R")]
        train_teacher.main.main(args=call, standalone_mode=False)
        assert checkpoint.digest(made) == checkpoint.digest(tmp_path / "own")
        assert checkpoint.digest(chain.teacher("R")) == checkpoint.digest(tmp_path / "R")


def test_every_study_starts_from_strict_whatever_params_says() -> None:
    assert params.value("preset") == "paper"
    with under({"training.epochs": 5}):
        assert params.value("preset") == "strict" and params.value("training", "epochs") == 5
        assert presets.departures(params.document()) == []
    assert params.value("training", "epochs") == 2


def test_what_a_change_does_not_touch_is_taken_from_the_shared_folder(folder: Path, tmp_path: Path) -> None:
    images, shared = folder / "images.h5", tmp_path / "shared"
    trial.prepare(Chain(0, images, shared), ["NR", "R"], ["simple", "smoothgrad"])
    prepared = {path.name for path in shared.iterdir()}
    assert len(prepared) == 2 + 4 + 4 + 1  # teachers, maps, targets, the reference student

    def made(number: int, changes: dict, level: str | None = None) -> int:
        targets = Targets("R", "smoothgrad", level=level)
        own = tmp_path / f"own{number}"
        with under(changes):
            Chain(0, images, own, shared).student(Variant("", "", "train_ir", "R_smoothgrad", targets=targets))
        return len(list(own.iterdir())) if own.exists() else 0

    assert made(0, {}) == 0
    assert made(1, {"ir.R_smoothgrad.lambda_d": 1.0}) == 1  # the student
    assert made(2, {"threshold.phi": 2.0}) == 2  # and its targets
    assert made(3, {"saliency.methods.smoothgrad.samples": 3}) == 3  # and the maps
    assert made(4, {"teachers.R.steps": 2}) == 4  # and the teacher
    assert made(5, {"teachers.NR.steps": 2, "permute.seed": 5}) == 0
    assert made(6, {}, "perm100") == 2
    assert {path.name for path in shared.iterdir()} == prepared


def test_a_change_of_the_student_alone_leaves_teacher_and_targets(folder: Path, tmp_path: Path) -> None:
    chain = Chain(0, folder / "images.h5", tmp_path)
    smooth = Variant("", "", "train_ir", "R_smoothgrad", targets=Targets("R", "smoothgrad"), student={"model.activation": "softplus"})
    with under({}):
        made, teacher = chain.student(smooth), chain.teacher("R")
    assert '"softplus"' in (made / "model.json").read_text() and '"softplus"' not in (teacher / "model.json").read_text()


def test_strengths_multiply_what_the_variant_lists_after_its_changes() -> None:
    one = Variant("", "", "train_jr", "JR", change={"jr.JR.lambda_j": 0.5, "training.epochs": 1}, scale=["jr.JR.lambda_j"])
    assert matched.scaled(one, 3.0) == {"jr.JR.lambda_j": 1.5, "training.epochs": 1}


def test_a_search_ends_near_the_references_loss(folder: Path, tmp_path: Path) -> None:
    chain = Chain(0, folder / "images.h5", tmp_path)
    same = Variant("", "", "train_ir", "R_smoothgrad", targets=Targets("R", "smoothgrad"), scale=["ir.R_smoothgrad.lambda_m"])
    found = matched.matched(chain, same, small_study(), Search(0.1, 10, 3, 0.05))
    assert found.notes["matched"] == 1 and found.notes["strength"] == 1 and found.notes["trials"] == 1
    assert found.validation_loss == found.notes["wanted_loss"]
    with pytest.raises(InputError, match="must name in `scale` what the strength multiplies"):
        matched.matched(chain, REFERENCE, small_study(), Search(0.1, 10, 3, 0.05))


# Commands and files


def test_the_commands_from_preparation_to_the_table(folder: Path, tmp_path: Path) -> None:
    text = (ROOT / "studies/audit/params.yaml").read_text()
    document = YAML(typ="safe").load(text)
    document["study"] |= {"seeds": [0, 1], "images": 10, "gradients": 12}
    document["study"]["attack"] = ATTACK
    document["variants"] = {name: document["variants"][name] for name in ("ir", "ir_literal", "attack")}
    with (tmp_path / "params.yaml").open("w") as file:
        YAML().dump(document, file)
    images = ["--images", str(folder / "images.h5")]
    for seed in ("0", "1"):
        done = CliRunner().invoke(prepare_studies.main, [seed, *images, "--out", str(tmp_path / "base" / seed)])
        assert done.exit_code == 0, done.output
    for name in document["variants"]:
        call = [name, "--study", str(tmp_path / "params.yaml"), *images, "--base", str(tmp_path / "base")]
        done = CliRunner().invoke(run_variant.main, [*call, "--out", str(tmp_path / "measures" / f"{name}.h5")])
        assert done.exit_code == 0, done.output
    call = ["--study", str(tmp_path / "params.yaml"), "--measures", str(tmp_path / "measures"), "--out", str(tmp_path / "audit.csv")]
    done = CliRunner().invoke(gather_study.main, call)
    assert done.exit_code == 0 and "3 variants, seeds 0, 1" in done.output
    frame = pd.read_csv(tmp_path / "audit.csv")
    assert list(frame["variant"]) == ["ir", "ir", "ir_literal", "ir_literal", "attack", "attack"] and list(frame["seed"]) == [0, 1] * 3
    assert (frame["n_clean"] == 30).all() and (frame["n_attacked"] == 10).all()
    assert frame["cosine_target"].isna().tolist() == [False] * 4 + [True] * 2
    assert list(frame["norm"]) == ["linf"] * 4 + ["l2"] * 2


def test_a_command_that_runs_others_is_timed_once(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("STAGE_TIMES", str(tmp_path / "times.jsonl"))
    call = ["0", "--images", "images.h5", "--out", str(tmp_path / "base")]
    assert CliRunner().invoke(prepare_studies.main, call).exit_code == 0
    assert len((tmp_path / "times.jsonl").read_text().splitlines()) == 1
    assert os.environ["STAGE_TIMES"] == str(tmp_path / "times.jsonl")


def test_the_table_is_what_the_files_hold(tmp_path: Path) -> None:
    plan, variants = study()
    robust = np.array([1, 0]), np.array([1, 1 / 3]), np.array([2.0, 1.0]), np.array([0.3, 0.1])
    one = Measures(np.array([1, 1, 0, 0]), *robust, np.array([1.0, 3.0]), np.array([0.5, 0.1]), None, 0.25)
    other = Measures(*(getattr(one, name) for name in list(measure_file.LIMITS)[:7]), np.array([0.2, 0.4]), 0.5, {"strength": 2.0})
    measure_file.write(tmp_path / "ir.h5", "ir", {0: one, 1: other, 2: one})
    frame = study_table.frame(tmp_path, plan, {"ir": variants["ir"]})
    assert (
        list(frame["clean"]) == [0.5] * 3 and list(frame["robust"]) == [0.5] * 3 and frame["paper"].tolist() == pytest.approx([2 / 3] * 3)
    )
    assert list(frame["radius_l2"]) == [1.5] * 3 and frame["radius_linf"].tolist() == pytest.approx([0.2] * 3)
    assert list(frame["label_norm"]) == [2.0] * 3 and frame["cosine_reference"].tolist() == pytest.approx([0.3] * 3)
    assert frame["cosine_target"].isna().tolist() == [True, False, True] and frame["strength"].isna().tolist() == [True, False, True]
    with pytest.raises(InputError, match="should hold the seeds"):
        study_table.frame(tmp_path, Study([0, 5], 10, plan.threat, plan.attack, 5), {"ir": variants["ir"]})
    shutil.copy(tmp_path / "ir.h5", tmp_path / "jr.h5")
    with pytest.raises(InputError, match="should hold variant jr, it says ir"):
        study_table.frame(tmp_path, plan, {"jr": variants["jr"]})
