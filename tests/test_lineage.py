"""Which results were not made anew after a change: a pipeline of four stages whose answers are known."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from lib.parallel import lineage

NOW = {"params.yaml": {"data": {"seed": 0}, "ir": {"A": {"lambda_d": 3.0}, "B": {"lambda_d": 3.0}}, "report": {"rows": [1, 2]}}}


def entry(deps: dict[str, str], params: dict, outs: dict[str, str]) -> dict:
    listed = [[{"path": path, "md5": md5} for path, md5 in files.items()] for files in (deps, outs)]
    return {"deps": listed[0], "params": {"params.yaml": params}, "outs": listed[1]}


def entries() -> dict[str, dict]:
    return {
        "check@params": entry({}, {"data": {"seed": 9}}, {"results/checked": "c"}),
        "prepare": entry({"lib/data": "code", "results/checked": "c"}, {"data": {"seed": 0}}, {"data/x.h5": "x"}),
        "train@A": entry({"data/x.h5": "x", "lib/loss.py": "code"}, {"ir.A": {"lambda_d": 3.0}}, {"models/0/A": "a"}),
        "train@B": entry({"data/x.h5": "x", "lib/loss.py": "code"}, {"ir.B": {"lambda_d": 3.0}}, {"models/0/B": "b"}),
        "attack@A": entry({"models/0/A": "a"}, {}, {"results/A.h5": "ra"}),
        "attack@B": entry({"models/0/B": "b"}, {}, {"results/B.h5": "rb"}),
        "transfer": entry({"models/0": "dir"}, {}, {"results/transfer/0": "t"}),
        "report": entry({"results": "dir"}, {"report": {"rows": [1, 2]}}, {"report/index.html": "i"}),
    }


def changed(stage: str, kind: str, name: str, value: object) -> dict[str, dict]:
    known = entries()
    if kind == "params":
        known[stage]["params"]["params.yaml"][name] = value
    else:
        next(file for file in known[stage][kind] if file["path"] == name)["md5"] = value
    return known


def test_after_a_whole_run_nothing_is_outdated():
    assert lineage.outdated(entries(), NOW, lambda path: "code") == {}
    assert lineage.said({}) == ""


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (("train@A", "params", "ir.A", {"lambda_d": 1.0}), {"train@A": ["ir.A.lambda_d"], "attack@A": [], "transfer": [], "report": []}),
        (("report", "params", "report", {"rows": [1]}), {"report": ["report.rows"]}),
        (("report", "params", "report", {"rows": [1, 2], "gone": 1}), {"report": ["report.gone"]}),
        # An experiment with one training: whoever reads that network alone has seen another, and whoever reads the folder too.
        (
            ("train@B", "outs", "models/0/B", "b2"),
            {"attack@B": ["models/0/B"], "transfer": ["models/0/B"], "report": []},
        ),
        (("attack@A", "deps", "models/0/A", "a0"), {"attack@A": ["models/0/A"], "transfer": ["models/0/A"], "report": []}),
    ],
)
def test_a_change_is_named_at_the_stage_that_reads_it_and_all_behind_it_follow(edit, expected):
    assert lineage.outdated(changed(*edit), NOW, lambda path: "code") == expected


def test_an_edit_of_code_counts_where_code_can_be_asked_about():
    edited = lineage.outdated(entries(), NOW, {"lib/data": "code", "lib/loss.py": "edited"}.get)
    assert edited == {
        **{stage: ["lib/loss.py"] for stage in ("train@A", "train@B")},
        **{stage: [] for stage in ("attack@A", "attack@B", "transfer", "report")},
    }
    assert lineage.outdated(entries(), NOW) == {} == lineage.outdated(entries(), NOW, lambda path: None)


def test_whoever_reads_one_file_of_a_folder_is_outdated_where_that_file_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    known = {
        "refine": entry({}, {}, {"targets/0": "new.dir"}),
        "train@A": entry({"targets/0/A.h5": hashlib.md5(b"old").hexdigest()}, {}, {"models/0/A": "a"}),
        "train@B": entry({"targets/0/B.h5": hashlib.md5(b"same").hexdigest()}, {}, {"models/0/B": "b"}),
        "measure": entry({"targets/0": "old.dir"}, {}, {"results/0.h5": "m"}),
    }
    for name, content in {"A": "new", "B": "same"}.items():
        (tmp_path / "targets/0").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"targets/0/{name}.h5").write_text(content)
    assert lineage.outdated(known, NOW) == {"train@A": ["targets/0/A.h5"], "measure": ["targets/0"]}
    known["measure"]["deps"][0]["md5"] = "new.dir"
    assert lineage.outdated(known, NOW, {"targets/0/A.h5": "other"}.get) == {}


def test_the_sentence_names_the_first_changes_and_counts_the_rest():
    late = {f"train@{number}": ["training.epochs"] for number in range(6)} | {"report": []}
    said = lineage.said(late, " in workspace")
    assert said.startswith("Not made anew in workspace: train@0 (training.epochs), train@1") and "train@4" not in said
    assert said.endswith("2 more, and what follows from them, 7 results in all; run dvc repro.")


def test_what_a_parallel_run_has_noted_is_newer_than_the_lock_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert lineage.recorded() == {}
    write = YAML(typ="safe").dump
    write({"schema": "2.0", "stages": {"prepare": {"outs": []}, "report": {"outs": []}}}, lineage.LOCK)
    lineage.NOTES.mkdir(parents=True)
    write({"report": {"outs": [{"path": "report"}]}}, lineage.NOTES / "1.yaml")
    assert lineage.recorded() == {"prepare": {"outs": []}, "report": {"outs": [{"path": "report"}]}}


@given(st.dictionaries(st.text("ab/", min_size=1).filter(lambda name: "//" not in name), st.text("0123456789abcdef", min_size=1)))
def test_a_folder_is_called_as_dvc_calls_it_in_whatever_order_its_files_come(files):
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.tree import Tree

    tree = Tree()
    for path, md5 in files.items():
        tree.add(tuple(path.split("/")), None, HashInfo("md5", md5))
    tree.digest()
    assert lineage.folder_digest(reversed(files.items())) == tree.hash_info.value
