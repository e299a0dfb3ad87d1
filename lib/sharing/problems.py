"""What is wrong with the objects of a store: content that does not fit its name, objects that are missing, what transfers left behind."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.utils import dict_sha256
from dvc.utils.serialize import parse_yaml

from lib.base.errors import InputError
from lib.sharing import listing
from lib.sharing.remote_store import Store, oid_of
from lib.sharing.wanted import Output

Progress = Callable[[list[str]], Iterable[str]]


@dataclass(frozen=True)
class Problem:
    """`kind` is one word, `what` the file or object, `sentence` what was found; `file` is what would have to be removed, if anything."""

    kind: str
    what: str
    sentence: str
    file: str | None = None
    oid: str | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}: {self.sentence}"


class Inventory:
    """The objects of a store and what they are called in the project."""

    def __init__(self, store: Store, outputs: list[Output]) -> None:
        self.store = store
        self.present: dict[str, str] = {}  # path by hash
        self.strangers: list[str] = []
        for path in store.files(store.objects):
            oid = oid_of(store.fs.relpath(path, store.objects))
            if oid is None:
                self.strangers.append(path)
            else:
                self.present[oid] = path
        self.names: dict[str, list[Path]] = {}
        for out in outputs:
            self.names.setdefault(out.oid, []).append(out.path)
            for entry in self.entries(out.oid):
                self.names.setdefault(entry.md5, []).append(out.path / entry.path)

    def entries(self, oid: str) -> list[listing.Entry]:
        """The files of a directory object, if it is one, is here and can be read."""
        if not listing.is_listing(oid) or oid not in self.present:
            return []
        try:
            return listing.read(self.store, oid)
        except InputError:
            return []

    def name(self, oid: str) -> str:
        """What a person calls the object: the first of the files that have this content."""
        paths = self.names.get(oid, [])
        more = f" and {len(paths) - 1} more files" if len(paths) > 1 else ""
        return f"{paths[0]}{more}" if paths else f"object {oid}, which dvc.lock does not name"


def of_objects(inventory: Inventory, progress: Progress, everything: bool = True) -> Iterator[Problem]:
    """Read every object, or only those that the project's outputs need, and compare its content with its name."""
    chosen = [oid for oid in inventory.present if everything or oid in inventory.names]
    for oid in progress(chosen):
        found = inventory.store.md5(inventory.present[oid])
        if found != oid.partition(".")[0]:
            told = f"object {oid} has content with the MD5 {found}"
            yield Problem("corrupt", inventory.name(oid), told, inventory.present[oid], oid)
        elif listing.is_listing(oid):
            yield from _leading_out(inventory, oid)
    for oid in inventory.names:
        if oid not in inventory.present:
            yield Problem("missing", inventory.name(oid), f"object {oid} is not in the {inventory.store.name}", oid=oid)


def of_leftovers(inventory: Inventory) -> Iterator[Problem]:
    """Files that no object is called like, which interrupted transfers leave behind."""
    store = inventory.store
    unfinished = [path for path in store.files(store.runs) if store.fs.name(path).endswith(".tmp")]
    for path in chain(inventory.strangers, unfinished):
        yield Problem("leftover", store.relative(path), f"no object; a transfer into the {store.name} was interrupted or is running", path)


def of_runs(store: Store, progress: Progress) -> Iterator[Problem]:
    """Entries of the run cache (inputs and outputs of a run, as YAML) whose name, a digest, does not fit their content."""
    entries = [path for path in store.files(store.runs) if not store.fs.name(path).endswith(".tmp")]
    for path in progress(entries):
        if _digest_of_run(store, path) != store.fs.name(path):
            yield Problem("corrupt", store.relative(path), "this entry of the run cache was changed after it was written", path)


def of_settings(store: Store) -> Iterator[Problem]:
    """A remote whose objects DVC would take unseen."""
    if not store.checked:
        name = store.name.removeprefix("remote ")
        yield Problem("unchecked", store.name, f"`dvc pull` takes damaged objects from it; type `dvc remote modify {name} verify true`")


def _digest_of_run(store: Store, path: str) -> str | None:
    try:
        return dict_sha256(parse_yaml(store.fs.cat_file(path).decode(), path), exclude=["size", "nfiles"])
    except (DvcException, ValueError, AttributeError, TypeError):
        return None


def _leading_out(inventory: Inventory, oid: str) -> Iterator[Problem]:
    try:
        entries = listing.read(inventory.store, oid)
    except InputError as error:
        yield Problem("corrupt", inventory.name(oid), str(error), inventory.present[oid], oid)
        return
    for entry in entries:
        if listing.leads_out(entry.path):
            told = f"{oid} lists {entry.path!r}, which leads out of its folder: do not check it out, somebody may have planted it"
            yield Problem("outside", inventory.name(oid), told, oid=oid)


def listings_of(inventory: Inventory, problems: Iterable[Problem], outputs: list[Output]) -> list[str]:
    """The paths of directory objects that list a file which is corrupt or missing; DVC takes such a folder for complete."""
    bad = {problem.oid for problem in problems if problem.kind in ("corrupt", "missing")}
    lists = [out.oid for out in outputs if any(entry.md5 in bad for entry in inventory.entries(out.oid))]
    return [inventory.present[oid] for oid in dict.fromkeys(lists)]
