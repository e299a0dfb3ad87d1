"""The presets: every scale follows `strict`, a preset is written and read back without loss, and departures are named."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from pages import anchors
from project import ROOT, SHIPPED
from ruamel.yaml import YAML

from lib.base.errors import InputError
from lib.studies import presets
from tools import preset

SCALES = sorted((ROOT / "scales").glob("*.yaml"))
every_scale = pytest.mark.parametrize("file", SCALES, ids=lambda file: file.stem)


@pytest.fixture(autouse=True)
def folder(shipped: Path) -> Path:
    return shipped


def loaded(file: Path) -> dict:
    return YAML(typ="safe").load(file.read_text())


def node(document: dict, key: str) -> object:
    for name in key.split("."):
        document = document[name]
    return document


@every_scale
def test_every_scale_follows_the_strict_preset(file: Path) -> None:
    document = loaded(file)
    assert document["preset"] == "strict" and presets.departures(document) == []
    assert presets.applied(document, "strict") == document


@every_scale
def test_every_scale_holds_every_key_that_the_table_speaks_of(file: Path) -> None:
    document = loaded(file)
    for place, name, _ in presets._places(document):
        assert name in presets._node(document, place), (place, name)


def test_every_switch_of_the_table_meets_a_key_of_some_scale_and_has_a_page() -> None:
    documents = [loaded(file) for file in SCALES]
    met = {(place[0], name) for document in documents for place, name, _ in presets._places(document)}
    for key, switch in presets.switches().items():
        assert (key.split(".")[0], key.split(".")[-1]) in met, key
        page, _, section = switch.page.partition("#")
        assert not section or section in anchors(ROOT / "docs/decisions" / page), switch.page
        assert switch.why.endswith(".")


def test_the_paper_preset_of_mnist_is_what_its_authors_ran() -> None:
    document = presets.applied(loaded(ROOT / "scales/mnist.yaml"), "paper")
    expected = {
        "preset": "paper", "model.outputs": "logits", "model.conv_bias": None, "training.nesterov": True, "training.weight_decay": 1e-5,
        "training.selection": "leaking_test", "teachers.R.mode": "train", "at.AT25.semantics": "paper", "jr.JR.batch_divisor": 1,
        "ir.R_smoothgrad": {"lambda_d": 3.0, "lambda_m": 0.15, "reduction": "batch", "mode": "train"},
        "saliency.methods.smoothgrad.clamp": True, "saliency.methods.smoothgrad.include_clean": True, "threshold.when": "before",
        "threshold.exceptions": {"NR_simple": None, "NR_smoothgrad": 1.25}, "permute.rule": "fraction",
        "attacks.paper.batch_size": 50, "attacks.paper.floor": 1e-6, "attacks.paper.mean_loss": True, "attacks.paper.box_last": False,
    }  # fmt: skip
    assert {key: node(document, key) for key in expected} == expected


def test_the_paper_preset_of_cifar_10_is_what_its_authors_ran() -> None:
    document = presets.applied(loaded(ROOT / "scales/cifar10.yaml"), "paper")
    expected = {
        "model.outputs": "probabilities", "model.conv_bias": True, "model.initialisation": "pytorch", "model.final_momentum": 0.9,
        "training.nesterov": True, "training.weight_decay": 5e-4, "jr.JR320.batch_divisor": 8, "ir.R320_simple.lambda_m": 0.02,
        "ir.R80_simple.lambda_m": 0.005, "saliency.methods.simple.of": "outputs", "saliency.methods.smoothgrad.of": "logits",
        "threshold.when": "after", "threshold.exceptions": {}, "attacks.paper.batch_size": 128,
    }  # fmt: skip
    assert {key: node(document, key) for key in expected} == expected


@every_scale
def test_paper_and_back_gives_the_same_bytes(file: Path) -> None:
    text = file.read_text()
    assert preset.rendered(text, "strict") == text
    paper = preset.rendered(text, "paper")
    assert paper != text and preset.rendered(paper, "paper") == paper
    assert preset.rendered(paper, "strict") == text
    assert [line.partition("#")[2] for line in paper.splitlines()] == [line.partition("#")[2] for line in text.splitlines()]


@pytest.mark.parametrize("weight, size", [(0.15, 50), (0.005, 128), (0.123, 7), (3.0, 64), (0.0, 50)])
def test_the_weight_of_a_norm_keeps_its_meaning_when_its_reduction_changes(weight: float, size: int) -> None:
    """For equal norms that of a batch of n is sqrt(n) times that of an image."""
    document = loaded(SHIPPED)
    document["training"]["batch_size"] = size
    document["ir"] = {"R_simple": {"lambda_d": 1.0, "lambda_m": weight, "reduction": "batch", "mode": "train"}}
    strict = presets.applied(document, "strict")
    assert strict["ir"]["R_simple"]["lambda_m"] == pytest.approx(weight * size**0.5, rel=1e-4)
    assert presets.applied(strict, "paper")["ir"]["R_simple"]["lambda_m"] == weight


def test_a_weight_that_no_factor_converts_is_left_to_the_person() -> None:
    document = loaded(SHIPPED)
    document["ir"]["R_simple"]["reduction"] = "square"
    with pytest.raises(InputError, match="ir.R_simple.reduction is 'square', with which lambda_m cannot be converted to 'sample'"):
        presets.applied(document, "strict")


def test_applying_a_preset_leaves_its_argument_and_every_other_key_alone() -> None:
    document, before = loaded(SHIPPED), loaded(SHIPPED)
    changed = presets.applied(document, "paper")
    assert document == before
    speaks = {(*place, name) for place, name, _ in presets._places(document)} | {("preset",)}
    for key, value in preset._leaves(before):
        if key not in speaks and key[-1] != "lambda_m":
            assert node(changed, ".".join(key)) == value, key


def test_departures_name_key_value_expectation_and_page() -> None:
    document = loaded(SHIPPED)
    document["saliency"]["methods"]["smoothgrad"]["clamp"] = True
    del document["ir"]["R_simple"]["reduction"]
    document["training"]["epochs"] = 1
    assert [(one.key, one.value, one.expected, one.page) for one in presets.departures(document)] == [
        ("ir.R_simple.reduction", presets.MISSING, "sample", "README.md#norm-penalty"),
        ("saliency.methods.smoothgrad.clamp", True, False, "README.md#smoothgrad"),
    ]
    assert str(presets.departures(document)[1]) == (
        "saliency.methods.smoothgrad.clamp is true, the preset has false (docs/decisions/README.md#smoothgrad)"
    )


def test_true_is_not_one_and_an_integer_is_its_number() -> None:
    document = loaded(SHIPPED)
    document["jr"]["JR"].update(class_factor=1, projections=1.0)
    assert [one.key for one in presets.departures(document)] == ["jr.JR.class_factor"]


@pytest.mark.parametrize("name", ["code", None, 1])
def test_an_unknown_preset_is_refused(name: object) -> None:
    document = {**loaded(SHIPPED), "preset": name}
    with pytest.raises(InputError, match="preset must be one of paper, strict, got"):
        presets.departures(document)


def test_the_command_writes_a_preset_and_prints_what_changed(folder: Path) -> None:
    result = CliRunner().invoke(preset.main, ["paper"])
    assert result.exit_code == 0
    lines = [line.split() for line in result.output.splitlines()]
    assert ["preset", "strict", "->", "paper"] in lines
    assert ["ir.R_simple.lambda_m", "1.0607", "->", "0.15"] in lines and ["training.nesterov", "false", "->", "true"] in lines
    assert loaded(folder / "params.yaml") == presets.applied(loaded(SHIPPED), "paper")
    assert "already follows the preset paper" in CliRunner().invoke(preset.main, ["paper"]).output


def test_the_check_changes_nothing_and_fails_where_something_departs(folder: Path) -> None:
    assert CliRunner().invoke(preset.main, ["--check"]).exit_code == 0
    text = (folder / "params.yaml").read_text().replace("nesterov: false", "nesterov: true")
    (folder / "params.yaml").write_text(text)
    result = CliRunner().invoke(preset.main, ["--check"])
    assert result.exit_code == 1 and (folder / "params.yaml").read_text() == text
    assert "training.nesterov is true, the preset has false (docs/decisions/README.md#optimiser)" in result.output
    assert "Error: params.yaml departs from the preset strict in 1 of its keys" in result.output
    other = CliRunner().invoke(preset.main, ["paper", "--check"]).output
    assert "ir.R_simple.reduction is sample, the preset has batch" in other and "training.nesterov" not in other


def test_a_command_without_a_preset_says_which_there_are() -> None:
    result = CliRunner().invoke(preset.main, [])
    assert result.exit_code == 1 and "name a preset, paper or strict, or ask for --check" in result.output
