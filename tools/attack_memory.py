"""Peak memory of the strict attack over numbers of images, radii and restarts: none of them should matter, only the batch size.

Each line is measured in a process of its own: what the attack needs beyond what its process held when it began, with model and images
loaded (resident memory of Linux, or what CUDA has allocated).
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click
import pandas as pd
import torch

from lib.base import image_file
from lib.base.command import command, source
from lib.base.errors import require
from lib.network import runtime
from tools.attack_cost import RADII, ours, settings, threats, work

KIB_PER_MIB = 1024
COUNTS = (50, 100, 200, 400, 800, 1500)
RESTARTS = (3, 9)
PLAIN = 200  # images where something else is varied


@command(__doc__)
@source("--model", "Folder of a trained model.")
@source("--images", "Image file made by prepare-data.")
@click.option("--norm", type=click.Choice(list(RADII)), default="linf")
@click.option("--steps", type=click.IntRange(min=1), default=10)
@click.option("--batch-size", type=click.IntRange(min=1), default=50)
@click.option("--single", type=(int, str, int), help="Only print the MiB for so many images, these radii and so many restarts.")
def main(model: Path, images: Path, norm: str, steps: int, batch_size: int, single: tuple[int, str, int] | None) -> None:
    if single is not None:
        count, radii, restarts = single
        device = runtime.start(0, "analysis")
        network, attacked = work(model, images, count, batch_size, device)
        with peak(device) as mib:
            ours(network, attacked, threats(norm, radii), replace(settings(), steps=steps, restarts=restarts))
        return click.echo(f"{mib[0]:.1f}")
    made = []
    for count, radii, restarts in cases(len(image_file.read(images, "test")), RADII[norm]):
        words = [sys.executable, "-m", "tools.attack_memory", "--model", str(model), "--images", str(images), "--norm", norm]
        words += ["--steps", str(steps), "--batch-size", str(batch_size), "--single", str(count), radii, str(restarts)]
        done = subprocess.run(words, capture_output=True, encoding="utf-8", errors="replace")
        require(done.returncode == 0, f"measuring {count} images failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
        made.append({"images": count, "radii": len(radii.split(",")), "restarts": restarts, "MiB": done.stdout.strip()})
    click.echo(pd.DataFrame(made).to_string(index=False))


def cases(available: int, radii: str) -> list[tuple[int, str, int]]:
    """Images, radii and restarts of each line: one of them is varied at a time.

    >>> cases(100, "0.1,0.2")
    [(50, '0.1', 1), (100, '0.1', 1), (100, '0.1,0.2', 1), (100, '0.1', 3), (100, '0.1', 9)]
    """
    first, plain = radii.split(",")[0], min(PLAIN, available)
    return [*((count, first, 1) for count in COUNTS if count <= available), (plain, radii, 1), *((plain, first, more) for more in RESTARTS)]


@contextmanager
def peak(device: torch.device) -> Iterator[list[float]]:
    """Afterwards the list holds the MiB that the block needed beyond what was in use when it began."""
    found: list[float] = []
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        yield found
        found.append((torch.cuda.max_memory_allocated() - before) / KIB_PER_MIB**2)
    else:
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # Linux: the high-water mark falls to what is resident now
        before = _status("VmRSS")
        yield found
        found.append((_status("VmHWM") - before) / KIB_PER_MIB)


def _status(name: str) -> int:
    """A line of /proc/self/status, in KiB."""
    told = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace").splitlines()
    found = [text for text in told if text.startswith(name + ":")]
    return int(found[0].split()[1])


if __name__ == "__main__":
    main()
