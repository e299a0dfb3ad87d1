"""Stands in for the stages of tests/toy_pipeline.py: what it writes depends on what it reads and on its name alone.

Beside that, in `.seen`, it notes each start, its device, threads and processes; a file `.orders/<stage>` makes it fail, or wait until
the file is gone.
"""

import hashlib
import os
import sys
import time
from pathlib import Path

from lib.base import lifetime

lifetime.begin()  # as stages of the real one do, so that it ends with who runs it


def content(path: Path) -> bytes:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return b"".join(str(file).encode() + file.read_bytes() for file in files if file.is_file())


def obey(stage: str) -> None:
    order = Path(".orders") / stage
    if order.exists() and order.read_text() == "fail":
        sys.exit(f"Error: expected something better for {stage}")
    while order.exists():
        time.sleep(0.05)


def main(out: Path, reads: list[str]) -> None:
    stage = os.environ["DVC_STAGE"]
    Path(".seen").mkdir(exist_ok=True)
    asked = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "PROCESSES"), ("none", "none", "1")
    given = [os.environ.get(name) or default for name, default in zip(*asked)]
    with (Path(".seen") / stage).open("a") as seen:
        seen.write(" ".join([str(os.getpid()), *given]) + "\n")
    obey(stage)
    token = hashlib.sha256(stage.encode() + b"".join(content(Path(path)) for path in reads)).hexdigest()
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix:
        out.write_text(token)
    else:
        out.mkdir(exist_ok=True)
        (out / "weights.txt").write_text(token)
    if out.name == "index.html":
        (out.parent / "summary.json").write_text('{"value": 1}')


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
