"""Copies of the project for tests that change it: the real dvc.yaml over small parameters."""

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import quick_dvc
from dvc.repo import Repo
from dvc.stage import PipelineStage
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "scales/quick.yaml"  # the parameters that a clone has; params.yaml is whoever works here's own
ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    **{f"GIT_{role}_{what}": f"{role}@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}
ROWS = ("NR", "R", "AT25", "JR", "NR_simple", "R_simple", "R_smoothgrad", "R_smoothgrad_perm50")


def parameters() -> dict:
    """Those of a clone, and the sections of stages that whoever works here has added."""
    own, shipped = (YAML(typ="safe").load(file.read_text()) for file in (ROOT / "params.yaml", SHIPPED))
    return {**own, **shipped}


@cache
def all_stages() -> list[PipelineStage]:
    """Every stage instance of the real project, those of the studies among them; `path_in_repo` says of which file."""
    with TemporaryDirectory() as folder:  # where no .dvcignore hides a study
        copy_studies(Path(folder))
        shutil.copy(ROOT / "dvc.yaml", folder)
        YAML().dump(parameters(), Path(folder) / "params.yaml")
        Repo.init(folder, no_scm=True).close()
        with Repo(folder) as repo:
            return [stage for stage in repo.index.stages if isinstance(stage, PipelineStage)]


def copy_studies(folder: Path) -> None:
    """The studies, as if nobody had run one."""
    shutil.copytree(ROOT / "studies", folder / "studies", ignore=shutil.ignore_patterns("dvc.lock"))


def copy(folder: Path) -> Path:
    """What a clone would hold, without history, environment or results."""
    for name in ("lib", "stages", "results/published", "dvc.yaml", "presets.yaml", ".dvcignore", ".gitignore"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    shutil.copy(SHIPPED, folder / "params.yaml")
    return folder


def shrink(folder: Path) -> None:
    """Fewer rows, all trained for as many epochs, one seed and one level of permutation in params.yaml."""
    with edited(folder) as document:
        document["seeds"] = [0]
        document["rows"] = {name: document["rows"][name] for name in ROWS}
        document["ir"] = {name: document["ir"][name] for name in ROWS if name in document["ir"]}
        document["permute"]["fractions"] = {"perm50": 0.5}
        document["saliency"]["methods"] = {name: document["saliency"]["methods"][name] for name in ("simple", "smoothgrad")}
        document["attacks"] |= {"referee": None, "probes": None}
        document["at"], document["jr"] = {"AT25": document["at"]["AT25"]}, {"JR": document["jr"]["JR"]}
        for row in (*document["teachers"].values(), *document["at"].values()):
            row.pop("epochs", None)


class edited:
    """`with edited(folder) as document:` changes params.yaml."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "params.yaml"

    def __enter__(self) -> dict:
        self.document = YAML(typ="safe").load(self.path.read_text())
        return self.document

    def __exit__(self, *error: object) -> None:
        with self.path.open("w") as file:
            YAML().dump(self.document, file)


def start(folder: Path) -> None:
    """Make `folder` a Git and DVC repository with one commit."""
    for call in ("git init -q", "dvc init -q -f", "dvc config core.analytics false", "git add -A", "git commit -qm start"):
        run(call, folder)


def run(call: str, folder: Path, succeeds: bool = True) -> str:
    """Run `call` in `folder` and return what it printed."""
    done = subprocess.run(call.split(), cwd=folder, env=os.environ | quick_dvc.first(ENVIRONMENT), capture_output=True, text=True)
    assert (done.returncode == 0) == succeeds, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def ran(printed: str) -> set[str]:
    """The stages that a `dvc repro` or `dvc exp run` said it ran."""
    return set(re.findall(r"Running stage '([^']+)'", printed))
