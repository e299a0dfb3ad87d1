"""What DVC records in dvc.lock, carried from one workspace to another and put into the order of a serial run."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dvc.repo import Repo, lock_repo
from dvc.utils.serialize import load_yaml, modify_yaml

Entries = dict[str, dict[str, Any]]
NAME = "dvc.lock"


def entries(root: Path, stages: Iterable[str]) -> Entries:
    """What the lock files below `root` record of `stages` ("report", "studies/audit/dvc.yaml:run@jr"), where they record anything."""
    found: Entries = {}
    for file, names in _by_file(stages).items():
        recorded = _recorded(root / file)
        found |= {_full(file, name): recorded[name] for name in names if name in recorded}
    return found


def merge(root: Path, new: Mapping[str, dict[str, Any]]) -> None:
    """Record `new` entries in the workspace `root`, beside what other processes record there."""
    with _locked(root):
        for file, names in _by_file(new).items():
            recorded = _recorded(root / file)
            if any(recorded.get(name) != new[_full(file, name)] for name in names):
                with modify_yaml(str(root / file)) as data:
                    data.setdefault("schema", "2.0")
                    data.setdefault("stages", {}).update({name: new[_full(file, name)] for name in names})


def arrange(root: Path, before: Iterable[str], order: Iterable[str]) -> None:
    """Bring the entries into the order that a serial run leaves: those that stood there `before`, then new ones by `order`."""
    wanted = list(dict.fromkeys([*before, *order]))
    with _locked(root):
        for file, names in _by_file(wanted).items():
            recorded = list(_recorded(root / file))
            arranged = sorted(recorded, key=lambda name: names.index(name) if name in names else len(names))
            if arranged != recorded:
                with modify_yaml(str(root / file)) as data:
                    for name in arranged:
                        data["stages"][name] = data["stages"].pop(name)


def names(root: Path, stages: Iterable[str]) -> list[str]:
    """All entries of the lock files that `stages` have theirs in, in the order in which they stand there."""
    return [_full(file, name) for file in _by_file(stages) for name in _recorded(root / file)]


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    with Repo(str(root), _wait_for_lock=True) as repo, lock_repo(repo):
        yield


def _recorded(path: Path) -> dict[str, dict[str, Any]]:
    return (load_yaml(str(path)).get("stages") or {}) if path.exists() else {}


def _by_file(stages: Iterable[str]) -> dict[str, list[str]]:
    """Names within their lock files.

    >>> _by_file(["report", "studies/audit/dvc.yaml:run@jr"])
    {'dvc.lock': ['report'], 'studies/audit/dvc.lock': ['run@jr']}
    """
    found: dict[str, list[str]] = {}
    for stage in stages:
        file, _, name = stage.rpartition(":")
        found.setdefault(os.path.join(os.path.dirname(file), NAME), []).append(name)
    return found


def _full(file: str, name: str) -> str:
    """The reverse of `_by_file`.

    >>> _full("dvc.lock", "report"), _full("studies/audit/dvc.lock", "run@jr")
    ('report', 'studies/audit/dvc.yaml:run@jr')
    """
    folder = os.path.dirname(file)
    return f"{folder}/dvc.yaml:{name}" if folder else name
