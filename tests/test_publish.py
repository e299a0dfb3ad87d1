"""Publishing: what is copied, what about.json says, that nothing names a machine's folders, and that it can be repeated."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import report_grid
from click.testing import CliRunner, Result
from project import run as call

from lib.evaluation import outcome_file
from lib.report import published_folder
from lib.studies import measure_file
from lib.studies.measure_file import Measures
from tools import publish

PUBLISHED = Path("results/published")
STUDY = """
study:
  seeds: [0, 1]
  images: 4
  threat: {norm: linf, epsilon: 0.2, step_size: 0.0125}
  gradients: 4
  attack: {}
variants:
  ir: {group: g, label: strict, stage: train_ir, row: R_smoothgrad}
  other: {group: g, label: changed, base: ir, stage: train_ir, row: R_smoothgrad}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project with the quick grid of one seed and a study of two variants, in a Git repository; made once and copied."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("project")
        patch.chdir(folder)
        report_grid.make(seeds=[0])
        Path("studies/audit").mkdir(parents=True)
        Path("studies/audit/params.yaml").write_text(STUDY)
        Path(".gitignore").write_text("/results/*\n!/results/published/\n/data/\n")
        call("git init -q", folder)
        commit(folder)
    return folder


@pytest.fixture(autouse=True)
def folder(project, tmp_path, monkeypatch) -> Iterator[Path]:
    monkeypatch.chdir(shutil.copytree(project, tmp_path / "copy"))
    with report_grid.remembered():
        yield tmp_path / "copy"


def commit(folder: Path) -> None:
    for line in ("git add -A", "git commit -qm change"):
        call(line, folder)


def published(*words: str) -> Result:
    return CliRunner().invoke(publish.main, list(words), catch_exceptions=False)


def about(name: str) -> dict:
    return json.loads((PUBLISHED / name / "about.json").read_text())


def contents(name: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (PUBLISHED / name).iterdir()}


def gather(*variants: str) -> None:
    lines = [
        {"variant": name, "group": "g", "label": name, "base": "", "seed": seed, "robust": 0.5} for name in variants for seed in (0, 1)
    ]
    Path("results/studies").mkdir(parents=True, exist_ok=True)
    pd.DataFrame(lines).to_csv("results/studies/audit.csv", index=False, lineterminator="\n")


def test_a_study_is_copied_with_its_parameters_and_where_it_comes_from() -> None:
    gather("ir", "other")
    assert published("audit").exit_code == 0
    assert contents("audit")["measures.csv"] == Path("results/studies/audit.csv").read_bytes()
    assert contents("audit")["params.yaml"].decode() == STUDY
    found = about("audit")
    expected = {"kind": "study", "command": "make audit", "preset": "strict", "seeds": [0, 1], "dataset": "mnist5k", "complete": True}
    assert expected.items() <= found.items() and found["missing"] == [] and not found["edited"]
    assert found["commit"] == call("git rev-parse HEAD", Path.cwd()).strip() and len(found["measured"]) == 2
    assert {"python", "torch", "numpy", "platform", "cpu", "cores", "torch_threads", "device"} <= set(found["environment"])
    assert published_folder.read(PUBLISHED)["audit"].about.complete


def test_a_study_that_is_not_finished_says_what_is_missing() -> None:
    zeros = np.zeros(4)
    measures = Measures(zeros, zeros, zeros, zeros + 0.3, zeros + 0.1, zeros + 1, zeros, None, 0.2, {})
    measure_file.write(Path("results/studies/audit/ir.h5"), "ir", {0: measures, 1: measures})
    result = published("audit")
    assert result.exit_code == 0 and "not complete; 1 parts are missing" in result.output
    assert about("audit")["missing"] == ["other"] and not about("audit")["complete"]
    assert list(pd.read_csv(PUBLISHED / "audit/measures.csv")["variant"]) == ["ir", "ir"]
    radii = published_folder.read(PUBLISHED)["audit"].radii
    assert radii["ir", "linf"].shape == (2, 4) and radii["ir", "linf"].max() == np.float32(0.1)


def test_a_table_of_another_version_of_the_study_is_refused() -> None:
    gather("ir", "gone")
    result = published("audit")
    assert result.exit_code == 1 and "has variants that studies/audit/params.yaml does not have: gone" in result.output
    assert not (PUBLISHED / "audit").exists() and not list(PUBLISHED.glob(".*"))


def test_a_run_is_published_with_the_accuracies_that_the_report_reads() -> None:
    assert published("run", "quick").exit_code == 0
    frame = pd.read_csv(PUBLISHED / "quick/accuracies.csv", keep_default_na=False)
    mine = frame[(frame["row"] == "JR") & (frame["semantics"] == "strict") & (frame["norm"] == "linf")]
    assert dict(zip(mine["epsilon"], mine["accuracy"]))["0.2"] == pytest.approx(0.52)
    evidence = report_grid.read().accuracies
    attacked = evidence[(evidence["semantics"] != "transfer")]
    assert len(frame) == len(attacked) and frame["accuracy"].mean() == pytest.approx(attacked["accuracy"].mean(), abs=1e-6)
    gradients = pd.read_csv(PUBLISHED / "quick/gradients.csv").set_index("row")
    assert gradients.loc["NR", "label_norm"] == 10 and len(gradients) == 12
    assert about("quick")["complete"] and about("quick")["seeds"] == [0] and about("quick")["preset"] == "strict"


