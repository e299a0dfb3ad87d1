"""What one revision of the project found, read from Git and from DVC's cache or remote; the workspace is left alone."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.scm import RevError
from dvc.stage import PipelineStage
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lib.base import digests
from lib.base.errors import InputError, require
from lib.evaluation import outcome_file
from lib.evaluation.outcome_file import Outcomes
from lib.parallel import lineage
from lib.report import gate
from lib.report.gate import Line
from lib.report.results import COLUMNS, labels
from lib.report.rows import Row

WORKSPACE = "workspace"
RESULTS = "report/results.csv"
# Further tables of report/, in the order of the fields of `Revision`, and the columns that are read.
TABLES = {
    "curves": ("technique", "semantics", "attack", "norm", "epsilon", "accuracy"),
    "contrasts": ("experiment", "first", "second", "norm", "percent", "low", "high", "p_adjusted", "images", "seeds"),
    "environments": (),
    "claims": ("claim", "sentence", "semantics", "verdict", "comparison", "estimate", "low", "high", "unit", "reason"),
    "networks": ("row", "seed", "label_norm", "cosine_reference", "cosine_target"),
}
OUTCOMES = ("results/attacks", "results/transfer")
_LOST = (OSError, DvcException)


@dataclass(frozen=True)
class Revision:
    """`name` as it was asked for, the first digits of its `commit` (None: the workspace), its parameters and what its report says.

    `rows` is row -> technique, as in the tables. `accuracies` holds report/results.csv with its columns. The other tables and `gate`
    are what the files of these names in report/ hold, and empty where the revision has none, or one of an older form. `outcomes`
    are those whose files could be had, `lost` how many not. `outdated` are the stages whose results were not made anew after a change,
    with what has changed (lib/parallel/lineage.py).
    """

    name: str
    commit: str | None
    params: dict[str, Any]
    rows: dict[str, str]
    accuracies: pd.DataFrame
    curves: pd.DataFrame
    contrasts: pd.DataFrame
    environments: pd.DataFrame
    claims: pd.DataFrame
    networks: pd.DataFrame
    gate: list[Line]
    outcomes: tuple[Outcomes, ...]
    lost: int
    outdated: dict[str, list[str]]

    @property
    def dataset(self) -> str:
        """The dataset of its results."""
        return str(self.accuracies["dataset"].iloc[0])

    @property
    def title(self) -> str:
        """`lam2 (1a2b3c4)`; a commit stands for itself."""
        return self.name if self.commit is None or self.name.startswith(self.commit) else f"{self.name} ({self.commit})"


def read(repo: Repo, name: str, scratch: Path, known: dict[str, Outcomes]) -> Revision:
    """The revision, branch or experiment `name`, or `WORKSPACE`.

    Args:
        scratch: an empty folder for copies of files.
        known: outcomes by the hash of their file, to which new ones are added: most revisions share most files.

    Raises:
        InputError: there is no such revision, or it has no results that can be had.
    """
    with _switched(repo, name) as commit:
        files = repo.dvcfs
        document = _parameters(files, name)
        accuracies = _frame(files, RESULTS)
        require(
            set(COLUMNS) <= set(accuracies.columns) and len(accuracies) > 0,
            f"expected results in {RESULTS} of {name}, found none in Git, the cache or a remote; run dvc repro there, or dvc fetch -a",
        )
        tables = (_frame(files, f"report/{table}.csv", columns) for table, columns in TABLES.items())
        curves, contrasts, environments, claims, networks = tables
        lights = _gate(_document(files, "report/gate.json"))
        outcomes, lost = _outcomes(files, scratch, known)
        frames = accuracies, curves, contrasts, environments, claims, networks
        return Revision(name, commit, document, _rows(document), *frames, lights, outcomes, lost, _outdated(repo, document))


def require_known(repo: Repo, names: Iterable[str]) -> None:
    """Raise `InputError` unless Git or DVC knows every one of `names`; nothing is read."""
    for name in names:
        with _switched(repo, name):
            pass


@contextmanager
def _switched(repo: Repo, name: str) -> Iterator[str | None]:
    """Inside, `repo` reads from the revision; gives the first digits of its commit."""
    try:
        with repo.switch(name) as commit:
            yield None if name == WORKSPACE else str(commit)[:7]
    except RevError as error:
        raise InputError(f"expected a revision, a branch, the name of an experiment or {WORKSPACE}, got {name!r}") from error


def _parameters(files: Any, name: str) -> dict[str, Any]:
    text = _text(files, "params.yaml")
    require(text is not None, f"expected params.yaml in {name}, found none")
    try:
        document = YAML(typ="safe").load(text)
    except YAMLError as error:
        raise InputError(f"expected valid YAML in params.yaml of {name}, got: {' '.join(str(error).split())[:200]}") from error
    require(isinstance(document, dict), f"expected sections in params.yaml of {name}, got {document!r}")
    return document


def _outdated(repo: Repo, document: dict[str, Any]) -> dict[str, list[str]]:
    """By what dvc.lock, params.yaml and the code of the revision are."""
    files = repo.dvcfs
    names = [stage.name for stage in repo.index.stages if isinstance(stage, PipelineStage) and stage.path_in_repo == "dvc.yaml"]
    known = lineage.stages(_text(files, "dvc.lock") or "")
    return lineage.outdated({name: known[name] for name in names if name in known}, {"params.yaml": document}, partial(_digest, files))


def _digest(files: Any, path: str) -> str | None:
    """DVC's MD5 of a file or folder of Git; None where there is none."""
    try:
        if files.isfile(path):
            return hashlib.md5(files.read_bytes(path), usedforsecurity=False).hexdigest()
        inside = [(file.removeprefix(f"{path}/"), _digest(files, file) or "") for file in files.find(path)]
        return lineage.folder_digest(inside) if inside else None
    except _LOST:
        return None


