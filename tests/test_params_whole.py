"""The whole of params.yaml is checked before anything works: what its sections say of each other and what the data allow, all at once."""

import json
import os
import re
import shutil
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from project import ROOT, copy
from ruamel.yaml import YAML

from lib.base import params
from lib.images import datasets
from lib.settings import check
from lib.studies import presets
from stages import check_params
from tools import parallel

SCALES = sorted((ROOT / "scales").glob("*.yaml"))
QUICK = YAML(typ="safe").load((ROOT / "scales/quick.yaml").read_text(encoding="utf-8"))
GONE = object()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(ROOT / "presets.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def edited(changes: dict[str, Any], document: dict = QUICK) -> dict:
    """A copy of the parameters with other values under dotted keys; GONE takes a key away."""
    copy = deepcopy(document)
    for key, value in changes.items():
        *path, last = key.split(".")
        node: Any = copy
        for part in path:
            node = node[int(part)] if isinstance(node, list) else node[part]
        if value is GONE:
            del node[last]
        else:
            node[int(last) if isinstance(node, list) else last] = value
    return copy


def problems(document: Any) -> list[str]:
    return said(json.dumps(document))  # which is YAML, too


def said(text: str, encoding: str = "utf-8") -> list[str]:
    """What the command prints of this params.yaml, one sentence a line."""
    Path("checked.txt").unlink(missing_ok=True)
    Path("params.yaml").write_bytes(text.encode(encoding))
    params.parsed.cache_clear()
    result = CliRunner().invoke(check_params.main, ["--out", "checked.txt"])
    assert result.exit_code in (0, 1) and isinstance(result.exception, SystemExit | None), result.exception
    assert Path("checked.txt").exists() == (result.exit_code == 0)
    return result.output.removeprefix("Error: ").splitlines() if result.exit_code else []


ROW = {"technique": "Another", "threats": "table", "group": None}
LAMBDAS = QUICK["ir"]["R_simple"]
EDITS: list[tuple[dict[str, Any], str]] = [
    # What one section refers to in another
    ({"transfer.sources": ["NR", "Q"]}, r"transfer.sources must name rows \(NR, R, .*\), got 'Q'"),
    ({"transfer.sources": ["NR", "NR"]}, r"transfer.sources must be different rows, got NR more than once"),
    ({"rows.R.threats": "tabel"}, r"rows.R.threats must name a list of threats \(table, permutation\), got 'tabel'"),
    ({"report.figure_threat.epsilon": 0.21}, r"report.figure_threat must be a radius of threats.table .*0.25.*, got linf 0.21"),
    ({"report.figure_threat.norm": "l2"}, r"report.figure_threat must be a radius of threats.permutation \(linf 0.2\), got l2 0.2"),
    ({"report.figure_threat": {"norm": "l2", "epsilon": 14.0, "semantics": "paper"}}, r"figure_threat must be a radius of threats.table"),
    ({"report.figure_threat.semantics": "papre"}, r"figure_threat.semantics must be one of 'paper', 'strict', got 'papre'"),
    ({"attacks.paper": None}, r"figure_threat.semantics must be strict where attacks.paper is null, got 'paper'"),
    ({"gradients.reference": "R_smoothgrat"}, r"gradients.reference must name a target set .*_perm100\), got 'R_smoothgrat'"),
    ({"permute.source": "R_smooth"}, r"permute.source must name a target set that saliency makes \(NR_simple, .*\), got 'R_smooth'"),
    ({"saliency.teachers": ["NR"]}, r"permute.source must name .*, got 'R_smoothgrad'"),
    ({"saliency.teachers": ["NR"]}, r"ir must name target sets that .*, got 'R_simple'"),
    ({"saliency.teachers": ["NR", "R", "S"]}, r"saliency.teachers must name entries of teachers \(NR, R\), got 'S'"),
    ({"saliency.teachers": ["NR", "R", "R"]}, r"saliency: teachers must be different, got \['NR', 'R', 'R'\]"),
    ({"saliency.methods.simple": GONE}, r"ir must name target sets .*, got 'NR_simple'"),
    ({"threshold.exceptions": {"NR_smooth": 1.25}}, r"threshold.exceptions must name target sets .*, got 'NR_smooth'"),
    ({"ir.R_vargrad": LAMBDAS, "rows.R_vargrad": ROW}, r"ir must name target sets .*, got 'R_vargrad'"),
    ({"permute.fractions.perm25": GONE}, r"ir must name target sets .*, got 'R_smoothgrad_perm25'"),
    ({"rows.JR.technique": "Standard"}, r"rows.NR and rows.JR must differ in technique or group, got 'Standard' and None"),
    ({"rows.X": ROW}, r"rows X are in none of the sections teachers, at, jr, ir"),
    ({"rows.JR": GONE}, r"JR are trained but not listed under rows"),
    ({"at.R": QUICK["at"]["AT25"]}, r"R are trained by more than one section"),
    ({"threats.permutation": []}, r"threats.permutation must be a non-empty list, got \[\]"),
    ({"threats.table": GONE}, r"threats must have the list table"),
    ({"threats.table.1.epsilon": 0.2}, r"threats.table must have every radius once, got linf 0.2 more than once"),
    ({"attacks": {}}, r"attacks lacks the key search"),
    ({"attacks.deepfool": {}}, r"attacks has unknown keys deepfool; known are search, paper, referee, probes"),
    ({"own_attacks.deepfool": {}}, r"own_attacks.deepfool: attack must be a file in lib/own_attacks, got 'deepfool'"),
    ({"saliency.methods.rough": {}}, r"saliency.methods.rough: saliency method must be a file in lib/saliency, got 'rough'"),
    ({"preset": "papre"}, r"preset must be one of paper, strict, got 'papre'"),
    # Numbers that must fit together, and what the data allow
    ({"evaluation.images": 1501}, r"evaluation.images must be at most data.test, 1500, got 1501"),
    ({"transfer.images": 1501}, r"transfer.images must be at most data.test, 1500, got 1501"),
    ({"gradients.images": 2001}, r"gradients.images must be at most data.train, 2000, got 2001"),
    ({"saliency.accuracy.images": 501}, r"saliency.accuracy.images must be at most data.validation, 500, got 501"),
    ({"training.batch_size": 2001}, r"training.batch_size must be at most data.train, 2000, got 2001"),
    ({"jr.JR.batch_divisor": 3}, r"jr.JR.batch_divisor must be a divisor of training.batch_size 50, got 3"),
    ({"jr.JR.batch_divisor": 50, "training.accumulate": 2}, r"jr.JR.batch_divisor leaves 1 images, too few for training.accumulate 2"),
    ({"ir.R_simple.reduction": "batch", "training.accumulate": 2}, r"ir.R_simple: its loss has no parts, .*, got 2"),
    ({"threshold.phi": 100.0}, r"threshold.phi must be below 27.964, above which a map of 784 values is all zero, got 100.0"),
    ({"threshold.exceptions": {"R_simple": 28}}, r"threshold.exceptions.R_simple must be below 27.964, .*, got 28"),
    ({"model.depth": 12}, r"model: depth must be null for the architecture cnn"),
    ({"model.architecture": "wide_resnet", "model.depth": 15}, r"model: depth must be 6n \+ 4 .*, got 15"),
    # Sections and keys
    ({"trainig": {}}, r"params.yaml has unknown sections trainig; known are preset, seeds, data, .*"),
    ({"training.lr": 1}, r"training has unknown keys lr; known are epochs, .*"),
    ({"training.epochs": GONE}, r"training lacks the key epochs"),
    ({"training": GONE}, r"params.yaml has no key 'training', it has preset, .*"),
    ({"at": 5}, r"at must be a section with keys, got 5"),
    ({"at": None}, r"at must be a section with keys, got None"),
    ({"rows": None}, r"rows must be a section with keys, got None"),
    ({"rows": ["NR"]}, r"rows must be a section with keys, got \['NR'\]"),
    ({"rows.NR": None}, r"rows.NR must be a section with keys, got None"),
    ({"seeds": 5}, r"seeds must be a list of different non-negative integers, got 5"),
    ({"seeds": [0, -1]}, r"seeds must be a list of different non-negative integers, got \[0, -1\]"),
    ({"seeds": [10**50]}, r"seeds must be a list of different non-negative integers, got \[10*\]"),
    ({"saliency.teachers": "R"}, r"saliency.teachers must be a list, got 'R'"),
    ({"report.gallery": 0}, r"report: gallery must be a positive integer, got 0"),
    # Numbers that are none
    ({"training.learning_rate": "8/255"}, r"training.learning_rate must be a number, got '8/255'; write 0.0313725"),
    ({"training.learning_rate": "1e-3"}, r"training.learning_rate must be a number, got '1e-3'; write 0.001, without quotes"),
    ({"threats.table.0.step_size": "1/0"}, r"threats.table.0.step_size must be a number or null, got '1/0'"),
    ({"at.AT25.epochs": 1.5}, r"at.AT25.epochs must be an integer or null, got 1.5"),
    ({"at.AT25.epochs": 0}, r"at.AT25: epochs must be positive or null, got 0"),
    ({"threats.table.0.step_size": None}, r"threats.table.0 lacks the key step_size, that of the paper's attack"),
    ({"training.epochs": True}, r"training.epochs must be an integer, got True"),
    ({"training.epochs": 10**50}, r"training.epochs must be an integer, got 10*, which has more than 64 bits"),
    ({"ir.JR": 1}, r"ir.JR must be a section with keys, got 1"),
    ({"attacks.referee.attacks": ["cw"]}, r"referee.attacks.0 must be one of 'apgd-ce', 'apgd-t', 'fab-t', 'square', got 'cw'"),
    ({"attacks.paper.seed": -1}, r"attacks.paper.seed must not be negative, got -1"),
    ({"attacks.search.seed": -1}, r"attacks.search.seed must not be negative, got -1"),
    ({"attacks.referee.radii": {"l3": 0.1}}, r"referee.radii must have as keys one of 'l2', 'linf', got 'l3'"),
    ({"saliency.seed": -1}, r"saliency.seed must not be negative, got -1"),
    ({"transfer.seed": -1}, r"transfer.seed must not be negative, got -1"),
    ({"permute.seed": -1}, r"permute.seed must not be negative, got -1"),
    ({"permute.fractions.perm25": 1.5}, r"permute: fractions.perm25 must lie in \[0, 1\], got 1.5"),
]  # fmt: skip


@pytest.mark.parametrize("changes, sentence", EDITS, ids=[f"{'+'.join(changes)}-{index}" for index, (changes, _) in enumerate(EDITS)])
def test_an_edit_is_refused_with_its_key(changes: dict[str, Any], sentence: str) -> None:
    found = problems(edited(changes))
    assert any(re.search(sentence, line) for line in found), found
    assert all(line.startswith("params.yaml") for line in found)


TEXTS = [
    ("width: 0.25", "width: .inf", "model.width must be a number, got inf"),
    ("phi: 1.0", "phi: .inf", "threshold.phi must be a number, got inf"),
    ("sigma: 0.15", "sigma: .nan", "saliency.methods.smoothgrad.sigma must be a number, got nan"),
    ("epochs: 8", "epochs: 2024-13-45", "training.epochs must be an integer, got '2024-13-45'"),
    ("epochs: 8", f"epochs: {'9' * 5000}", "is not valid YAML"),
    ("epochs: 8", "epochs: [8", "is not valid YAML"),
    ("epochs: 8", "epochs: 8\n  epochs: 9", "is not valid YAML"),
]


@pytest.mark.parametrize("old, new, sentence", TEXTS)
def test_a_text_that_is_no_parameter_is_refused_in_one_sentence(old: str, new: str, sentence: str) -> None:
    text = (ROOT / "scales/quick.yaml").read_text(encoding="utf-8")
    (line,) = said(text.replace(old, new, 1))
    assert "params.yaml" in line and sentence in line


@pytest.mark.parametrize("text, got", [("", "None"), ("[1, 2]", "[1, 2]"), ("word", "'word'")])
def test_a_file_without_sections_is_refused(text: str, got: str) -> None:
    assert said(text) == [f"params.yaml must be a file of sections with keys, got {got}"]


@pytest.mark.parametrize("encoding, byte", [("latin-1", "0xe9"), ("utf-16", "0xff")])
def test_a_file_that_is_not_utf_8_is_refused_in_one_sentence(encoding: str, byte: str) -> None:
    (line,) = said(f"# é\n{json.dumps(QUICK)}", encoding)
    assert line.endswith(f"params.yaml must be text in UTF-8, line 1 has the byte {byte}")


def test_everything_wrong_is_said_at_once() -> None:
    changes = {
        "preset": "papre", "training.epochs": -1, "training.momentum": 2.0, "training.augment": "yes", "rows.R.threats": "tabel",
        "transfer.sources": ["Q"], "evaluation.images": 5000, "jr.JR.form": "square", "ir.R_simple.lambda_d": -1,
    }  # fmt: skip
    found = problems(edited(changes))
    keys = ("preset", "epochs", "momentum", "augment", "rows.R.threats", "transfer.sources", "evaluation.images", "form", "lambda_d")
    assert len(found) == len(changes), found
    assert all(any(key in line for line in found) for key in keys)


@pytest.mark.parametrize("preset", presets.NAMES)
@pytest.mark.parametrize("file", SCALES, ids=lambda file: file.stem)
def test_every_scale_passes_under_every_preset(file: Path, preset: str) -> None:
    assert problems(presets.applied(YAML(typ="safe").load(file.read_text(encoding="utf-8")), preset)) == []


def test_sections_of_single_commands_may_stand_there_and_are_checked() -> None:
    extra = {"sources": {"other_class": {}}, "nulls": {"blur": {"sigma": 1.5}}}
    assert problems(edited(extra)) == []
    (line,) = problems(edited({**extra, "nulls": {"blur": {"sigma": "wide"}}}))
    assert "nulls.blur.sigma must be a number, got 'wide'" in line


WITH_ARITHMETIC = "import torch\nfrom lib.saliency.simple import Settings, maps\nTHIRDS = torch.ones(3) / 3\n"


@pytest.mark.parametrize("source, loads", [("from lib.saliency.simple import Settings, maps\n", False), (WITH_ARITHMETIC, True)])
def test_torch_is_loaded_only_where_a_file_of_ones_own_needs_it(source: str, loads: bool, folder: Path) -> None:
    copy(folder)
    (folder / "lib/saliency/mine.py").write_text(source)
    Path("params.yaml").write_text(json.dumps(edited({"saliency.methods.mine": {"of": "pixels"}})), encoding="utf-8")
    start = "import runpy, sys\ntry: runpy.run_module('stages.check_params', run_name='__main__')\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{start}finally: print('torch' in sys.modules)"], cwd=folder, env=os.environ, capture_output=True, text=True
    )
    assert done.stdout.split() == [str(loads)] and done.returncode == 1
    assert "params.yaml: saliency.methods.mine.of must be one of 'logits', 'outputs', got 'pixels'" in done.stderr