def test_the_radii_of_a_run_are_those_that_its_report_compares() -> None:
    published("run", "quick")
    radii, evidence = published_folder.read(PUBLISHED)["quick"].radii, report_grid.read()
    assert radii.keys() == evidence.radii.keys()
    assert all(np.allclose(radii[place], evidence.radii[place]) for place in radii)


def test_single_images_give_the_accuracies_again() -> None:
    published("run", "quick")
    frame = pd.read_csv(PUBLISHED / "quick/accuracies.csv", keep_default_na=False)
    with h5py.File(PUBLISHED / "quick/outcomes.h5") as file:
        standing, runs = file["standing"][:], file["runs"][:]
    kept = frame[frame["line"] != ""]
    assert set(kept["semantics"]) == {"", "paper", "strict"}
    for entry in kept.itertuples():
        line, count = standing[int(entry.line)], runs[int(entry.line)]
        shares = line / count if entry.semantics == "paper" else line == count
        assert shares[line != 255].mean() == pytest.approx(entry.accuracy, abs=1e-6), entry


def test_missing_outcomes_and_gradients_are_named_and_the_rest_is_published() -> None:
    Path("results/attacks/0/JR.h5").unlink()
    Path("results/gradients/0.h5").unlink()
    assert published("run", "quick").exit_code == 0
    assert about("quick")["missing"] == ["0/JR.h5", "gradients of seed 0"] and not about("quick")["complete"]
    assert "JR" not in set(pd.read_csv(PUBLISHED / "quick/accuracies.csv")["row"]) and "gradients.csv" not in contents("quick")
    assert len(published_folder.read(PUBLISHED)["quick"].gradients) == 0


def test_publishing_again_gives_the_same_bytes_and_keeps_the_notes(folder) -> None:
    published("run", "quick")
    before = contents("quick")
    (PUBLISHED / "quick/notes.md").write_text("Why.")
    assert published("run", "quick").exit_code == 0
    assert contents("quick") == before | {"notes.md": b"Why."}
    commit(folder)  # of results only, which changes no code
    published("run", "quick")
    assert contents("quick") == before | {"notes.md": b"Why."}


def test_edits_beside_the_commit_are_said() -> None:
    Path("studies/audit/params.yaml").write_text(STUDY + "# edited\n")
    published("run", "quick")
    assert about("quick")["edited"]


def test_a_clone_elsewhere_is_published_here(folder) -> None:
    clone = folder / "elsewhere"
    clone.mkdir()
    for name in ("params.yaml", "results", "data", ".git", ".gitignore", "studies"):
        (shutil.copytree if (folder / name).is_dir() else shutil.copy)(folder / name, clone / name)
    shutil.rmtree("results/attacks")
    assert published("run", "there", "--from", str(clone)).exit_code == 0
    assert about("there")["complete"] and not (clone / "results/published").exists()
    assert "expected outcomes of this run" in published("run", "here").output


def test_the_place_of_raw_data_is_left_out() -> None:
    document = json.loads(Path("params.yaml").read_text())
    del document["data"]
    others = "".join(f"{key}: {json.dumps(value)}\n" for key, value in document.items())
    Path("params.yaml").write_text("data:\n  root: /secret/place   # raw\n  dataset: mnist5k\n" + others)
    report_grid.params.parsed.cache_clear()
    assert published("run", "quick").exit_code == 0
    assert "root: null   # raw" in contents("quick")["params.yaml"].decode()
    assert about("quick")["left_out"] == ["data.root, the place of the raw data"]
    assert not any(b"secret" in text for text in contents("quick").values())


@pytest.mark.parametrize("place", ["/home/someone/file", "~/data/raw", "C:\\data\\raw"])
def test_nothing_that_names_a_folder_of_this_machine_is_published(place: str) -> None:
    gather("ir", "other")
    Path("studies/audit/params.yaml").write_text(f"{STUDY}# made in {place}\n")
    result = published("audit")
    assert result.exit_code == 1 and "must not name a place on this machine, but params.yaml holds" in result.output
    assert not (PUBLISHED / "audit").exists()


def test_fractions_and_addresses_are_no_folders() -> None:
    gather("ir", "other")
    Path("studies/audit/params.yaml").write_text(f"{STUDY}# 8/255, lib/report/x.py, https://arxiv.org/abs/1912.03430, paper / code\n")
    assert published("audit").exit_code == 0


def test_too_many_single_images_are_left_out_and_that_is_said(monkeypatch) -> None:
    monkeypatch.setattr(publish, "LARGEST", 1000)
    assert published("run", "quick").exit_code == 0
    assert "outcomes.h5" not in contents("quick") and "single images" in about("quick")["left_out"][0]


def test_outcomes_of_other_images_are_refused() -> None:
    path = Path("results/attacks/0/JR.h5")
    outcome_file.write(path, replace(outcome_file.read(path), images_digest="f" * 64))
    assert "must come from the same test images" in published("run", "quick").output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nothing"], "a study must be one of audit, beyond, matched, got 'nothing'"),
        (["run", "audit"], "a run must not be called like a study"),
        (["run", "../x"], "names use letters, digits and underscores only"),
        (["one", "two"], "expected the name of a study, or run and a name"),
        (["audit", "--from", "."], "--from goes with run only"),
        (["audit"], "expected the table results/studies/audit.csv or results of variants"),
    ],
)
def test_what_cannot_be_published_is_refused_in_one_sentence(words: list[str], sentence: str) -> None:
    result = published(*words)
    assert result.exit_code == 1 and sentence in result.output
