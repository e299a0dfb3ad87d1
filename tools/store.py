"""Verify DVC's cache or a remote, and release target sets. `python -m tools.store verify --help`, `python -m tools.store release --help`.

What DVC checks by itself, what not, and what to do about each problem: docs/how-to/when-something-is-wrong.md.
"""

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import click
from dvc.repo import Repo
from tqdm import tqdm

from lib.base.command import Group, command
from lib.base.errors import require
from lib.sharing import problems, remote_store, wanted, workspace
from lib.sharing import release as releases
from lib.sharing.problems import Inventory, Problem
from lib.sharing.remote_store import Store

REPAIRED = ("corrupt", "leftover", "believed")
Item = TypeVar("Item")


@click.group(cls=Group, help=__doc__)
def main() -> None:
    pass


@command(
    """Hash every object of the cache, or of a remote, and compare it with its name; with PATHS, only what these outputs need.

    Prints one line per problem and exits with 1 if there is any. Of the cache it also checks the files in the workspace that DVC takes for
    right. What --repair deletes, `dvc pull` or `dvc repro` brings back; what --repair-remote deletes, `dvc push`.
    """
)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--remote", metavar="NAME", help="Check this remote instead of the cache.")
@click.option("--repair", is_flag=True, help="Delete what is damaged from the cache and the workspace, and what transfers left behind.")
@click.option("--repair-remote", is_flag=True, help="The same in the remote, for everybody.")
def verify(paths: tuple[Path, ...], remote: str | None, repair: bool, repair_remote: bool) -> None:
    require(not (repair and remote), "--repair works on the cache; to delete damaged objects of a remote, give --repair-remote")
    require(not repair_remote or remote is not None, "--repair-remote needs --remote NAME")
    with remote_store.project(Path()) as repo:
        store = remote_store.remote(repo, remote) if remote else remote_store.cache(repo)
        outputs = wanted.outputs(repo, tuple(_below(repo, path) for path in paths), pushed=remote is not None)
        with remote_store.reaching(store):
            inventory = Inventory(store, outputs)
            found = []
            for problem in _checked(repo, inventory, outputs, everything=not paths, local=remote is None):
                tqdm.write(str(problem), file=sys.stdout)
                found.append(problem)
            lists = problems.listings_of(inventory, found, outputs) if repair_remote else []
            removed = _removed(store, found, lists) if repair or repair_remote else 0
    click.echo(_summary(store, len(inventory.present), found, removed))
    if found:
        sys.exit(1)


@command(
    """Release the target set NAME, an entry of `artifacts` in dvc.yaml, as VERSION (v1.0.0): make the tag NAME@VERSION.

    Refuses unless everything is committed and up to date, the file is whole, and the remote has it. Publish with `git push --tags`.
    """
)
@click.argument("name")
@click.argument("version")
@click.option("--remote", metavar="NAME", help="The remote that must have the set; otherwise the default remote.")
def release(name: str, version: str, remote: str | None) -> None:
    with remote_store.project(Path()) as repo:
        set_ = releases.named(repo, name, version)
        releases.check(repo, set_, remote)
    releases.tag(set_)
    click.echo(f"{set_.path} is released as {set_.tag}; `git push origin {set_.tag}` publishes it")


main.add_command(verify, "verify")
main.add_command(release, "release")


def _checked(repo: Repo, inventory: Inventory, outputs: list[wanted.Output], everything: bool, local: bool) -> Iterator[Problem]:
    store = inventory.store
    yield from problems.of_objects(inventory, lambda oids: _progress(oids, store.name), everything)
    if everything:
        yield from problems.of_runs(store, lambda paths: _progress(paths, "run cache"))
        yield from problems.of_leftovers(inventory)
    yield from problems.of_settings(store)
    if local:
        yield from workspace.problems(repo, workspace.files(inventory, outputs), lambda paths: _progress(paths, "workspace"))


def _progress(items: list[Item], what: str) -> Iterable[Item]:
    return tqdm(items, desc=what, unit="file", disable=None, leave=False)


def _removed(store: Store, found: list[Problem], lists: list[str]) -> int:
    """Delete what is damaged, and `lists`: of folders in a remote whose files are not all there, since `dvc push` looks no further."""
    files = [problem.file for problem in found if problem.kind in REPAIRED and problem.file is not None]
    for file in dict.fromkeys(files + lists):
        store.fs.remove(file)
    return len(set(files + lists))


def _summary(store: Store, count: int, found: list[Problem], removed: int) -> str:
    kinds = ", ".join(f"{number} {kind}" for kind, number in Counter(problem.kind for problem in found).items())
    deleted = f"; deleted {removed} files, `dvc pull` or `dvc push` brings back what is needed" if removed else ""
    return f"{store.name}: {count} objects, {kinds or 'every one of them fits its name'}{deleted}"


def _below(repo: Repo, path: Path) -> Path:
    """`path` as it is called below the project."""
    top = Path(repo.root_dir)
    full = Path(os.path.abspath(path))
    require(full.is_relative_to(top), f"expected a path inside {top.name}, got {path}")
    return full.relative_to(top)


if __name__ == "__main__":
    main()