STUDY = {"seeds": [0, 1], "images": 10, "threat": {"norm": "l2", "epsilon": 1.5, "step_size": 0.5}, "attack": {}, "gradients": 10}
VARIANT = {"group": "a", "label": "b", "stage": "train_ir", "row": "R_simple"}


@pytest.mark.parametrize(
    "entry, sentence",
    [
        ({"change": {"training.epoch": 3}}, "training has unknown keys epoch"),
        ({"student": {"model.activation": "tanh"}}, "model.activation must be one of 'relu'"),
        ({"change": {"nulls.noise": {}}}, "nulls.noise: null must be a file in lib/targets/controls, got 'noise'"),
        ({"row": "R_simpel"}, "ir has no key 'R_simpel'"),
        ({"scale": ["ir.R_simple.lambda"]}, "ir.R_simple has no key 'lambda'"),
    ],
)
def test_a_variant_of_a_study_that_changes_nothing_there_is_is_refused(entry: dict, sentence: str) -> None:
    Path("params.yaml").write_text(json.dumps(QUICK), encoding="utf-8")
    Path("study.yaml").write_text(json.dumps({"study": STUDY, "variants": {"good": VARIANT, "bad": VARIANT | entry}}), encoding="utf-8")
    params.parsed.cache_clear()
    (line,) = check.of_study(Path("study.yaml"))
    assert line.startswith("study.yaml: variants.bad: params.yaml: ") and sentence in line


