"""What the project's dvc.lock files say that there must be."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.repo import Repo

from lib.base.errors import require


@dataclass(frozen=True)
class Output:
    """A file or folder that a stage made: its path below the project, the hash under which DVC keeps it, and the stage's name."""

    path: Path
    oid: str
    stage: str


def outputs(repo: Repo, paths: tuple[Path, ...] = (), pushed: bool = False) -> list[Output]:
    """The outputs in dvc.lock that DVC keeps.

    Args:
        paths: only outputs at, in or around one of these paths below the project; none: all.
        pushed: only what `dvc push` would bring to a remote.
    """
    kept = [out for out in repo.index.outs if out.use_cache and out.hash_info and not (pushed and _stays(out))]
    found = [_output(repo, out) for out in kept]
    for path in paths:
        require(any(_overlaps(one.path, path) for one in found), f"expected the path of an output in dvc.lock, got {path}")
    return [one for one in found if not paths or any(_overlaps(one.path, path) for path in paths)]


def recorded(repo: Repo, path: Path) -> Output | None:
    """The file `path`, which is an output that DVC keeps or stands in the list of a folder that is one; None where neither is so."""
    full = repo.fs.join(repo.root_dir, str(path))
    around = [out for out in repo.index.outs if out.use_cache and out.hash_info and repo.fs.isin_or_eq(full, out.fs_path)]
    for out in around:
        found = out.get_obj(filter_info=full)
        if found is not None:
            return Output(path, str(found.hash_info.value), out.stage.addressing)
    return None


def _output(repo: Repo, out: Any) -> Output:
    return Output(Path(repo.fs.relpath(out.fs_path, repo.root_dir)), str(out.hash_info.value), out.stage.addressing)


def _stays(out: Any) -> bool:
    return not out.can_push or out.stage.is_repo_import


def _overlaps(output: Path, path: Path) -> bool:
    return output.is_relative_to(path) or path.is_relative_to(output)