def _rows(document: dict[str, Any]) -> dict[str, str]:
    entries = document.get("rows") or {}
    return labels({key: Row(str(entry["technique"]), str(entry.get("threats")), entry.get("group")) for key, entry in entries.items()})


def _text(files: Any, path: str) -> str | None:
    """The text of a file of Git or DVC, or None where it cannot be had."""
    try:
        with files.open(path, "rb") as file:
            return file.read().decode("utf-8")
    except _LOST:
        return None


def _frame(files: Any, path: str, columns: Iterable[str] = ()) -> pd.DataFrame:
    """A table as text cells; empty where there is no such file, or one without these columns."""
    found = pd.DataFrame(list(csv.DictReader(io.StringIO(_text(files, path) or ""))), dtype=str)
    return found if set(columns) <= set(found.columns) else pd.DataFrame()


def _document(files: Any, path: str) -> dict[str, Any]:
    """A JSON file; empty where there is none, or none that can be read."""
    try:
        found = json.loads(_text(files, path) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _gate(document: dict[str, Any]) -> list[Line]:
    """The lines of gate.json; none where it is of another form."""
    try:
        return gate.from_json(document).lines
    except (AttributeError, KeyError, TypeError, ValueError):
        return []


def _outcomes(files: Any, scratch: Path, known: dict[str, Outcomes]) -> tuple[tuple[Outcomes, ...], int]:
    """The outcomes of every attack on every image, and how many files could not be had or read."""
    found, lost, copy = [], 0, scratch / "outcomes.h5"
    paths = [path for folder in OUTCOMES for path in _found(files, folder) if path.endswith(".h5")]
    for path in paths:
        try:
            files.get_file(path, str(copy))
            content = digests.of_file(copy)
            known[content] = known.get(content) or outcome_file.read(copy)
            found.append(known[content])
        except (*_LOST, InputError):
            lost += 1
        copy.unlink(missing_ok=True)
    return tuple(found), lost


def _found(files: Any, folder: str) -> list[str]:
    try:
        return sorted(files.find(folder))
    except _LOST:
        return []
