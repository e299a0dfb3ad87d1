"""Stands in for every stage: writes random bytes to what the stage would write, so that whatever depends on it is out of date.

Only a target set is what its maps and settings make it, as the stage promises.
"""

import hashlib
import sys
import uuid
from pathlib import Path

FRAMES = ["results", "curves", "auc", "permutation", "black_box", "worst_case", "claims", "contrasts", "effects", "environments", "table1"]
FRAMES += ["accuracy_contrasts", "networks", "trained_out", "training"]
NAMES = [
    *(f"{name}.csv" for name in FRAMES),
    "gate.json",
    "table1.tex",
    "table1.md",
    "studies.md",
    "index.html",
    "figures/fig1.png",
    "tables/claims.tex",
]


def write(out: Path) -> None:
    """A new result at `out`."""
    token = uuid.uuid4().hex
    if out.parent == Path("data/targets"):
        write_targets(out)
    elif out.name == "report":
        for name in NAMES:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_text(token)
        (out / "summary.json").write_text('{"value": 1}')
    elif out.name == "params_checked.txt":
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text("always the same")
    elif out.suffix:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(token)
    else:
        out.mkdir(parents=True, exist_ok=True)
        for name in ("weights.safetensors", "model.json", "history.csv"):
            (out / name).write_text(token)


def write_targets(out: Path) -> None:
    from ruamel.yaml import YAML  # here, because other stages need none of it

    out.mkdir(parents=True, exist_ok=True)
    document = YAML(typ="safe").load(Path("params.yaml").read_text())
    threshold = document["threshold"]
    exceptions = threshold.pop("exceptions")
    for maps in (Path("data/maps") / out.name).iterdir():
        (out / maps.name).write_text(token_of(maps.read_text(), threshold | {"phi": exceptions.get(maps.stem, threshold["phi"])}))
    source, fractions = document["permute"]["source"], document["permute"]["fractions"]
    for level, fraction in fractions.items():
        (out / f"{source}_{level}.h5").write_text(token_of((out / f"{source}.h5").read_text(), fraction))


def token_of(*made_from: object) -> str:
    return hashlib.sha256(repr(made_from).encode()).hexdigest()


def record(out: Path, folder: Path) -> None:
    """A new record of the environment that `out` was made in."""
    place = folder / f"{out}.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(uuid.uuid4().hex)


if __name__ == "__main__":
    options = dict(zip(sys.argv, sys.argv[1:]))
    write(Path(options["--out"]))
    if "--records" in options:
        record(Path(options["--out"]), Path(options["--records"]))
