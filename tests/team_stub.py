"""tests/stub.py with real files for maps and targets, random ones, and models whose files differ: stands in for every stage."""

import sys
from pathlib import Path

from stub import record, write

SHAPE = (400, 1, 28, 28)


def write_maps(out: Path) -> None:
    import numpy as np  # here, because most stages need none of it

    from lib.targets import target_file
    from lib.targets.target_file import Header

    maps = np.random.default_rng().standard_normal(SHAPE, dtype=np.float32)
    target_file.write(out, Header("toy", "0" * 64, out.stem, {}), SHAPE, [maps])


if __name__ == "__main__":
    options = dict(zip(sys.argv, sys.argv[1:]))
    out = Path(options["--out"])
    if out.parts[:2] == ("data", "maps"):
        write_maps(out)
    elif out.parts[:2] == ("data", "targets"):
        write_maps(out / "R_smoothgrad.h5")
    else:
        write(out)
        for path in out.iterdir() if out.parts[0] == "models" else []:
            path.write_text(path.name + path.read_text())
    if "--records" in options:
        record(out, Path(options["--records"]))