@pytest.mark.parametrize("name", ["audit", "beyond", "matched"])
def test_every_study_passes(name: str) -> None:
    Path("params.yaml").write_text(json.dumps(QUICK), encoding="utf-8")
    params.parsed.cache_clear()
    assert check.of_study(ROOT / f"studies/{name}/params.yaml") == []


def test_a_parallel_run_begins_with_the_check(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> None:
    copy(folder)
    (folder / ".dvc").mkdir()
    Path("params.yaml").write_text(json.dumps(edited({"seeds": 5})), encoding="utf-8")
    monkeypatch.setattr(parallel.parallel, "run", lambda *arguments: pytest.fail("it went on"))
    assert CliRunner().invoke(parallel.main, []).exit_code == 1
    assert "params.yaml: seeds must be a list of different non-negative integers, got 5" in capfd.readouterr().err


def test_more_is_refused_than_the_dataset_has(monkeypatch: pytest.MonkeyPatch) -> None:
    few = SimpleNamespace(classes=2, pools={("train", "validation"): 2400, ("test",): 1500})
    monkeypatch.setattr(datasets, "available", lambda data: few, raising=False)
    pools, classes = problems(QUICK)
    assert "data.train + data.validation must be at most the 2400 images that mnist5k has there, got 2500" in pools
    assert "attacks.referee.attacks: apgd-t need at least 4 classes, mnist5k has 2" in classes
    monkeypatch.setattr(datasets, "available", lambda data: None)
    assert problems(QUICK) == []


def test_a_rule_that_fails_by_itself_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise KeyError("defect")

    Path("params.yaml").write_text(json.dumps(QUICK), encoding="utf-8")
    params.parsed.cache_clear()
    monkeypatch.setattr(check.references, "RULES", [broken])
    with pytest.raises(KeyError, match="defect"):
        check.of_parameters()
