"""Every parameter set is complete and can be chosen by one command; the benchmark adds up."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from dvc.parsing import ResolveError
from dvc.repo import Repo
from dvc.stage import PipelineStage
from dvc.utils.hydra import apply_overrides
from project import ROOT, SHIPPED, copy, edited, start

from lib.base import params
from tools import benchmark, preset, scale

SCALES = sorted((ROOT / "scales").glob("*.yaml"))


@pytest.fixture
def project(shipped: Path) -> Path:
    return shipped


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
            assert f"evaluate-attacks@{row}-{seed}" in names
            assert any(name.startswith("train-") and name.endswith(f"@{row}-{seed}") for name in names)


@pytest.mark.parametrize(
    "key, value, sentence",
    [
        ("seeds", 5, "Could not find 'seeds.0'"),
        ("seeds", [], "Could not find 'seeds.0'"),
        ("saliency.teachers", "R", "Could not find 'saliency.teachers.0'"),
        ("at", 5, "'at'"),
        ("rows", None, "'rows'"),
        ("own_attacks", ["pgd"], "'own_attacks'"),
        ("permute.fractions", 0.5, "'permute.fractions'"),
        ("saliency.methods", "simple", "'saliency.methods'"),
    ],
)
def test_dvc_names_the_key_where_it_cannot_make_the_stages(key: str, value: object, sentence: str, repository: Path) -> None:
    shutil.copy(SHIPPED, repository / "params.yaml")
    with edited(repository) as document:
        *path, last = key.split(".")
        for part in path:
            document = document[part]
        document[last] = value
    with Repo(str(repository)) as repo, pytest.raises(ResolveError, match=re.escape(sentence)):
        repo.index.stages  # noqa: B018


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


def test_a_scale_gives_way_after_dvc_has_written_the_same_values_in_other_words(project: Path) -> None:
    for epochs in (9, 8):
        apply_overrides(project / "params.yaml", [f"training.epochs={epochs}"])
        params.parsed.cache_clear()
        refused = CliRunner().invoke(scale.main, ["mnist"])
        assert refused.exit_code == int(epochs == 9), refused.output


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
