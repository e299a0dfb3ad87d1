"""What `dvc plots` and `dvc exp show` make of the report's tables: curves that are drawn, pages that load nothing, few columns."""

import csv
import json
import re
import subprocess
from itertools import product
from pathlib import Path

import pandas as pd
import pytest
import vl_convert
from dvc.repo import Repo
from dvc_render.html import render_html
from dvc_render.vega import VegaRenderer
from project import ROOT, SHIPPED, copy, edited, shrink
from ruamel.yaml import YAML

from lib.base import checksums, params
from lib.base.errors import InputError
from lib.report import training
from tools import plots

EPOCHS = [1, 2, 3]
COMMON = ["train_accuracy", "validation_loss", "validation_accuracy", "validation_gradient_norm", "selected"]


def definitions() -> dict[str, dict]:
    """The plots of dvc.yaml that are drawn from tables."""
    listed = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["plots"]
    return {name: settings for entry in listed if isinstance(entry, dict) for name, settings in entry.items()}


def write_histories(terms: dict[str, list[str]], seeds: tuple[int, ...] = (0,)) -> None:
    """A history per row and seed: every figure is its epoch and a hundredth of its seed; epoch 2 was kept."""
    for row, names in terms.items():
        for seed in seeds:
            folder = Path("models") / str(seed) / row
            folder.mkdir(parents=True)
            lines = [
                {"epoch": epoch, "learning_rate": 0.1, "first_loss": 3.0, "loss": epoch + seed / 100}
                | {name: epoch + seed / 100 for name in [*names, *COMMON]}
                | {"selected": int(epoch == 2)}
                for epoch in EPOCHS
            ]
            pd.DataFrame(lines).to_csv(folder / "history.csv", index=False)
            checksums.seal(folder)


@pytest.fixture
def histories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    monkeypatch.chdir(copy(tmp_path))
    shrink(tmp_path)
    with edited(tmp_path) as document:
        document["seeds"] = [0, 7]
    params.parsed.cache_clear()
    kinds = {"NR": [], "R": [], "AT25": [], "JR": ["cross_entropy", "jacobian_norm"]}
    ir = ["cross_entropy", "cosine", "gradient_norm"]
    write_histories({row: kinds.get(row, ir) for row in params.value("rows")}, (0, 7))
    return training.frame(Path("models"))


def drawn(definition: dict, datapoints: list[dict]) -> str:
    """The SVG that Vega makes of a plot, without DVC's page."""
    spec = VegaRenderer(datapoints, "plot", **properties(definition), title="title").get_filled_template()
    return vl_convert.vegalite_to_svg(spec)


def properties(definition: dict) -> dict:
    (column,) = definition["y"].values()
    return definition | {"y": column, "template_dir": str(ROOT / ".dvc/plots")}


def test_every_plot_is_drawn_from_a_table_that_the_report_stage_writes():
    report = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]["report"]
    outs = {out if isinstance(out, str) else next(iter(out)) for out in report["outs"]}
    assert {path for definition in definitions().values() for path in definition["y"]} <= outs


def test_training_curves_hold_every_epoch_of_every_network(histories):
    assert len(histories) == len(params.value("rows")) * 2 * len(EPOCHS)
    one = histories[(histories["row"] == "JR") & (histories["seed"] == 7)]
    assert one["jacobian_norm"].tolist() == [1.07, 2.07, 3.07] and one["cosine"].isna().all()
    assert one["selected"].tolist() == [0, 1, 0] and set(one["technique"]) == {"JR"}
    assert list(histories.columns[:7]) == ["technique", "row", "seed", "epoch", "learning_rate", "first_loss", "loss"]


def test_every_figure_that_trainings_have_in_common_and_the_alignment_is_plotted(histories):
    asked = {column for definition in definitions().values() for path, column in definition["y"].items() if "training" in path}
    assert asked == {"loss", "cross_entropy", "cosine", *COMMON} - {"selected"}
    assert asked <= set(histories.columns)


