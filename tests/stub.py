"""Stands in for every stage: writes random bytes to what the stage would write, so that whatever depends on it is out of date."""

import sys
import uuid
from pathlib import Path

out = Path(sys.argv[sys.argv.index("--out") + 1])
token = uuid.uuid4().hex
names = ["results.csv", "curves.csv", "permutation.csv", "table1.csv", "table1.tex", "table1.md", "index.html", "figures/fig1.png"]
if out.name == "report":
    (out / "figures").mkdir(parents=True, exist_ok=True)
    for name in names:
        (out / name).write_text(token)
    (out / "summary.json").write_text('{"value": 1}')
elif out.suffix:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(token)
else:
    out.mkdir(parents=True, exist_ok=True)
    for name in ("weights.safetensors", "model.json", "history.csv"):
        (out / name).write_text(token)
