"""Rebuild everything in a fresh clone with an empty cache and print where the time went.

The clone is made from the last commit of this checkout, in a temporary folder that is removed afterwards. For each kind of stage:
how many instances ran, seconds of work, and seconds lost to starting a process; and what DVC itself took beside them. With --workers
the same is done again in a second clone, by `python -m tools.parallel`, and dvc.lock, which holds a digest of every result, is compared.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pandas as pd
from ruamel.yaml import YAML

from lib.base import files
from lib.base.command import Command
from lib.base.git import git


@click.command(cls=Command, help=__doc__)
@click.option("--csv", "csv", type=click.Path(path_type=Path), help="Also write one line per stage instance to this file.")
@click.option("--workers", type=click.IntRange(min=2), help="Rebuild with so many stages at a time as well.")
def main(csv: Path | None, workers: int | None) -> None:
    with _clone() as clone:
        seconds, instances = rebuild(clone)
        again = _seconds(["dvc", "repro", "--quiet"], clone, dict(os.environ))
        lock = digests(clone)
    if csv is not None:
        files.write(csv, instances.to_csv(index=False, lineterminator="\n"))
    click.echo(describe(instances, seconds, again))
    if workers is not None:
        with _clone() as clone:
            together = _seconds([sys.executable, "-m", "tools.parallel", "--workers", str(workers)], clone, dict(os.environ))
            click.echo(compare(seconds, together, workers, lock, digests(clone)))


def rebuild(clone: Path) -> tuple[float, pd.DataFrame]:
    """Run `dvc repro` in `clone`; returns its wall time and one line per stage instance (stage, startup, work, in seconds)."""
    log = clone / "stage-times.jsonl"
    seconds = _seconds(["dvc", "repro"], clone, os.environ | {"STAGE_TIMES": str(log)})
    return seconds, pd.DataFrame([json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()])


def describe(instances: pd.DataFrame, seconds: float, again: float) -> str:
    """The table: a line per kind of stage, then DVC's own share and the total."""
    kinds = instances.assign(stage=instances["stage"].str.partition("@")[0]).groupby("stage", sort=False)
    table = kinds.agg(instances=("work", "size"), work=("work", "sum"), startup=("startup", "sum")).round(1)
    startup, work = instances["startup"].sum(), instances["work"].sum()
    return "\n".join(
        [
            table.to_string(),
            "",
            f"machine             {platform.processor() or platform.machine()}, {os.cpu_count()} cores",
            f"work                {work:6.1f} s  {work / seconds:5.1%}",
            f"process start-up    {startup:6.1f} s  {startup / seconds:5.1%}",
            f"DVC itself          {seconds - work - startup:6.1f} s  {1 - (work + startup) / seconds:5.1%}",
            f"total               {seconds:6.1f} s",
            f"dvc repro again     {again:6.1f} s, nothing to do",
        ]
    )


def digests(clone: Path) -> dict[str, dict[str, str]]:
    """Stage -> path -> digest of what it made, as dvc.lock has them."""
    recorded = YAML(typ="safe").load(clone / "dvc.lock")["stages"]
    return {stage: {out["path"]: out["md5"] for out in entry.get("outs", [])} for stage, entry in recorded.items()}


def compare(seconds: float, together: float, workers: int, serial: dict[str, dict], parallel: dict[str, dict]) -> str:
    """Two lines: how much faster many stages at a time are, and whether they made the same.

    >>> print(compare(90.0, 60.0, 2, {"a": {"x": "1"}}, {"a": {"x": "1"}}))
    2 at a time           60.0 s, 1.50 times as fast
    results             the same digests of all 1 files and folders
    """
    paths = sum(map(len, serial.values()))
    differing = sorted(stage for stage in serial.keys() | parallel.keys() if serial.get(stage) != parallel.get(stage))
    told = f"different digests from {', '.join(differing)}" if differing else f"the same digests of all {paths} files and folders"
    return f"{f'{workers} at a time':<19} {together:6.1f} s, {seconds / together:.2f} times as fast\n{'results':<19} {told}"


@contextmanager
def _clone() -> Iterator[Path]:
    """A fresh clone of the last commit, with an empty cache."""
    root = git("rev-parse", "--show-toplevel")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        clone = Path(folder) / "clone"
        git("clone", "--quiet", root, str(clone))
        yield clone


def _seconds(call: list[str], folder: Path, environment: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run(call, cwd=folder, env=environment, check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
