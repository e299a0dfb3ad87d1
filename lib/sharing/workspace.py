"""Files of the workspace that DVC takes for right and that are not.

DVC remembers the hash of each file by its inode, time and size, and records what it checked out as what it meant to check out. So a file
that was written from a damaged object, or changed behind those three, stays "up to date" for `dvc status` and `dvc checkout`, even when
the object has long been repaired.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from dvc.repo import Repo
from dvc_data.hashfile.hash import file_md5

from lib.sharing.listing import is_listing
from lib.sharing.problems import Inventory, Problem
from lib.sharing.wanted import Output


def files(inventory: Inventory, outputs: list[Output]) -> dict[Path, str]:
    """The files that outputs consist of, by path below the project, with the hash that each should have."""
    found: dict[Path, str] = {}
    for out in outputs:
        if is_listing(out.oid):
            found |= {out.path / entry.path: entry.md5 for entry in inventory.entries(out.oid) if ".." not in entry.path.split("/")}
        else:
            found[out.path] = out.oid
    return found


def problems(repo: Repo, expected: dict[Path, str], progress: Callable[[list[Path]], Iterable[Path]]) -> Iterator[Problem]:
    """Hash every file that DVC believes to have its hash of `expected`; a file that `dvc status` would call changed is none of ours."""
    top = Path(repo.root_dir)
    present = [path for path in expected if (top / path).is_file()]
    for path in progress(present):
        file = str(top / path)
        _, believed = repo.state.get(file, repo.fs)
        found = file_md5(file) if believed is not None and believed.value == expected[path] else expected[path]
        if found != expected[path]:
            told = f"DVC takes it for {expected[path]}, its content has the MD5 {found}"
            yield Problem("believed", str(path), told, file)
