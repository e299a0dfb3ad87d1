"""Which results are older than their parameters, their code or what they were made from, by what dvc.lock records of every stage.

DVC makes results anew when it is asked to. Between an edit and the next `dvc repro`, or after an experiment with a single stage, results of
before lie beside newer ones, and a table of all of them would pass for the present parameters' own.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

LOCK = Path("dvc.lock")
NOTES = Path(".dvc/tmp/parallel/entries")  # what lib/parallel/lockfile.py has noted and not yet put into the lock file
CHECKS = ("check@params",)  # stages whose result is the same whatever they read, as long as there is one
NAMED = 4  # so many stages are named where more are outdated

Entries = Mapping[str, Mapping[str, Any]]


def recorded() -> Entries:
    """What DVC records in the current folder, by stage; nothing where it has never run there."""
    newer = [path.read_text(encoding="utf-8") for path in sorted(NOTES.glob("*.yaml"))]  # first: they go when the lock file has them
    older = stages(LOCK.read_text(encoding="utf-8")) if LOCK.is_file() else {}
    return {**older, **{name: entry for text in newer for name, entry in YAML(typ="safe").load(text).items()}}


def stages(lock: str) -> Entries:
    """The entries of a lock file, given its text."""
    document = YAML(typ="safe").load(lock)
    return (document or {}).get("stages") or {}


def outdated(entries: Entries, documents: Mapping[str, dict], digest: Callable[[str], str | None] | None = None) -> dict[str, list[str]]:
    """The stages whose results were not made anew, each with the parameters and paths that have changed since, in the order of `entries`.

    A stage that only follows from outdated ones has an empty list. A stage that reads a folder is outdated where something in it is news to
    whoever reads that alone. A stage that reads one file of a folder which is news is outdated where that file is not what was read.

    Args:
        entries: of all stages that count; dvc.lock also keeps those of stages that are no more.
        documents: the parameter files as they stand, by path.
        digest: what DVC's MD5 of a file or folder is now (None: not known); None: files are asked of the workspace, and code is left out.
    """
    unchanging = {out["path"] for stage in CHECKS for out in entries.get(stage, {}).get("outs", ())}
    entries = {stage: entry for stage, entry in entries.items() if stage not in CHECKS}
    made = {out["path"]: (stage, out.get("md5")) for stage, entry in entries.items() for out in entry.get("outs", ())}
    inputs = {
        stage: {dep["path"]: dep.get("md5") for dep in entry.get("deps", ()) if dep["path"] not in unchanging}
        for stage, entry in entries.items()
    }
    news = {path for read in inputs.values() for path, md5 in read.items() if path in made and made[path][1] != md5}
    because = {}
    for stage, entry in entries.items():
        changed = [path for path in sorted(news) if any(_within(path, folder) for folder in inputs[stage]) and path not in inputs[stage]]
        changed += [path for path, md5 in inputs[stage].items() if path in made and made[path][1] != md5]
        changed += [path for path, md5 in _of_folders(inputs[stage], news) if (digest or _digest)(path) not in (None, md5)]
        changed += [] if digest is None else _changed_code(inputs[stage], made, digest)
        because[stage] = [*_changed_parameters(entry, documents), *dict.fromkeys(changed)]
    return _with_followers(because, inputs, made)


def said(late: Mapping[str, list[str]], where: str = "") -> str:
    """The sentence about outdated results; empty where there are none.

    >>> said({"train-jr@JR-0": ["jr.JR.lambda_j"], "report": []}, " in workspace")
    'Not made anew in workspace: train-jr@JR-0 (jr.JR.lambda_j), and what follows from them, 2 results in all; run dvc repro.'
    """
    if not late:
        return ""
    changed = {stage: reasons for stage, reasons in late.items() if reasons}
    named = [f"{stage} ({', '.join(reasons)})" for stage, reasons in list(changed.items())[:NAMED]]
    more = [f"{len(changed) - NAMED} more"] if len(changed) > NAMED else []
    followers = "" if len(late) == len(changed) else ", and what follows from them"
    count = "1 result" if len(late) == 1 else f"{len(late)} results"
    return f"Not made anew{where}: {', '.join([*named, *more])}{followers}, {count} in all; run dvc repro."


def folder_digest(files: Iterable[tuple[str, str]]) -> str:
    """DVC's name for a folder, given the relative path and the MD5 of each of its files."""
    listing = [{"md5": md5, "relpath": path} for path, md5 in sorted(files)]
    return hashlib.md5(json.dumps(listing, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def _of_folders(read: Mapping[str, str], news: Iterable[str]) -> list[tuple[str, str]]:
    """The inputs that are single files of these folders."""
    return [(path, md5) for path, md5 in read.items() if any(_within(path, folder) and path != folder for folder in news)]


def _digest(path: str) -> str | None:
    """The MD5 of a file of the current folder; None where there is none."""
    with suppress(OSError), open(path, "rb") as file:
        return hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False)).hexdigest()
    return None


def _changed_parameters(entry: Mapping[str, Any], documents: Mapping[str, dict]) -> Iterator[str]:
    for file in documents.keys() & entry.get("params", {}).keys():
        for key, before in entry["params"][file].items():
            now: Any = documents[file]
            for name in key.split("."):
                now = now.get(name) if isinstance(now, dict) else None
            yield from _differing(key, before, now)


def _differing(key: str, before: Any, now: Any) -> Iterator[str]:
    """The keys below `key` whose values differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in dict.fromkeys([*before, *now]):
            yield from _differing(f"{key}.{name}", before.get(name), now.get(name))
    elif before != now:
        yield key


def _changed_code(read: Mapping[str, str], made: Mapping[str, Any], digest: Callable[[str], str | None]) -> list[str]:
    """The inputs that no stage makes, wholly or in part, and that are not what was read."""
    code = {path: md5 for path, md5 in read.items() if not any(_within(out, path) or _within(path, out) for out in made)}
    now = {path: digest(path) for path in code}
    return [path for path, md5 in code.items() if now[path] not in (None, md5)]


def _with_followers(because: dict[str, list[str]], inputs: Mapping[str, Iterable[str]], made: Mapping[str, Any]) -> dict[str, list[str]]:
    """Only the outdated stages, and all that read, directly or not, what these make."""
    late = {stage for stage, changed in because.items() if changed}
    while True:
        stale = [path for path, (stage, _) in made.items() if stage in late]
        reached = {
            stage for stage, read in inputs.items() if any(_within(out, path) or _within(path, out) for out in stale for path in read)
        }
        if reached <= late:
            return {stage: changed for stage, changed in because.items() if stage in late}
        late |= reached


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
