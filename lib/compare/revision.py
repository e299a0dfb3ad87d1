"""What one revision of the project found, read from Git and from DVC's cache or remote; the workspace is left alone."""

import hashlib
import io
import json
from dataclasses import dataclass
from functools import cache, partial
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
# The tables of report/, and the columns that are read; a table that lacks one of them is of an older form.
TABLES: dict[str, tuple[str, ...]] = {
    "results": tuple(COLUMNS),
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

    `rows` is row -> technique, as in the tables. `tables` are those of `TABLES` as text cells, and `gate` what gate.json holds; empty where
    the revision has none, or one of an older form. `outcomes` are those whose files could be had, `lost` how many not. `outdated` are the
    stages whose results were not made anew after a change, with what has changed (lib/parallel/lineage.py).
    """

    name: str
    commit: str | None
    params: dict[str, Any]
    rows: dict[str, str]
    tables: dict[str, pd.DataFrame]
    gate: list[Line]
    outcomes: tuple[Outcomes, ...]
    lost: int
    outdated: dict[str, list[str]]

    @property
    def dataset(self) -> str:
        """The dataset of its results."""
        return str(self.tables["results"]["dataset"].iloc[0])


def read(repo: Repo, name: str, scratch: Path, known: dict[str, Outcomes]) -> Revision:
    """The revision, branch or experiment `name`, or `WORKSPACE`.

    Args:
        scratch: an empty folder for copies of files.
        known: outcomes by the hash of their file, to which new ones are added: most revisions share most files.

    Raises:
        InputError: there is no such revision, or it has no results that can be had.
    """
    try:
        with repo.switch(name) as commit:
            return _read(repo, name, None if name == WORKSPACE else str(commit)[:7], scratch, known)
    except RevError as error:
        raise InputError(f"expected a revision, a branch, the name of an experiment or {WORKSPACE}, got {name!r}") from error


def _read(repo: Repo, name: str, commit: str | None, scratch: Path, known: dict[str, Outcomes]) -> Revision:
    files, document = repo.dvcfs, _parameters(repo.dvcfs, name)
    tables = {table: _table(files, f"report/{table}.csv", columns) for table, columns in TABLES.items()}
    where = f"expected results in report/results.csv of {name}, found none in Git, the cache or a remote"
    require(len(tables["results"]) > 0, f"{where}; run dvc repro there, or dvc fetch -a")
    entries = document.get("rows") or {}
    rows = {key: Row(str(entry["technique"]), str(entry.get("threats")), entry.get("group")) for key, entry in entries.items()}
    outcomes, lost = _outcomes(files, scratch, known)
    return Revision(name, commit, document, labels(rows), tables, _gate(files), outcomes, lost, _outdated(repo, document))


def _parameters(files: Any, name: str) -> dict[str, Any]:
    text = _text(files, "params.yaml")
    require(bool(text), f"expected params.yaml in {name}, found none")
    try:
        document = YAML(typ="safe").load(text)
    except YAMLError as error:
        raise InputError(f"expected valid YAML in params.yaml of {name}, got: {' '.join(str(error).split())[:200]}") from error
    require(isinstance(document, dict), f"expected sections in params.yaml of {name}, got {document!r}")
    return document


def _text(files: Any, path: str) -> str:
    """The text of a file of Git or DVC; empty where it cannot be had."""
    try:
        return files.read_bytes(path).decode("utf-8")
    except _LOST:
        return ""


def _table(files: Any, path: str, columns: tuple[str, ...]) -> pd.DataFrame:
    try:
        table = pd.read_csv(io.StringIO(_text(files, path)), dtype=str, keep_default_na=False)
    except ValueError:  # nothing in it, or no table
        return pd.DataFrame()
    return table if set(columns) <= set(table.columns) else pd.DataFrame()


def _gate(files: Any) -> list[Line]:
    try:
        return gate.from_json(json.loads(_text(files, "report/gate.json") or "{}")).lines
    except (AttributeError, KeyError, TypeError, ValueError):  # of another form
        return []


def _outcomes(files: Any, scratch: Path, known: dict[str, Outcomes]) -> tuple[tuple[Outcomes, ...], int]:
    """The outcomes of every attack on every image, and how many files could not be had or read."""
    found, lost, copy = [], 0, scratch / "outcomes.h5"
    for path in (path for folder in OUTCOMES for path in _below(files, folder) if path.endswith(".h5")):
        try:
            files.get_file(path, str(copy))
            content = digests.of_file(copy)
            known[content] = known.get(content) or outcome_file.read(copy)
            found.append(known[content])
        except (*_LOST, InputError):
            lost += 1
        copy.unlink(missing_ok=True)
    return tuple(found), lost


def _below(files: Any, folder: str) -> list[str]:
    try:
        return sorted(files.find(folder))
    except _LOST:
        return []


def _outdated(repo: Repo, document: dict[str, Any]) -> dict[str, list[str]]:
    """By what dvc.lock, params.yaml and the code of the revision are."""
    names = [stage.name for stage in repo.index.stages if isinstance(stage, PipelineStage) and stage.path_in_repo == "dvc.yaml"]
    known = lineage.stages(_text(repo.dvcfs, "dvc.lock"))
    entries = {name: known[name] for name in names if name in known}
    return lineage.outdated(entries, {"params.yaml": document}, cache(partial(_digest, repo.dvcfs)))  # many stages read the same code


def _digest(files: Any, path: str) -> str | None:
    """DVC's MD5 of a file or folder of Git; None where there is none."""
    try:
        if files.isfile(path):
            return hashlib.md5(files.read_bytes(path), usedforsecurity=False).hexdigest()
        inside = [(file.removeprefix(f"{path}/"), _digest(files, file) or "") for file in files.find(path)]
        return lineage.folder_digest(inside) if inside else None
    except _LOST:
        return None
