"""What DVC records in dvc.lock: noted aside by each step and gathered now and then, carried to other workspaces, put into serial order.

DVC reads and writes the whole file for every stage, while it keeps all others waiting: for the quick scale's 78 stages 2.6 s each.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dvc.dvcfile import Lockfile
from dvc.repo import Repo, lock_repo
from dvc.stage import PipelineStage
from dvc.stage.serialize import to_lockfile
from dvc.utils.serialize import dump_yaml, load_yaml, modify_yaml

from lib.parallel.lineage import NOTES

Entries = dict[str, dict[str, Any]]
NAME = "dvc.lock"
STATE = Path(".dvc/tmp/parallel")  # what parallel runs keep for themselves, below a workspace
_known: dict[str, tuple[tuple[int, int, int], dict[str, Any]]] = {}
_load = Lockfile._load


def note_aside() -> None:
    """From now on DVC, in this process and folder, records a stage in a file of its own, for `gather`."""
    Lockfile.dump_stages = _noted


def _noted(_: Lockfile, stages: Iterable[PipelineStage], **settings: Any) -> None:
    NOTES.mkdir(parents=True, exist_ok=True)
    for stage in stages:
        path = NOTES / f"{hashlib.sha256(stage.addressing.encode()).hexdigest()[:32]}.yaml"
        dump_yaml(f"{path}.part", {stage.addressing: to_lockfile(stage, **settings)[stage.name]})
        os.replace(f"{path}.part", path)


def remember(stage: str) -> None:
    """Read the lock file of `stage` for DVC in this process, folder and in forks of it, unless it was read and has not changed since."""
    (file,) = _by_file([stage])
    path = os.path.abspath(file)
    if path not in _known or _known[path][0] != _version(path):
        _known[path] = _version(path), load_yaml(path)
    Lockfile._load = _remembered


def _remembered(lock: Lockfile, **settings: Any) -> tuple[dict[str, Any], str]:
    version, content = _known.get(os.path.abspath(lock.path), (None, {}))
    if version is None or version != _version(lock.path):
        return _load(lock, **settings)
    return content, ""


def _version(path: str) -> tuple[int, int, int]:
    """What changes with the file."""
    found = os.stat(path)
    return found.st_ino, found.st_mtime_ns, found.st_size


def gather(root: Path) -> None:
    """Record in the workspace `root` what its steps have noted aside."""
    notes = sorted((root / NOTES).glob("*.yaml"))
    new = {name: entry for note in notes for name, entry in load_yaml(str(note)).items()}
    if new:
        merge(root, new)
    for note in notes:
        note.unlink()


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
                with _rewritten(root / file) as data:
                    data.setdefault("schema", "2.0")
                    data.setdefault("stages", {}).update({name: new[_full(file, name)] for name in names})


def arrange(root: Path, before: Iterable[str], order: Iterable[str]) -> None:
    """Bring the entries into the order that a serial run leaves: those that stood there `before`, then new ones by `order`."""
    wanted = list(dict.fromkeys([*before, *order]))
    with _locked(root):
        for file, names in _by_file(wanted).items():
            recorded = list(_recorded(root / file))
            places = {name: place for place, name in enumerate(names)}
            arranged = sorted(recorded, key=lambda name: places.get(name, len(places)))
            if arranged != recorded:
                with _rewritten(root / file) as data:
                    for name in arranged:
                        data["stages"][name] = data["stages"].pop(name)


def names(root: Path, stages: Iterable[str]) -> list[str]:
    """All entries of the lock files that `stages` have theirs in, in the order in which they stand there."""
    return [_full(file, name) for file in _by_file(stages) for name in _recorded(root / file)]


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    with Repo(str(root), _wait_for_lock=True) as repo, lock_repo(repo):
        yield


@contextmanager
def _rewritten(path: Path) -> Iterator[dict[str, Any]]:
    """What stands in the file, to be changed; it is replaced as a whole, so that a kill leaves the old one or the new one."""
    copy = path.with_name(f"{path.name}.part")
    if path.exists():
        shutil.copyfile(path, copy)
    with modify_yaml(str(copy)) as data:
        yield data
    os.replace(copy, path)


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
