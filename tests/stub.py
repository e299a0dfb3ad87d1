"""Stands in for every stage: writes random bytes to what the stage would write, so that whatever depends on it is out of date."""

import sys
import uuid
from pathlib import Path

FRAMES = ["results", "curves", "auc", "permutation", "black_box", "worst_case", "claims", "contrasts", "effects", "table1"]
NAMES = [*(f"{name}.csv" for name in FRAMES), "gate.json", "table1.tex", "table1.md", "index.html", "figures/fig1.png"]


def write(out: Path) -> None:
    token = uuid.uuid4().hex
    if out.name == "report":
        (out / "figures").mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            (out / name).write_text(token)
        (out / "summary.json").write_text('{"value": 1}')
    elif out.suffix:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(token)
    else:
        out.mkdir(parents=True, exist_ok=True)
        for name in ("weights.safetensors", "model.json", "history.csv"):
            (out / name).write_text(token)


if __name__ == "__main__":
    write(Path(sys.argv[sys.argv.index("--out") + 1]))
