"""Where DVC keeps content under the name of its hash: the cache of this machine, or a remote.

Both have the same layout: `files/md5/ab/cdef…` for an object whose content has the MD5 abcdef…, and `runs/` for the run cache. They are
read through DVC's own file systems, so that a folder, an S3 bucket and an SSH server are all the same here. Written for DVC 3.67.1.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.config import RemoteConfigError
from dvc.exceptions import DvcException, NotDvcRepoError
from dvc.repo import Repo
from dvc_data.hashfile.hash import fobj_md5

from lib.base.errors import InputError
from lib.base.git import git

OBJECT = re.compile(r"([0-9a-f]{2})/([0-9a-f]{30}(?:\.dir)?)")
LISTING = ".dir"


@dataclass(frozen=True)
class Store:
    """`objects` and `runs` are folders of the file system `fs`; `name` is how sentences call it.

    `checked` says whether DVC compares what it takes from here with its hash; for a remote that is the setting `verify`.
    """

    name: str
    fs: Any
    objects: str
    runs: str
    checked: bool = True

    def path(self, oid: str) -> str:
        """Where the object `oid` lies, if it is there."""
        return self.fs.join(self.objects, oid[:2], oid[2:])

    def files(self, folder: str) -> list[str]:
        """The paths of all files below `folder`; none if it does not exist."""
        return sorted(self.fs.find(folder)) if self.fs.exists(folder) else []

    def md5(self, path: str) -> str:
        """The MD5 of a file's content, read in pieces of 1 MiB."""
        with self.fs.open(path, "rb") as file:
            return fobj_md5(file)

    def relative(self, path: str) -> str:
        """`path` as it is called below the top of the store."""
        return self.fs.relpath(path, self.fs.parent(self.runs))


def oid_of(name: str) -> str | None:
    """The hash that an object of this name must have; None if objects are not called so.

    >>> oid_of("d4/1d8cd98f00b204e9800998ecf8427e"), oid_of("d4/.wK3x.tmp")
    ('d41d8cd98f00b204e9800998ecf8427e', None)
    """
    found = OBJECT.fullmatch(name)
    return found and found[1] + found[2]


@contextmanager
def project(folder: Path) -> Iterator[Repo]:
    """The DVC project that `folder` lies in."""
    try:
        repo = Repo(str(folder))
    except NotDvcRepoError as error:
        raise InputError(f"expected a folder inside a DVC project, got {folder.resolve()}") from error
    with repo:
        if not repo.config["core"].get("no_scm"):
            git("rev-parse", "--git-dir", folder=repo.root_dir)  # says why, and what to type, where DVC says neither
        yield repo


def cache(repo: Repo) -> Store:
    """The cache that `repo` uses, its own or a shared one."""
    top = repo.cache.legacy
    return Store("cache", top.fs, repo.cache.local.path, top.fs.join(top.path, "runs"))


def remote(repo: Repo, name: str | None = None) -> Store:
    """The remote called `name`, or the default remote."""
    try:
        found = repo.cloud.get_remote(name)
        objects, top = found.odb, found.legacy_odb
    except (RemoteConfigError, DvcException) as error:
        raise InputError(f"expected the name of a remote in .dvc/config, got {name or 'none, and there is no default remote'}") from error
    return Store(f"remote {found.name}", objects.fs, objects.path, top.fs.join(top.path, "runs"), bool(objects.verify))


@contextmanager
def reaching(store: Store) -> Iterator[None]:
    """Inside, whatever keeps `store` from being read becomes one sentence; every kind of storage raises errors of its own."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        told = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"expected to read the {store.name}, got: {told[:300]}") from error
