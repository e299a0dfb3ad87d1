"""One report for all tests that read a report: its page, tables and figures are made once in a test run."""

from contextlib import chdir
from pathlib import Path

import pytest
import report_grid
import study_grid
from click.testing import CliRunner, Result
from members import built_once

from lib.base import checksums
from lib.report import provenance, rows
from stages import report

SHARES = {"NR": 0.2, "R_smoothgrad": 0.85, "R_simple": 0.84, "R_smoothgrad_perm100": 0.6, "NR_smoothgrad": 0.6, "NR_simple": 0.6, "JR": 0.7}
OPTIONS = ("--published", str(study_grid.PUBLISHED), "--maps", "data/targets", "--models", "models")
H100 = {"cuda": "13.0", "device": "NVIDIA H100", "threads": None}


def made(factory: pytest.TempPathFactory) -> Path:
    """A project with a finished `report`, only to be read; `printed` holds what the stage said.

    Of the grid with `SHARES` and the study audit, in which `ir_nesterov` is 10 to 12 points above everything else. The outcomes of JR at
    seed 1 and all transfer at seed 0 were made on another machine; one model has no record. In the folder stood other files before.
    """
    return built_once(factory, "report", build)


def build(folder: Path) -> None:
    with chdir(folder):
        report_grid.make(SHARES)
        study_grid.publish("audit", study_grid.frame("audit", study_grid.raised("ir_nesterov", (10, 11, 12))))
        (study_grid.PUBLISHED / "README.md").write_text("no study")
        for path in provenance.results("mnist5k"):
            elsewhere = path.startswith("results/attacks/1/JR.") or path == "results/transfer/0"
            report_grid.write_record(path, **H100 if elsewhere else {})
        Path("results/environments/models/0/JR.json").unlink()
        for path in (f"models/{seed}/{row}/history.csv" for seed in rows.seeds() for row in rows.rows()):
            Path(path).parent.mkdir(parents=True)
            Path(path).write_text("epoch,first_loss,loss,selected\n1,2.5,0.5,0\n2,0.5,0.5,1\n")
            checksums.seal(Path(path).parent)
        Path("report/figures").mkdir(parents=True)
        for name, text in {"README.md": "mine", "results.csv": "old", "figures/old.png": "stale"}.items():
            (Path("report") / name).write_text(text)
        result = run(*OPTIONS)
        assert result.exit_code == 0, result.output
        Path("printed").write_text(result.output)


def run(*options: str) -> Result:
    """The report stage on the grid in the current folder."""
    places = {"images": str(report_grid.images()), "targets": "data/targets", "results": "results/attacks", "transfer": "results/transfer"}
    places |= {"gradients": "results/gradients", "environments": "results/environments", "out": "report"}
    words = [text for name, place in places.items() for text in (f"--{name}", place)]
    with report_grid.remembered():
        return CliRunner().invoke(report.main, [*words, *options], catch_exceptions=False)
