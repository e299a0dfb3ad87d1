"""Several revisions side by side: what is read from where, known differences with their intervals, one sentence for anything wrong."""

import csv
import hashlib
import json
import shutil
from pathlib import Path

import compare_project
import numpy as np
import pytest
from compare_project import IMAGES, compared, stands, write
from dvc.repo import Repo
from project import run

from lib.compare.samples import Sample, change, changes
from lib.statistics import crossed
from lib.statistics.columns import Column

CELL = ("JR", "accuracy", Column("strict", "search", "linf", 0.2))


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return compare_project.entered(tmp_path_factory, tmp_path / "project", monkeypatch)


def both(count: int) -> np.ndarray:
    """The outcomes of a row that keeps so many images, (seeds, n)."""
    return np.stack([stands(count)] * 2).astype(float)


def table(name: str = "comparison") -> dict[tuple[str, ...], dict[str, str]]:
    with Path(f"comparison/{name}.csv").open() as file:
        return {(line["row"], line.get("attack", line["norm"]), line["revision"]): line for line in csv.DictReader(file)}


def test_the_row_that_changed_is_named_with_its_difference_paired_by_image(project):
    result = compared("before", "after")
    assert result.exit_code == 0, result.output
    expected = crossed.points(both(28), both(20))
    low, high = (f"{end:+.1f}".replace("-", "−") for end in (expected.low, expected.high))
    assert "Of 2 rows 1 differs: J<R. The others have the same outcome on every image." in result.output
    (line,) = [line.split() for line in result.output.splitlines() if "strict attack" in line]
    assert line[:10] == ["J<R,", "after", "strict", "attack,", "L∞", "0.2", "50.0", "→", "70.0", "+20.0"]
    assert line[10:] == [f"[{low},", f"{high}]", "points", "p", "=", f"{expected.p:.3f}", "more", "robust"]
    found, kept = table(), ("percent", "difference", "interval", "seed_differences")
    changed = found["JR", "search", "after"]
    assert [changed[name] for name in kept] == ["70.0", "20.0", "paired", "20.000 20.000"]
    assert float(changed["p"]) == float(changed["p_holm"]) == pytest.approx(expected.p, rel=1e-3)
    assert found["NR", "search", "after"]["difference"] == "0.0" and found["JR", "search", "before"]["difference"] == ""


def test_the_mean_radius_has_its_difference_in_percent_with_the_interval_of_images_and_seeds(project):
    assert compared("before", "after").exit_code == 0
    before, after = (np.stack([compare_project.radius(count).radius] * 2).astype(float) for count in (20, 28))
    found, expected = table("radii"), crossed.relative(after, before)
    line = found["JR", "linf", "after"]
    numbers = [expected.estimate, expected.low, expected.high]
    assert [float(line[name]) for name in ("percent", "low", "high")] == pytest.approx(numbers, abs=1e-3)
    assert (line["images"], line["seeds"]) == ("40", "2") and found["JR", "linf", "before"]["percent"] == ""
    assert found["NR", "linf", "after"]["percent"] == "0.0"
    assert float(found["JR", "linf", "before"]["mean_radius"]) == pytest.approx((20 * 0.3 + 18 * 0.1) / 40)


def test_the_same_comparison_is_the_same_bytes(project):
    for place in ("one", "two"):
        assert compared("before", "after", "--out", place).exit_code == 0
    assert all(Path("one", name).read_bytes() == Path("two", name).read_bytes() for name in ("index.html", "comparison.csv", "radii.csv"))


def test_results_come_from_the_cache_and_the_workspace_stays_as_it_is(project):
    shutil.rmtree("results")
    Path("report/results.csv").unlink()
    before = run("git status --short", project)
    assert compared("before", "after").exit_code == 0
    assert table()["JR", "search", "after"]["interval"] == "paired"
    assert not Path("results").exists() and not Path("report/results.csv").exists()
    assert run("git status --short -- . :!comparison", project) == before


def test_without_single_images_the_difference_has_no_interval(project):
    shutil.rmtree("results")
    for path in Path(".dvc/cache/files/md5").rglob("*"):
        if path.is_file() and path.read_bytes().startswith(b"\x89HDF"):
            path.unlink()
    result = compared("before", "after")
    found = table()["JR", "search", "after"]
    assert result.exit_code == 0 and "files with the outcomes of single images" in Path("comparison/index.html").read_text()
    assert (found["interval"], found["difference"], found["low_difference"], found["high_difference"]) == ("unknown", "20.0", "", "")
    assert "without an interval where images are missing" in result.output


def test_an_experiment_goes_by_its_name_and_the_workspace_by_its_word(project):
    write({"NR": 4, "JR": 30}, lambda_j=0.9)
    with Repo(str(project)) as repo:
        repo.add(["results", "report/results.csv"])
        repo.experiments.save(name="more-lambda")
    run("git checkout -q -f .", project)
    write({"NR": 4, "JR": 10})
    assert compared("HEAD", "more-lambda", "workspace", "--out", "comparison").exit_code == 0
    assert [table()["JR", "search", name]["percent"] for name in ("HEAD", "more-lambda", "workspace")] == ["70.0", "75.0", "25.0"]


