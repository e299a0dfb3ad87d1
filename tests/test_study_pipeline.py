"""The studies' dvc.yaml files tell the truth, and nothing of them runs by `dvc repro` alone."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
from dvc.stage import PipelineStage
from project import ROOT, all_stages, run
from ruamel.yaml import YAML
from test_pipeline import families, listed, reachable

FILES = ("studies/dvc.yaml", "studies/audit/dvc.yaml", "studies/beyond/dvc.yaml", "studies/matched/dvc.yaml")
RUN = re.compile(r"\brun, \"(\w+)\"")


@cache
def stages() -> dict[str, PipelineStage]:
    """One instance of every kind of stage, by file and kind."""
    found = [stage for stage in all_stages() if stage.path_in_repo in FILES]
    return {f"{stage.path_in_repo}:{stage.name.partition('@')[0]}": stage for stage in found}


def closure(stage: PipelineStage) -> set[str]:
    """The stage's file and everything that it can reach: imports, commands that it runs, and every file of a family it chooses from."""
    return reachable(stage, lambda text: [] if "gather" in stage.cmd else chosen(text))


def chosen(text: str) -> list[str]:
    """Every module that a file with this text may choose by name."""
    files = [(family, path.stem) for family in families(text) for path in (ROOT / family.replace(".", "/")).glob("[a-z]*.py")]
    return [f"{family}.{name}" for family, name in files] + [f"stages.{name}" for name in commands(text)]


def commands(text: str) -> list[str]:
    """The stages that a chain runs: by their names, and those that a variant may name."""
    return RUN.findall(text) + (["train_teacher", "train_at", "train_jr", "train_ir", "train_distilled"] if "variant.stage" in text else [])


@pytest.mark.parametrize("name", stages())
def test_a_stage_of_a_study_lists_the_code_that_it_can_reach(name: str) -> None:
    stage = stages()[name]
    needed = closure(stage)
    if "prepare" in name:  # prepares teachers, their maps by the shipped methods, and one student
        needed = {file for file in needed if not file.startswith(("lib/targets/from_images", "lib/targets/controls"))}
        unused = ("make_targets", "disturb_targets", "initial_network", "permute", "train_at", "train_jr", "train_distilled")
        needed -= {f"stages/{name}.py" for name in unused}
    found = set(listed(stage))
    needed = {file for file in needed if not file.startswith("lib/own_attacks/") or file == "lib/own_attacks/pgd.py"}
    assert needed <= found
    assert all(file.startswith(("lib/attacks/", "lib/evaluation/", "lib/studies/", "lib/base/", "lib/network")) for file in found - needed)


def test_every_study_has_its_stages() -> None:
    assert {name.split(":")[0] for name in stages()} == set(FILES)


def test_dvc_looks_for_results_of_a_study_only_where_it_has_run() -> None:
    hidden = (ROOT / ".dvcignore").read_text().splitlines()
    assert [file for file in FILES if f"/{file}" not in hidden and not (ROOT / file).with_name("dvc.lock").exists()] == []


@pytest.mark.parametrize("name", ["audit", "beyond", "matched"])
def test_make_shows_dvc_the_study_that_it_runs_and_no_other(name: str, tmp_path: Path) -> None:
    ignored = tmp_path / ".dvcignore"
    ignored.write_text("".join(f"/{file}\n" for file in FILES))
    (line,) = (line for line in run(f"make -n {name}", ROOT).splitlines() if line.startswith("sed "))
    subprocess.run(line, shell=True, check=True, cwd=tmp_path)
    assert set(FILES) - {line[1:] for line in ignored.read_text().split()} == {"studies/dvc.yaml", f"studies/{name}/dvc.yaml"}


def test_the_main_pipeline_does_not_read_what_a_study_writes() -> None:
    for stage in (stage for stage in all_stages() if stage.path_in_repo == "dvc.yaml"):
        read = [dep.def_path for dep in stage.deps]
        assert "results" not in read and not any(path.startswith(("results/studies", "studies")) for path in read), stage.name


def test_studies_take_their_seeds_from_the_same_list() -> None:
    shared = YAML(typ="safe").load((ROOT / "studies/dvc.yaml").read_text())["vars"][1]["seeds"]
    for name in ("audit", "beyond", "matched"):
        assert YAML(typ="safe").load((ROOT / f"studies/{name}/params.yaml").read_text())["study"]["seeds"] == shared
