"""Several revisions side by side: what is read from where, known differences with their intervals, one sentence for anything wrong."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from dvc.repo import Repo
from project import run

from lib.compare.differences import change, unpaired
from lib.compare.scores import Scores
from lib.evaluation import outcome_file
from lib.evaluation.outcome_file import Outcomes, Record
from lib.report.columns import Column
from lib.report.results import COLUMNS
from lib.report.statistics import paired
from tools import compare

IMAGES = 40
THREAT = {"norm": "linf", "epsilon": 0.2}
CELL = ("JR", Column("strict", "pgd40", "linf", 0.2))


def stands(count: int) -> np.ndarray:
    return np.arange(IMAGES) < count


def write(left: dict[str, int], lambda_j: float = 0.3, digest: str = "d", dataset: str = "shapes") -> None:
    """A project's parameters and results: of 40 images each row keeps the first so many, under each of two seeds."""
    document = {
        **{"seeds": [0, 1], "jr": {"JR": {"lambda_j": lambda_j}}, "threats": {"table": [THREAT | {"step_size": 0.1}]}},
        **{"rows": {"NR": {"technique": "Standard", "group": None}, "JR": {"technique": "J<R", "group": None}}},
        "report": {"figure_threat": THREAT | {"semantics": "strict"}},
    }
    Path("params.yaml").write_text(json.dumps(document))
    lines: list[tuple] = []
    for row, count in left.items():
        for seed in (0, 1):
            record = Record("strict", "pgd40", "linf", 0.2, "worst", stands(count)[None])
            outcomes = Outcomes(dataset, row, seed, "pgd", digest, np.arange(IMAGES), np.zeros(IMAGES, int), stands(38), (record,))
            outcome_file.write(Path(f"results/attacks/{seed}/{row}.pgd.h5"), outcomes)
            start = dataset, document["rows"][row]["technique"], seed
            lines += [(*start, "", "clean", "", "", 38 / 40, 40), (*start, "strict", "pgd40", "linf", 0.2, count / 40, 40)]
    table("results", COLUMNS, lines)
    curves = [(document["rows"][row]["technique"], "strict", "linf", radius, 1 - radius) for row in left for radius in (0.0, 0.2)]
    table("curves", ["technique", "semantics", "norm", "epsilon", "accuracy"], curves)
    Path("report/summary.json").write_text(json.dumps({"JR": {"label_norm": lambda_j}}))