def test_other_images_are_not_paired(project):
    write({"NR": 4, "JR": 28}, digest="other")
    assert compared().exit_code == 0
    changed, expected = table()["JR", "search", "workspace"], crossed.points(both(28), both(28), shared=False)
    assert (changed["interval"], float(changed["low_difference"])) == ("independent", pytest.approx(expected.low, abs=1e-3))


def test_only_what_differs_from_the_base_is_printed_of_each_revision(project):
    write({"NR": 10, "JR": 20})
    output = compared("before", "after", "workspace").output
    printed = [line.partition("  ")[0] for line in output.splitlines() if "strict attack" in line]
    assert "All 2 rows differ." in output and printed == ["Standard, workspace", "J<R, after"]


def test_revisions_that_agree_are_said_to(project):
    assert "HEAD and workspace have the same outcomes in every row, under every attack." in compared().output


def test_results_of_before_an_edit_are_not_called_current(project):
    Path("loss.py").write_text("")
    stages = {"train-jr": {"cmd": "true", "deps": ["loss.py"], "params": ["jr.JR"], "outs": [{"model": {"cache": False}}]}}
    Path("dvc.yaml").write_text(json.dumps({"stages": stages}))
    Path("model").write_text("")
    empty = {"hash": "md5", "md5": hashlib.md5(b"").hexdigest()}
    made = {"cmd": "true", "deps": [{"path": "loss.py"} | empty], "outs": [{"path": "model"} | empty]}
    made["params"] = {"params.yaml": {"jr.JR": {"lambda_j": 0.5}}}
    Path("dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": {"train-jr": made}}))
    run("git add -A", project)
    run("git commit -qm pipeline", project)
    assert "Not made anew" not in compared().output
    write({"NR": 4, "JR": 28}, lambda_j=0.7)
    Path("loss.py").write_text("edited")
    said = compared().output
    assert "Not made anew in workspace: train-jr (jr.JR.lambda_j, loss.py), 1 result in all; run dvc repro." in said
    assert "have the same outcomes, as far as they were made anew, in every row" in said
    assert "Not made anew in workspace" in Path("comparison/index.html").read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["before"], "expected at least two revisions to compare, got before"),
        (["before", "before"], "expected different revisions, got before, before"),
        (["before", "nothing-like-it"], "expected a revision, a branch, the name of an experiment or workspace, got 'nothing-like-it'"),
        (["before", "empty"], "expected results in report/results.csv of empty, found none in Git, the cache or a remote"),
        (["before", "workspace"], "expected results of one dataset in all revisions, got shapes in before, digits in workspace"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_sentence(project, words, sentence):
    run("git checkout -q --orphan empty", project)
    run("git rm -q --cached report/results.csv.dvc", project)
    run("git commit -qm empty", project)
    write({"NR": 4, "JR": 20}, dataset="digits")
    result = compared(*words)
    assert result.exit_code == 1 and sentence in result.output and len(result.output.splitlines()) == 1, result.output
    assert not Path("comparison").exists()


def test_only_seeds_that_both_revisions_have_are_compared():
    images = ("d", b"")
    fewer = Sample({0: 0.5}, IMAGES, both(20)[:1], images)
    more = Sample({0: 0.7, 1: 0.5}, IMAGES, np.stack([stands(28), stands(20)]).astype(float), images)
    changed = change(CELL, fewer, more)
    assert (changed.contrast, changed.kind, changed.same) == (crossed.points(both(28)[:1], both(20)[:1]), "paired", False)
    assert change(CELL, fewer, Sample({1: 0.5}, IMAGES, both(20)[:1], images)).kind == "independent"


def test_holms_correction_runs_over_the_attacks_of_one_kind_in_the_rows_that_changed():
    def measured(counts: dict[str, int], semantics: str = "strict") -> dict:
        column = Column(semantics, "search", "linf", 0.2)
        return {(row, "accuracy", column): Sample({0: 0, 1: 0}, IMAGES, both(count), ("d", b"")) for row, count in counts.items()}

    before = measured({"NR": 4, "JR": 20, "AT": 20}) | measured({"JR": 20}, "paper")
    after = measured({"NR": 4, "JR": 28, "AT": 21}) | measured({"JR": 28}, "paper")
    found = {(row, column.semantics): changed.contrast for (row, _, column), changed in changes(before, after).items()}
    assert found["JR", "strict"].adjusted == pytest.approx(2 * found["JR", "strict"].p)
    assert found["JR", "paper"].adjusted == found["JR", "paper"].p and np.isnan(found["NR", "strict"].adjusted)
