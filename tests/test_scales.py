"""Every parameter set is complete and can be chosen by one command; the benchmark adds up."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from dvc.repo import Repo
from dvc.stage import PipelineStage
from project import ROOT, copy, start

from lib import alignment, datasets, extraction, refine
from lib.base import params
from lib.evaluation import outcomes as evaluation
from lib.evaluation import work
from lib.evaluation.threats import threats
from lib.network import architecture
from lib.objectives import adversarial, interpretation, jacobian
from lib.report.rows import rows, seeds
from lib.training import loop
from tools import benchmark, preset, scale

SCALES = sorted((ROOT / "scales").glob("*.yaml"))
KINDS = {
    "data": datasets.Data, "model": architecture.Model, "training": loop.Plan, "threshold": refine.Threshold,
    "evaluation": work.Evaluation, "gradients": alignment.Plan,
}  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "scales", tmp_path / "scales")
    for name in ("params.yaml", "presets.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_committed_parameters_are_the_quick_scale() -> None:
    assert (ROOT / "params.yaml").read_text() == (ROOT / "scales/quick.yaml").read_text()


@pytest.mark.parametrize("file", SCALES, ids=lambda file: file.stem)
def test_every_section_of_every_scale_is_valid(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(file, tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    for name, kind in KINDS.items():
        params.section(kind, name)
    for name, kind in {"teachers": adversarial.Settings, "at": adversarial.Settings}.items():
        params.sections(kind, name)
    params.sections(jacobian.Settings, "jr")
    targets = {f"{teacher}_{method}" for teacher in params.value("saliency", "teachers") for method in params.names("saliency", "methods")}
    targets |= {f"{params.value('permute', 'source')}_{level}" for level in params.names("permute", "fractions")}
    assert set(params.sections(interpretation.Settings, "ir")) <= targets
    assert params.value("gradients", "reference") in targets
    for method in params.names("saliency", "methods"):
        params.section(extraction.method(method).Settings, "saliency", "methods", method)
    for suite in params.names("attacks"):
        params.section(evaluation.suite(suite).Settings, "attacks", suite)
    assert all(threats(row.threats) for row in rows().values()) and seeds()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pipeline in a repository of its own, for any params.yaml."""
    folder = copy(tmp_path_factory.mktemp("repository"))
    start(folder)
    return folder


@pytest.mark.parametrize("file", SCALES, ids=lambda file: file.stem)
def test_dvc_makes_the_whole_graph_of_every_scale(file: Path, repository: Path) -> None:
    folder = repository
    shutil.copy(file, folder / "params.yaml")
    params.parsed.cache_clear()
    with Repo(str(folder)) as repo:
        stages = [stage for stage in repo.index.stages if isinstance(stage, PipelineStage)]
        assert len(repo.index.graph) == len(stages)
    names = {stage.name for stage in stages}
    document = params.parsed(folder / "params.yaml")
    for row in document["rows"]:
        for seed in document["seeds"]:
            assert all(f"evaluate-attacks@{suite}-{row}-{seed}" in names for suite in document["attacks"])
            assert any(name.startswith("train-") and name.endswith(f"@{row}-{seed}") for name in names)


def test_a_scale_is_chosen_by_its_name(project: Path) -> None:
    result = CliRunner().invoke(scale.main, ["mnist"])
    assert result.exit_code == 0 and "scales/mnist.yaml" in result.output
    assert (project / "params.yaml").read_text() == (ROOT / "scales/mnist.yaml").read_text()


def test_an_unknown_scale_is_refused(project: Path) -> None:
    result = CliRunner().invoke(scale.main, ["huge"])
    assert result.exit_code == 1
    assert f"scale must be one of {', '.join(file.stem for file in SCALES)}, got 'huge'" in result.output


def test_a_scale_comes_with_the_preset_that_is_asked_for_and_gives_way_to_the_next(project: Path) -> None:
    result = CliRunner().invoke(scale.main, ["cifar10", "--preset", "paper"])
    assert result.exit_code == 0 and "scales/cifar10.yaml with the preset paper" in result.output
    assert (project / "params.yaml").read_text() == preset.rendered((ROOT / "scales/cifar10.yaml").read_text(), "paper")
    assert CliRunner().invoke(scale.main, ["mnist"]).exit_code == 0
    assert (project / "params.yaml").read_text() == (ROOT / "scales/mnist.yaml").read_text()


def test_a_scale_never_overwrites_edits_unless_told_to(project: Path) -> None:
    edited = (project / "params.yaml").read_text().replace("epochs: 8", "epochs: 9")
    (project / "params.yaml").write_text(edited)
    assert CliRunner().invoke(scale.main, ["mnist"]).exit_code == 1
    assert (project / "params.yaml").read_text() == edited
    assert CliRunner().invoke(scale.main, ["mnist", "--force"]).exit_code == 0
    assert (project / "params.yaml").read_text() != edited


def test_the_benchmark_counts_instances_and_what_is_left_for_dvc() -> None:
    lines = [("train-ir@a-0", 2.0, 5.0), ("train-ir@a-1", 2.0, 7.0), ("report", 1.0, 3.0)]
    text = benchmark.describe(pd.DataFrame(lines, columns=["stage", "startup", "work"]), 30.0, 2.5)
    assert "train-ir          2  12.0      4.0" in text
    assert "work                  15.0 s  50.0%" in text
    assert "DVC itself            10.0 s  33.3%" in text


def test_commands_are_timed_where_a_file_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stages.threshold import main

    monkeypatch.setenv("STAGE_TIMES", str(project / "times.jsonl"))
    monkeypatch.setenv("DVC_STAGE", "threshold@R-simple-0")
    from test_files import write_targets

    write_targets(project / "maps.h5")
    assert CliRunner().invoke(main, ["--maps", "maps.h5", "--out", "targets.h5"]).exit_code == 0
    (line,) = [json.loads(text) for text in (project / "times.jsonl").read_text().splitlines()]
    assert line["stage"] == "threshold@R-simple-0" and line["startup"] > 0 and line["work"] > 0