def table(name: str, columns: list[str], lines: list[tuple]) -> None:
    Path("report").mkdir(exist_ok=True)
    with Path(f"report/{name}.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *lines])


def commit(folder: Path, tag: str) -> None:
    with Repo(str(folder)) as repo:
        repo.add(["results", "report/results.csv"])
    run("git add -A", folder)
    run(f"git commit -qm {tag}", folder)
    run(f"git tag {tag}", folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two commits: `before`, and `after` in which JR keeps 28 of 40 images where it kept 20. DVC has the results, Git the rest."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run("git init -q", folder)
        run("dvc init -q", folder)
        run("dvc config core.analytics false", folder)
        write({"NR": 4, "JR": 20})
        commit(folder, "before")
        write({"NR": 4, "JR": 28}, lambda_j=0.5)
        commit(folder, "after")
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = shutil.copytree(made, tmp_path / "project", symlinks=True)
    monkeypatch.chdir(folder)
    return folder


def compared(*words: str) -> Result:
    return CliRunner().invoke(compare.main, words)


def lines() -> dict[tuple[str, ...], dict[str, str]]:
    with Path("comparison/comparison.csv").open() as file:
        return {(line["row"], line["attack"], line["revision"]): line for line in csv.DictReader(file)}


def test_the_row_that_changed_is_named_with_its_difference_paired_by_image(project):
    result = compared("before", "after")
    assert result.exit_code == 0, result.output
    low, high = (f"{100 * end:+.1f}".replace("-", "−") for end in paired(stands(28), stands(20)))
    assert "Of 2 rows 1 differs: J<R. The others have the same outcome on every image." in result.output
    assert f"50.0 → 70.0 % under the strict attack (+20.0 [{low}, {high}] points)" in result.output
    found = lines()["JR", "pgd40", "after"]
    assert (found["percent"], found["difference"], found["interval"], found["seed_differences"]) == (
        "70.0",
        "20.0",
        "paired",
        "20.000 20.000",
    )
    assert (
        float(found["p"]) == float(found["p_holm"]) == pytest.approx(2 * 0.5**8, rel=1e-3)
    )  # eight images in one direction, none in the other
    assert lines()["NR", "pgd40", "after"]["difference"] == "0.0" and lines()["JR", "pgd40", "before"]["difference"] == ""


def test_the_page_shows_parameters_and_results_that_differ_and_loads_nothing(project):
    compared("before", "after")
    page = Path("comparison/index.html").read_text()
    assert '<code>jr.JR.lambda_j</code></th><td class="left">0.3</td><td class="left">0.5</td>' in page
    assert "<code>JR.label_norm</code>" in page and "J&lt;R" in page and "J<R" not in page
    assert not re.search(r"(?:src|href)=\"(?!data:|#|comparison\.csv)|url\((?!#)|@import", page.replace('xlink:href="#', ""))


def test_results_come_from_the_cache_and_the_workspace_stays_as_it_is(project):
    shutil.rmtree("results")
    Path("report/results.csv").unlink()
    before = run("git status --short", project)
    assert compared("before", "after").exit_code == 0
    assert lines()["JR", "pgd40", "after"]["interval"] == "paired"
    assert not Path("results").exists() and not Path("report/results.csv").exists()
    assert run("git status --short -- . :!comparison", project) == before


def test_without_single_images_the_difference_is_unpaired_and_less_certain(project):
    shutil.rmtree("results")
    listing = next(path for path in Path(".dvc/cache/files/md5").rglob("*.dir"))
    assert listing.exists()
    for path in Path(".dvc/cache/files/md5").rglob("*"):
        if path.is_file() and path.read_bytes().startswith(b"\x89HDF"):
            path.unlink()
    result = compared("before", "after")
    found = lines()["JR", "pgd40", "after"]
    low, high = unpaired(0.7, 40, 0.5, 40)
    assert result.exit_code == 0 and "files with the outcomes of single images" in Path("comparison/index.html").read_text()
    assert (found["interval"], found["low_difference"], found["high_difference"]) == ("unpaired", f"{100 * low:.3f}", f"{100 * high:.3f}")
    assert high - low > np.ptp(paired(stands(28), stands(20)))


def test_an_experiment_goes_by_its_name_and_the_workspace_by_its_word(project):
    write({"NR": 4, "JR": 30}, lambda_j=0.9)
    with Repo(str(project)) as repo:
        repo.add(["results", "report/results.csv"])
        repo.experiments.save(name="more-lambda")
    run("git checkout -q -f .", project)
    write({"NR": 4, "JR": 10})
    assert compared("HEAD", "more-lambda", "workspace", "--out", "comparison").exit_code == 0
    assert [lines()["JR", "pgd40", name]["percent"] for name in ("HEAD", "more-lambda", "workspace")] == ["70.0", "75.0", "25.0"]


def test_other_images_are_not_paired(project):
    write({"NR": 4, "JR": 28}, digest="other")
    assert compared().exit_code == 0
    assert lines()["JR", "pgd40", "workspace"]["interval"] == "unpaired"


def test_revisions_that_agree_are_said_to(project):
    assert "HEAD and workspace have the same outcomes in every row, under every attack." in compared().output


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


def test_seeds_that_only_one_revision_has_count_in_its_mean_and_not_in_the_test():
    images = ("d", b"")
    one = Scores({0: 0.5}, IMAGES, stands(20)[None].astype(float), images)
    two = Scores({0: 0.7, 1: 0.5}, IMAGES, np.stack([stands(28), stands(20)]).astype(float), images)
    found = change(CELL, one, two)
    assert found.difference.points == pytest.approx(10) and found.points == {0: pytest.approx(20)}
    assert found.p == pytest.approx(2 * 0.5**8) and found.paired and not found.same
