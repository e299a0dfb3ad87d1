"""A project of two commits whose comparison has known answers: parameters, outcomes, and the files of its report."""

import csv
import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from dvc.repo import Repo
from project import run

from lib.evaluation import outcome_file
from lib.evaluation.outcome_file import Outcomes, Radius
from lib.gate.check import Check, Verdict
from lib.report.gate import Gate, Line, to_json
from lib.report.results import COLUMNS
from tools import compare

IMAGES = 40
THREAT = {"norm": "linf", "epsilon": 0.2}


def stands(count: int) -> np.ndarray:
    return np.arange(IMAGES) < count


def radius(count: int) -> Radius:
    """So many images have the radius 0.3, of those that are right as they are the others 0.1."""
    length = np.where(stands(count), 0.3, np.where(stands(38), 0.1, 0)).astype(np.float32)
    return Radius(length, np.where(stands(38), "search", "clean"), {"reach": np.ones(IMAGES, np.float32)})


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
            where = dataset, row, seed, digest, np.arange(IMAGES), np.zeros(IMAGES, int)
            outcomes = Outcomes(*where, stands(38), {"linf": radius(count)}, (), {"search": {}})
            outcome_file.write(Path(f"results/attacks/{seed}/{row}.h5"), outcomes)
            start = dataset, document["rows"][row]["technique"], seed
            lines += [(*start, "", "clean", "", "", 38 / 40, 40), (*start, "strict", "search", "linf", 0.2, count / 40, 40)]
    table("results", COLUMNS, lines)
    curves = [
        (document["rows"][row]["technique"], *attack, "linf", radius, accuracy)
        for row, count in left.items()
        for attack in (("paper", "pgd40"), ("strict", "search"))
        for radius, accuracy in ((0.0, 38 / 40), (0.2, count / 40))
    ]
    table("curves", ["technique", "semantics", "attack", "norm", "epsilon", "accuracy"], curves)
    write_verdicts(left, lambda_j)


def write_verdicts(left: dict[str, int], lambda_j: float) -> None:
    """The gate, the claims and the gradients: above 0.4 a check of JR fails that warned at one seed, and a claim is contradicted."""
    late = lambda_j > 0.4
    verdicts = {"NR": ("warn", "warn"), "JR": ("fail", "fail") if late else ("pass", "warn")}
    found = [Line(row, row, {seed: judged(verdict, lambda_j) for seed, verdict in enumerate(verdicts[row])}) for row in left]
    Path("report/gate.json").write_text(json.dumps(to_json(Gate(found))))
    claims = [
        ("beats", "JR beats NR.", "strict", "contradicted" if late else "supported", "JR over NR", lambda_j, 0.1, 9, "%", ""),
        ("smaller", "JR has smaller gradients.", "", "supported", "JR over NR, gradient norm", lambda_j - 5, -6, -1, "", ""),
    ]
    table("claims", ["claim", "sentence", "semantics", "verdict", "comparison", "estimate", "low", "high", "unit", "reason"], claims)
    networks = [
        (row, seed, attack, {"NR": 5.0, "JR": (2 + seed) * lambda_j}[row], 0.5, "")
        for row in left
        for seed in (0, 1)
        for attack in ("paper", "strict")
    ]
    table("networks", ["row", "seed", "attack", "label_norm", "cosine_reference", "cosine_target"], networks)


def judged(verdict: Verdict, value: float) -> list[Check]:
    """G7 with this verdict, and G1, which passes."""
    return [
        Check("G1", "constraints", value, "", "no image leaves the ball", "pass", ""),
        Check("G7", "restarts", value, "points", "restarts break little more", verdict, f"they break {value} & more"),
    ]


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


@cache
def made(folder: Path) -> Path:
    """Two commits: `before`, and `after` in which JR keeps 28 of 40 images where it kept 20. DVC has the results, Git the rest."""
    folder.mkdir()
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


def compared(*words: str) -> Result:
    return CliRunner().invoke(compare.main, words)


def entered(factory: pytest.TempPathFactory, folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """A copy of the project to change, which becomes the current folder."""
    patch.chdir(shutil.copytree(made(factory.getbasetemp() / "compared"), folder, symlinks=True))
    return folder
