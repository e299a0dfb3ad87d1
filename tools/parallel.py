"""Do what `dvc repro TARGETS` does, with many stages at a time: on the cores of this machine, or on a Ray cluster.

Afterwards `dvc repro` finds nothing to do, and dvc.lock is what a serial run writes. What a stage takes of a machine stands in
resources.yaml. A stage that fails stops only what depends on it; a run that was killed goes on where it stood.
"""

import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from lib.base import params
from lib.base.command import Command
from lib.base.errors import require
from lib.parallel import run as parallel
from lib.parallel.resources import Table
from lib.parallel.view import told, view
from lib.parallel.worker import Outcome
from tools import summary


@click.command(cls=Command, help=__doc__, context_settings={"show_default": True})
@click.argument("targets", nargs=-1)
@click.option("--workers", type=click.IntRange(min=1), help="How many cores to use on this machine.", show_default="all")
@click.option(
    "--address", help="Of a Ray cluster that runs: HOST:PORT, or auto for the one of this machine.", show_default="starts its own"
)
@click.option("--remote", is_flag=True, help="Nodes may have clones of their own; results meet in DVC's default remote.")
@click.option("--force", is_flag=True, help="Run stages that are up to date, too.")
@click.option("--resources", type=click.Path(path_type=Path), default=Path("resources.yaml"), help="Table of what stages take.")
def main(targets: tuple[str, ...], workers: int | None, address: str | None, remote: bool, force: bool, resources: Path) -> None:
    require(Path(".dvc").is_dir(), f"expected the project's folder, found no .dvc in {Path.cwd()}")
    require(workers is None or address is None, "--workers is for this machine alone; the nodes of a cluster know their cores")
    _check_parameters(targets)
    wish = parallel.Wish(targets, address, workers, remote, force)
    done = parallel.run(Path.cwd(), wish, Table(resources), partial(view, console=Console()))
    for line in lines(done):
        click.echo(line)
    raise SystemExit(int(any(not outcome.made for outcome in done.board.ended.values())))


def _check_parameters(targets: tuple[str, ...]) -> None:
    """Refuse what the pipeline's first stage would, before DVC reads params.yaml in its own way, and what would stop a study's variant."""
    if "check" not in (params.loaded(params.text(Path("dvc.yaml")), Path("dvc.yaml")).get("stages") or {}):
        return
    studies = [Path(target).with_name("params.yaml") for target in targets if re.fullmatch(r"studies/\w+/dvc.yaml", target)]
    for options in [["--study", str(study)] for study in studies] or [[]]:
        status = subprocess.run([sys.executable, "-m", "stages.check_params", *options]).returncode
        if status:
            raise SystemExit(status)


def lines(done: parallel.Done) -> list[str]:
    """What happened, as tools.summary tells it, and why stages failed."""
    board = done.board
    names = {"ran": "ran", "from cache": "cached", "unchanged": "unchanged"}
    found = {kind: [stage for stage, one in board.ended.items() if one.state == state] for kind, state in names.items()}
    found["unchanged"] += done.plan.unchanged
    took = summary.read_times(done.log / "times.jsonl") if done.log else {}
    failed = [one for one in board.ended.values() if one.state == "failed"]
    reasons = [line for one in failed for line in ("", *_why(one))]
    left_out = [told(one) for one in board.ended.values() if one.state == "left out"]
    where = [f"Logs of all steps: {done.log}"] if done.log else []
    return [*summary.summary(found, took, None, [one.stage for one in failed]), *reasons, *left_out, *where]


def _why(outcome: Outcome) -> list[str]:
    return [told(outcome), *(f"    {line}" for line in outcome.tail)]


if __name__ == "__main__":
    main()
