"""What reruns after which edit, exactly: the real dvc.yaml with commands that only write random bytes, but for the check of params.yaml,
and for target sets, which are what their maps and settings make them.

Because every result is new, what runs are the stages that DVC finds changed and everything behind them. That much is asked of DVC for
every edit; that `dvc repro` then runs the same is tried from nothing and after a few edits, because it takes a second per stage.
"""

import re
import shutil
from pathlib import Path

import networkx
import pytest
import quick_dvc
from dvc.repo import Repo
from members import built_once
from project import ROOT, copy, edited, ran, run, shrink, start

IR = {"NR_simple", "R_simple", "R_smoothgrad", "R_smoothgrad_perm50"}
ALL = IR | {"NR", "R", "AT25", "JR"}


def train(rows: set[str], seeds: tuple[int, ...] = (0,)) -> set[str]:
    """The training stages of `rows` with what is measured of them."""
    kind = {"NR": "train-teacher", "R": "train-teacher", "AT25": "train-at", "JR": "train-jr"}
    trained = {f"{kind.get(row, 'train-ir')}@{row}-{seed}" for row in rows for seed in seeds}
    of_all_rows = {f"{kind}@{seed}" for kind in ("measure-gradients", "transfer-attacks") for seed in seeds}
    return trained | evaluate(rows, seeds) | of_all_rows | {"report"}


def evaluate(rows: set[str], seeds: tuple[int, ...] = (0,)) -> set[str]:
    return {f"evaluate-attacks@{row}-{seed}" for row in rows for seed in seeds}


def targets(maps: set[str], extracted: bool = True, seed: int = 0) -> set[str]:
    """What follows when these maps (R-simple, ...) are extracted, or only thresholded, anew: their own students, and no others."""
    names = {name.replace("-", "_") for name in maps}
    students = IR & (names | ({"R_smoothgrad_perm50"} if "R_smoothgrad" in names else set()))
    extraction = {f"extract-saliency@{name}-{seed}" for name in maps} if extracted else set()
    return extraction | {f"permute-targets@{seed}"} | train(students, (seed,))


MAPS = {"NR-simple", "NR-smoothgrad", "R-simple", "R-smoothgrad"}
NEW_SEED = targets(MAPS, seed=1) | train(ALL, (1,))
CHECK = "check@params"
EVERYTHING = {CHECK, "prepare-data"} | targets(MAPS) | train(ALL)
# One parameter of each section; test_stages.py asks of every stage whether dvc.yaml lists exactly the parameters that it reads.
PARAMS = {
    "data.seed": (1, EVERYTHING),
    "ir.R_simple.lambda_d": (2.0, train({"R_simple"})),
    "jr.JR.lambda_j": (0.5, train({"JR"})),
    "at.AT25.steps": (6, train({"AT25"})),
    "teachers.NR.steps": (6, train({"NR"}) | targets({"NR-simple", "NR-smoothgrad"})),
    "training.epochs": (7, targets(MAPS) | train(ALL)),
    "saliency.methods.smoothgrad.samples": (3, targets({"R-smoothgrad", "NR-smoothgrad"})),
    "threshold.phi": (1.5, targets(MAPS, extracted=False)),
    "threshold.exceptions": ({"NR_simple": 2.0}, targets({"NR-simple"}, extracted=False)),
    "permute.fractions.perm50": (0.4, {"permute-targets@0"} | train({"R_smoothgrad_perm50"})),
    "attacks.paper.steps": (50, evaluate(ALL) | {"report"}),
    "evaluation.images": (50, evaluate(ALL) | {"transfer-attacks@0", "report"}),
    "transfer.images": (30, {"transfer-attacks@0", "report"}),
    "rows.JR.threats": ("permutation", evaluate({"JR"}) | {"measure-gradients@0", "transfer-attacks@0", "report"}),
    "gradients.images": (100, {"measure-gradients@0", "report"}),
    "preset": ("paper", targets(MAPS)),  # every file of maps says it
    "report.gallery": (2, {"report"}),
    "seeds": ([0, 1], NEW_SEED | {"report"}),
}
FILES = {
    "lib/attacks/search.py": evaluate(ALL) | {"transfer-attacks@0", "report"},
    "lib/own_attacks/__init__.py": set(),
    "lib/attacks/outcomes.py": evaluate(ALL) | {"transfer-attacks@0", "report"},
    "lib/gate/checks.py": {"report"},
    "lib/statistics/intervals.py": {"report"},
    "lib/gradients/alignment.py": {"measure-gradients@0", "report"},
    "lib/report/table.py": {"report"},
    "lib/targets/transforms.py": targets(MAPS, extracted=False) | {"measure-gradients@0"},
    "lib/saliency/smoothgrad.py": targets({"R-smoothgrad", "NR-smoothgrad"}),
    "lib/objectives/interpretation.py": train(IR),
    "lib/objectives/jacobian.py": train({"JR"}),
    "lib/models/wide_resnet.py": set(),
    "tests/test_reruns.py": set(),
}