@pytest.mark.parametrize("name", [name for name, definition in definitions().items() if definition["template"] == "training"])
def test_a_training_plot_has_a_panel_for_each_row_that_has_the_figure_and_a_line_per_revision_and_seed(histories, name):
    (column,) = definitions()[name]["y"].values()
    frame = histories[histories["row"].isin(["JR", "R_simple"])]
    texts = list(csv.DictReader(frame.to_csv(index=False).splitlines()))  # as DVC reads it: nothing but text
    svg = drawn(definitions()[name], [line | {"rev": rev} for rev in ("HEAD", "lam2") for line in texts])
    shown = {technique for technique in ("JR", "IR(R,simp)") if f">{technique}<" in svg}
    assert shown == ({"IR(R,simp)"} if column == "cosine" else {"JR", "IR(R,simp)"})
    lines = re.findall(r'aria-roledescription="line mark"', svg)
    assert len(lines) == len(shown) * 2 * 2
    assert ">HEAD<" in svg and ">lam2<" in svg


def test_curves_of_robust_accuracy_have_a_panel_per_attack_and_norm_and_tell_revisions_apart():
    (definition,) = [one for one in definitions().values() if one["template"] == "by_technique"]
    told = product(("Standard", "JR"), ("paper", "strict"), ("l2", "linf"), ("HEAD", "lam2"), (0, 0.5))
    points = [
        {"technique": name, "semantics": kind, "attack": "a", "norm": norm, "rev": rev, "epsilon": str(radius), "accuracy": str(1 - radius)}
        for name, kind, norm, rev, radius in told
    ]
    svg = drawn(definition, points)
    assert all(f">{text}<" in svg for text in ("paper", "strict", "L2", "L∞", "Standard", "JR", "HEAD", "lam2", "radius", "accuracy"))
    assert len(re.findall(r'aria-roledescription="line mark"', svg)) == 2 * 2 * 2 * 2


def test_without_models_there_are_columns_only_and_a_missing_history_is_named(histories):
    assert len(training.frame(None)) == 0 and "loss" in training.frame(None)
    Path("models/7/JR/history.csv").unlink()
    with pytest.raises(InputError, match="expected the history of a training at models/7/JR/history.csv, found nothing there"):
        training.frame(Path("models"))
    Path("models/7/JR/history.csv").write_text("what,is,this\n1,2,3\n")
    checksums.seal(Path("models/7/JR"))
    with pytest.raises(InputError, match="lacks the columns epoch, first_loss, loss, selected"):
        training.frame(Path("models"))


def test_pages_of_dvc_plots_hold_vega_and_load_nothing(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    Repo.init(str(tmp_path)).close()
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc/plots").mkdir(exist_ok=True)
    with Repo(str(tmp_path)) as repo:
        plots.write(tmp_path / ".dvc" / plots.PAGE)
        plots.configure(repo)
    with Repo(str(tmp_path)) as repo:
        template = Path(repo.dvc_dir) / repo.config["plots"]["html_template"]
    assert "html_template" not in (tmp_path / ".dvc/config").read_text()
    renderer = VegaRenderer([{"x": 1, "y": 2, "rev": "HEAD"}], "one", x="x", y="y", template="simple")
    page = Path(render_html([renderer], tmp_path / "out.html", template)).read_text()
    assert "vegaEmbed('#" in page and "window.vegaEmbed=" in page
    tags = re.findall(r"<(?:script|link|img)\b[^>]*>", page[: page.index("(() =>")] + page[page.rindex("})();") :])
    assert len(tags) == 3 and all("src=" not in tag and "http" not in tag for tag in tags)


def test_the_page_of_the_plots_is_not_in_git():
    assert subprocess.run(["git", "check-ignore", "-q", f".dvc/{plots.PAGE}"], cwd=ROOT).returncode == 0


def test_make_experiments_keeps_changed_parameters_and_few_results():
    told = subprocess.run(["make", "-n", "experiments", "-o", "env"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = re.search(r"--drop '([^']+)'", told)
    assert found is not None
    document = YAML(typ="safe").load(SHIPPED.read_text())
    settings = [name if not isinstance(entry, dict) else f"{name}.{next(iter(entry))}" for name, entry in document.items() if entry != {}]
    row = json.loads((ROOT / "results/published/quick.json").read_text())["JR"]
    kept = ["Experiment", "JR.clean", "JR.mean_radius.linf", "ir.R_smoothgrad.lambda_d", *settings]
    dropped = ["Created", "State", "models/0/JR", "data/targets/0/R_simple.h5", "lib/base", "contrasts.R_smoothgrad_over_JR.linf.percent"]
    dropped += ["JR.paper", "JR.mean_radius.l2"]
    assert set(row) == {"clean", "paper", "mean_radius"}
    assert [name for name in kept if re.match(found[1], name)] == []
    assert [name for name in dropped if not re.match(found[1], name)] == []
