"""What it costs to run stages side by side: stages that only sleep, in a new project, by `tools.parallel` on Ray of this machine.

Efficiency is the time that all sleeping would take, shared out evenly, over the time that the run took, Ray's start included. The last
columns are about dvc.lock, which DVC reads and writes as a whole for every stage: its size, the time for reading and writing it once, and
that of a `dvc repro` with nothing to do.
"""

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click
import pandas as pd
from dvc.utils.serialize import modify_yaml

from lib.base.command import Command

ROOT = Path(__file__).parents[1]
PIPELINE = """
stages:
  sleep:
    matrix: {{number: [{numbers}]}}
    cmd: sleep {seconds} && echo ${{item.number}} > out-${{item.number}}
    params: [all]
    outs: ["out-${{item.number}}"]
"""
HEADS = ["stages", "seconds", "workers", "took, s", "efficiency", "extra per stage, s", "lock, kB", "rewrite, s", "no-op, s"]


@dataclass(frozen=True)
class Case:
    """`stages` stages that sleep for `seconds`, `workers` at a time."""

    stages: int
    seconds: float
    workers: int


@click.command(cls=Command, help=__doc__, context_settings={"show_default": True})
@click.argument("cases", nargs=-1, required=True, metavar="STAGES:SECONDS:WORKERS…")
def main(cases: tuple[str, ...]) -> None:
    click.echo(pd.DataFrame([measured(case) for case in map(_parsed, cases)], columns=HEADS).to_string(index=False))


def measured(case: Case) -> list[str]:
    """A line of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _project(folder, case)
        took = _timed(folder, "-m", "tools.parallel", "--workers", str(case.workers))
        nothing = _timed(folder, "-m", "dvc", "repro", "-q")
        lock = folder / "dvc.lock"
        size, began = lock.stat().st_size, time.perf_counter()
        with modify_yaml(str(lock)) as data:
            data["stages"].update({})
        rewritten = time.perf_counter() - began
    ideal = case.stages * case.seconds / case.workers
    extra = (took - ideal) * case.workers / case.stages
    figures = [f"{took:.0f}", f"{ideal / took:.2f}", f"{extra:.2f}", f"{size / 1000:.0f}", f"{rewritten:.2f}", f"{nothing:.1f}"]
    return [str(case.stages), f"{case.seconds:g}", str(case.workers), *figures]


def _parsed(text: str) -> Case:
    parts = text.split(":")
    try:
        case = Case(int(parts[0]), float(parts[1]), int(parts[2]))
    except (ValueError, IndexError) as error:
        raise click.UsageError(f"expected STAGES:SECONDS:WORKERS like 50:1:8, got {text}") from error
    if len(parts) != 3 or min(case.stages, case.workers) < 1 or case.seconds < 0:
        raise click.UsageError(f"expected STAGES:SECONDS:WORKERS like 50:1:8, got {text}")
    return case


def _project(folder: Path, case: Case) -> None:
    numbers = ", ".join(map(str, range(case.stages)))
    (folder / "dvc.yaml").write_text(PIPELINE.format(numbers=numbers, seconds=case.seconds), encoding="utf-8")
    (folder / "params.yaml").write_text("all: 1\n", encoding="utf-8")
    (folder / ".gitignore").write_text("/out-*\n/.logs/\n/lib\n/tools\n__pycache__/\n", encoding="utf-8")
    (folder / "resources.yaml").write_text("default: {cpus: 1, gpus: 0, memory: 0}\n", encoding="utf-8")
    for name in ("lib", "tools"):
        (folder / name).symlink_to(ROOT / name)
    for call in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"], ["git", "add", "-A"]):
        subprocess.run(call, cwd=folder, check=True)


def _timed(folder: Path, *words: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