# Of either kind, one that goes through the whole graph and one that does not, and what is decided by the content of target sets.
REALLY_RUN = ("saliency.methods.smoothgrad.samples", "threshold.exceptions", "permute.fractions.perm50", "lib/gradients/alignment.py")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose every stage has run once."""
    return built_once(tmp_path_factory, "reruns", build) / "project"


def build(place: Path) -> None:
    (place / "project/tests").mkdir(parents=True)
    folder = copy(place / "project")
    shrink(folder)
    shutil.copy(ROOT / "tests/stub.py", folder / "stub.py")
    shutil.copy(ROOT / "tests/test_reruns.py", folder / "tests/test_reruns.py")
    text = (folder / "dvc.yaml").read_text()
    (folder / "dvc.yaml").write_text(re.sub(r"python -m stages\.(?!check_params)", "python stub.py ", text))
    start(folder)
    assert out_of_date(folder) == EVERYTHING
    assert ran(run("dvc repro", folder)) == EVERYTHING
    run("git add -A", folder)
    run("git commit -qm finished", folder)


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "project", symlinks=True)


@pytest.fixture(scope="module")
def asked(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that DVC is only asked about: who edits a file puts it back."""
    quick_dvc.read_yaml_fast()
    return shutil.copytree(finished, tmp_path_factory.mktemp("asked") / "project", symlinks=True)


def out_of_date(folder: Path) -> set[str]:
    """The stages that DVC finds changed (as `dvc repro` asks: command, dependencies, parameters, outputs) and all that depend on them.

    Nothing reruns because of the check, which always writes the same.
    """
    with Repo(str(folder)) as repo, repo.lock:
        graph = repo.index.graph
        changed = [stage for stage in graph if stage.changed()]
        behind = {other.name for stage in changed if stage.name != CHECK for other in networkx.ancestors(graph, stage)}
        return {stage.name for stage in changed} | behind


def asked_for(expected: set[str]) -> set[str]:
    """What DVC cannot tell before it has run: all students whose targets lie in a folder that is made anew may be behind it."""
    return expected | {stage for seed in (0, 1) if f"permute-targets@{seed}" in expected for stage in train(IR, (seed,))}


def edit(name: str, folder: Path) -> set[str]:
    """Change one parameter, or one file by a comment; what should run then."""
    if name in FILES:
        with (folder / name).open("a") as text:
            text.write("\n# edited\n")
        return FILES[name] | ({CHECK} if name.startswith("lib/") else set())
    value, expected = PARAMS[name]
    with edited(folder) as document:
        *path, last = name.split(".")
        for part in path:
            document = document[part]
        assert document[last] != value
        document[last] = value
    return expected | {CHECK}


def test_a_finished_pipeline_has_nothing_to_do(asked: Path) -> None:
    assert out_of_date(asked) == set()
    printed = run("dvc repro", asked)
    assert ran(printed) == set()
    assert "up to date" in printed


@pytest.mark.parametrize("name", [*PARAMS, *FILES])
def test_an_edit_puts_exactly_what_depends_on_it_out_of_date(name: str, asked: Path) -> None:
    path = asked / (name if name in FILES else "params.yaml")
    before = path.read_text()
    try:
        expected = edit(name, asked)
        assert out_of_date(asked) == asked_for(expected)
    finally:
        path.write_text(before)


@pytest.mark.parametrize("name", REALLY_RUN)
def test_repro_runs_exactly_what_depends_on_an_edit(name: str, project: Path) -> None:
    expected = edit(name, project)
    assert ran(run("dvc repro", project)) == expected


def test_a_changed_record_of_an_environment_reruns_the_report_only(project: Path) -> None:
    """As when a stage runs again elsewhere and makes the same bytes."""
    (project / "results/environments/models/0/R.json").write_text("elsewhere")
    run("dvc commit -f train-teacher@R-0", project)
    assert out_of_date(project) == {"report"}
    assert ran(run("dvc repro", project)) == {"report"}


def test_an_experiment_with_another_lambda_reruns_only_that_row_and_going_back_restores_the_results(project: Path) -> None:
    outcomes = project / "results/attacks/0/R_smoothgrad.h5"
    before = outcomes.read_text()
    printed = run("dvc exp run -S ir.R_smoothgrad.lambda_m=0.3", project)
    assert ran(printed) == train({"R_smoothgrad"}) | {CHECK}
    assert "lambda_m: 0.3" in (project / "params.yaml").read_text()
    assert outcomes.read_text() != before

    run("git checkout params.yaml dvc.lock report", project)
    run("dvc checkout", project)
    assert out_of_date(project) == set()
    assert outcomes.read_text() == before
