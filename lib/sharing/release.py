"""Release a target set under a name and a version, so that `dvc artifacts get`, `dvc get` and `dvc import` find it for good.

A release is an annotated Git tag `name@v1.2.3` on a commit whose dvc.yaml lists the name under `artifacts`. DVC looks for nothing else;
that the file can be had, and is whole, is what `check` makes sure of.
"""

import logging
import re
from dataclasses import dataclass
from pathlib import Path

from dvc.repo import Repo
from dvc_data.hashfile.hash import file_md5

from lib.base.errors import InputError, require
from lib.base.git import git
from lib.sharing import remote_store, wanted
from lib.sharing.remote_store import Store
from lib.sharing.wanted import Output
from lib.targets import target_file

VERSION = re.compile(r"v\d+\.\d+\.\d+")
AT_ONCE = 1024


@dataclass(frozen=True)
class Release:
    """What is released: the artifact's name, its version as in the tag, and the output that it stands for."""

    name: str
    version: str
    output: Output

    @property
    def path(self) -> Path:
        return self.output.path

    @property
    def oid(self) -> str:
        return self.output.oid

    @property
    def tag(self) -> str:
        return f"{self.name}@{self.version}"


def named(repo: Repo, name: str, version: str) -> Release:
    """The artifact `name` of dvc.yaml with the file that dvc.lock records for it."""
    require(bool(VERSION.fullmatch(version)), f"a version must look like v1.0.0, got {version!r}")
    known = repo.artifacts.read().get("dvc.yaml", {})
    require(name in known, f"NAME must be one of the artifacts in dvc.yaml ({', '.join(known) or 'there are none'}), got {name!r}")
    path = Path(known[name].path)
    found = wanted.recorded(repo, path)
    if found is None:
        there = ", ".join(other for other in known if wanted.recorded(repo, Path(known[other].path))) or "none"
        raise InputError(f"dvc.lock records no output {path}, which {name} stands for; of the artifacts in dvc.yaml it has {there}")
    return Release(name, version, found)


def check(repo: Repo, release: Release, remote: str | None) -> None:
    """Raise `InputError` unless this commit has exactly that file, it is whole, and everyone can get it from the remote."""
    require(
        not git("tag", "--list", release.tag), f"the tag {release.tag} exists already; a release is never changed, choose another version"
    )
    changed = git("status", "--porcelain", "--untracked-files=no").splitlines()
    require(not changed, f"expected everything to be committed, but {', '.join(line.split()[-1] for line in changed[:3])} is not")
    check_file(release)
    stale = [stage.addressing for stage in _out_of_date(repo, release)]
    require(
        not stale, f"{release.path} is out of date: {', '.join(stale[:3])} would run; run `dvc repro {release.path}` and commit dvc.lock"
    )
    store = remote_store.remote(repo, remote)
    with remote_store.reaching(store):
        check_object(store, release)


def _out_of_date(repo: Repo, release: Release) -> list:
    """The stages that `dvc repro` would run to make the file; what they read need not be here."""
    logging.getLogger("dvc").setLevel(logging.ERROR)  # it tells about each stage
    return repo.reproduce([release.output.stage], dry=True, allow_missing=True)


def check_file(release: Release) -> None:
    """The file in the workspace is what dvc.lock records, complete, and every map in it fits its digest."""
    require(release.path.is_file(), f"expected {release.path}, found nothing there; run `dvc pull {release.path}` or `dvc repro`")
    found = file_md5(str(release.path))
    require(
        found == release.oid,
        f"{release.path} has the MD5 {found}, dvc.lock records {release.oid}; see docs/how-to/when-something-is-wrong.md",
    )
    with target_file.opened(release.path) as (_, maps):
        for _ in target_file.chunks(maps, AT_ONCE):
            pass


def check_object(store: Store, release: Release) -> None:
    """The remote has the object, with the content that its name stands for."""
    path = store.path(release.oid)
    require(store.fs.exists(path), f"{release.path} is not in the {store.name}; run `dvc push {release.path}` first")
    found = store.md5(path)
    told = f"{release.path} is damaged in the {store.name}: object {release.oid} has content with the MD5 {found}"
    require(found == release.oid, told)


def tag(release: Release) -> None:
    """Make the annotated tag; its message says which file it is."""
    git("tag", "--annotate", release.tag, "--message", f"{release.name} {release.version}\n\n{release.path}, MD5 {release.oid}")
