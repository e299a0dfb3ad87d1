"""Rebuild everything in a fresh clone with an empty cache and print where the time went.

The clone is made from the last commit of this checkout, in a temporary folder that is removed afterwards. For each kind of stage:
how many instances ran, seconds of work, and seconds lost to starting a process; and what DVC itself took beside them.
"""

import json
import os
import platform
import subprocess
import tempfile
import time
from pathlib import Path

import click
import pandas as pd


@click.command(help=__doc__)
@click.option("--csv", "csv", type=click.Path(path_type=Path), help="Also write one line per stage instance to this file.")
def main(csv: Path | None) -> None:
    root = subprocess.run(["git", "rev-parse", "--show-toplevel"], capture_output=True, text=True, check=True).stdout.strip()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", root, str(clone)], check=True)
        seconds, instances = rebuild(clone)
        again = _seconds(["dvc", "repro", "--quiet"], clone, dict(os.environ))
    if csv is not None:
        instances.to_csv(csv, index=False)
    click.echo(describe(instances, seconds, again))


def rebuild(clone: Path) -> tuple[float, pd.DataFrame]:
    """Run `dvc repro` in `clone`; returns its wall time and one line per stage instance (stage, startup, work, in seconds)."""
    log = clone / "stage-times.jsonl"
    seconds = _seconds(["dvc", "repro"], clone, os.environ | {"STAGE_TIMES": str(log)})
    return seconds, pd.DataFrame([json.loads(line) for line in log.read_text().splitlines()])


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


def _seconds(call: list[str], folder: Path, environment: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run(call, cwd=folder, env=environment, check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
