"""Let this machine work for `python -m tools.parallel` of another one: join its Ray cluster at ADDRESS (HOST:PORT) until it ends.

Run it in the project's folder. If that is the folder of the other machine, on a file system that both see, results go there; if it is a
clone of its own, at the same commit, they travel through DVC's default remote (`tools.parallel --remote`).
"""

import os
import sys
from pathlib import Path

import click

from lib.base.command import Command
from lib.base.errors import require
from lib.parallel.authority import use_token
from lib.parallel.worker import WORKSPACE


@click.command(cls=Command, help=__doc__, context_settings={"show_default": True})
@click.argument("address")
@click.option("--cpus", type=click.IntRange(min=0), help="Cores to give.", show_default="all")
@click.option("--gpus", type=click.IntRange(min=0), help="GPUs to give.", show_default="all")
def main(address: str, cpus: int | None, gpus: int | None) -> None:
    require(Path("dvc.yaml").is_file(), f"expected the project's folder, found no dvc.yaml in {Path.cwd()}")
    use_token()
    given = {"--num-cpus": cpus, "--num-gpus": gpus}
    options = [f"{name}={amount}" for name, amount in given.items() if amount is not None]
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", f"--address={address}", "--block", "--disable-usage-stats", *options]
    environment = os.environ | {WORKSPACE: str(Path.cwd())}
    os.execve(command[0], command, environment)


if __name__ == "__main__":
    main()
