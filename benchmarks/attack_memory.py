"""What the search for robust radii needs in memory, by the number of images.

Each line is measured in a process of its own: the most that was held while the search ran, less what was held when it began, with model and
images loaded (resident memory of Linux, or what CUDA has allocated).
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click
import pandas as pd
import torch

from benchmarks.attack_cost import correct, measured, ours
from lib.attacks import search
from lib.base import image_file, params
from lib.base.command import command, source
from lib.base.errors import require
from lib.network import checkpoint, runtime

KIB_PER_MIB = 1024
COUNTS = (50, 100, 200, 400, 800, 1500)


@command(__doc__)
@source("--model", "Folder of a trained model.")
@source("--images", "Image file made by prepare-data.")
@click.option("--norm", type=click.Choice(["l2", "linf"]), default="linf")
@click.option("--batch-size", type=click.IntRange(min=1), default=50)
@click.option("--single", type=int, help="Only print the MiB for so many images.")
def main(model: Path, images: Path, norm: search.Norm, batch_size: int, single: int | None) -> None:
    if single is not None:
        device = runtime.start(0, "analysis")
        network = checkpoint.read(model, device)
        work, plan = correct(network, images, single, batch_size, device), params.section(search.Settings, "attacks", "search")
        with peak(device) as mib:
            measured(partial(ours, settings=plan), network, work, norm)
        return click.echo(f"{mib[0]:.1f}")
    made = []
    for count in [count for count in COUNTS if count <= len(image_file.read(images, "test"))]:
        words = [sys.executable, "-m", "benchmarks.attack_memory", "--model", str(model), "--images", str(images), "--norm", norm]
        words += ["--batch-size", str(batch_size), "--single", str(count)]
        done = subprocess.run(words, capture_output=True, encoding="utf-8", errors="replace")
        require(done.returncode == 0, f"measuring {count} images failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
        made.append({"images": count, "MiB": done.stdout.strip()})
    click.echo(pd.DataFrame(made).to_string(index=False))


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
