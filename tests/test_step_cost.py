"""The tool's yardsticks: known numbers of operations, the same step in both loops, a table that says what it holds."""

import shutil
from dataclasses import replace
from functools import partial

import pytest
import torch
from click.testing import CliRunner
from project import ROOT
from torch import Tensor, nn

from benchmarks import step_cost
from benchmarks.step_cost import Case
from lib.base import params
from lib.network.architecture import Model
from lib.network.batches import Batch
from lib.network.thin_convolution import ThinConvolution
from lib.objectives import adversarial
from lib.training.loop import Plan

BATCH = 4
PLAN = Plan(1, BATCH, 0.1, 0.9, False, 0.0, False, "last")
STANDARD = adversarial.Settings(None, "l2", 0.5, 3, "eval", "strict")


@pytest.fixture(autouse=True)
def _on_the_cpu(shipped, monkeypatch) -> None:
    monkeypatch.setenv("DEVICE", "cpu")


CNN = Model("cnn", 0.25, None, 0.0)
RESIDUAL = Model("wide_resnet", 0.5, 10, 0.0, conv_bias=False, initialisation="he", final_momentum=0.1)


def case(objective, model: Model = CNN, shape: tuple[int, int, int] = (1, 28, 28)) -> Case:
    return Case(objective, PLAN, model, step_cost.random_data(8, shape, torch.device("cpu")))


def layers() -> list[int]:
    """Operations of one forward pass of the CNN's layers at width 1/4 (8 and 16 channels, 256 units), two per weight and place."""
    return [2 * BATCH * n for n in (28 * 28 * 8 * 25, 14 * 14 * 16 * 8 * 25, 784 * 256, 256 * 10)]


def test_a_standard_step_is_a_forward_pass_and_two_backward_of_which_the_first_layer_needs_one():
    expected = 3 * sum(layers()) - layers()[0]
    assert step_cost.operations(case(partial(adversarial.loss, settings=STANDARD))) == expected


def test_an_adversarial_step_adds_a_forward_pass_and_one_backward_for_each_step_of_the_attack():
    attack = replace(STANDARD, epsilon=1.0)
    expected = 3 * sum(layers()) - layers()[0] + 3 * 2 * sum(layers())
    assert step_cost.operations(case(partial(adversarial.loss, settings=attack))) == expected


def test_ours_and_the_eager_loop_take_as_many_steps_of_the_same_size():
    sizes: list[tuple[int, ...]] = []

    def objective(model: nn.Module, batch: Batch, noise: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        sizes.append(tuple(batch.images.shape))
        return adversarial.loss(model, batch, noise, STANDARD)

    one = case(objective)
    for run in (step_cost.ours(one), step_cost.eager(one, torch.contiguous_format), step_cost.eager(one, torch.channels_last)):
        run(5)
        assert sizes == [(BATCH, 1, 28, 28)] * 5
        sizes.clear()


def test_the_eager_loop_has_ordinary_layers_only():
    network = step_cost.ordinary(nn.Sequential(ThinConvolution(1, 2, 3, 1), nn.ReLU()))
    assert [type(layer) for layer in network] == [nn.Conv2d, nn.ReLU]
    assert network(torch.rand(2, 1, 5, 5, requires_grad=True)).shape == (2, 2, 5, 5)


@pytest.mark.parametrize("scale", sorted((ROOT / "scales").glob("*.yaml")), ids=lambda file: file.stem)
def test_the_objectives_are_those_of_the_parameters(scale, tmp_path):
    """Of every scale: where section `at` is empty, the adversarially trained rows are teachers."""
    (tmp_path / "params.yaml").unlink()
    shutil.copy(scale, tmp_path / "params.yaml")
    found = step_cost.objectives()
    assert list(found) == ["standard", "AT", "JR", "IR"]
    assert found["standard"].keywords["settings"].epsilon is None and found["AT"].keywords["settings"].epsilon > 0


def test_steps_of_every_objective_are_measured_on_colour():
    for objective in step_cost.objectives().values():
        one = case(objective, RESIDUAL, (3, 8, 12))
        step_cost.ours(one)(1)
        step_cost.eager(one, torch.channels_last)(1)
        assert step_cost.operations(one) > 0


def test_an_objective_without_a_row_is_left_out_and_refused_where_it_is_asked_for():
    with params.changed({"jr": {}, "ir": {}}):
        assert list(step_cost.objectives()) == ["standard", "AT"]
        result = CliRunner().invoke(step_cost.main, ["--only", "JR"])
    assert result.exit_code == 1 and result.output == "Error: params.yaml has rows of standard, AT, got --only JR\n"


def test_the_table_has_a_line_for_each_objective_asked_for():
    result = CliRunner().invoke(step_cost.main, ["--only", "standard", "--only", "JR", "--batch", "4", "--steps", "1", "--rounds", "1"])
    assert result.exit_code == 0, result.output
    lines = [line.split("|") for line in result.output.splitlines() if line.startswith("| ")]
    assert [line[1].strip() for line in lines] == ["objective", "standard", "JR"] and len({len(line) for line in lines}) == 1
    assert all(float(cell) > 0 for line in lines[1:] for cell in line[2:9])
