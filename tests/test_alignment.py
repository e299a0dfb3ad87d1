"""Sizes and directions of input gradients, from linear models whose Jacobian is known and from torch.func.

In float64, where no order of sums, which is the processor's choice, comes near the tolerance.
"""

import numpy as np
import pytest
import torch
from classifiers import grey, random_linear, smooth

from lib.base.errors import InputError
from lib.gradients import alignment
from lib.gradients.alignment import Plan
from lib.network.batches import Batch

SHAPE = (1, 4, 4)
LABELS = torch.tensor([2, 0, 1, 2, 1])


def data() -> Batch:
    return Batch(grey(5, SHAPE).double(), LABELS)


def maps(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((5, *SHAPE)).astype(np.float32)


def plan(**changes) -> Plan:
    return Plan(**{"images": None, "examples": 3, "batch_size": 2, "reference": "R_smoothgrad", **changes})


def cosine(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    one, other = (values.reshape(5, -1).astype(np.float64) for values in (one, other))
    return (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


def test_norms_and_cosines_of_a_linear_model_are_those_of_its_weights():
    model, reference, targets = random_linear(3, SHAPE).double(), maps(0), maps(1)
    found = alignment.gradients(model, data(), reference, targets, plan())
    weight = model.weight.detach().numpy()
    lengths = np.linalg.norm(weight.reshape(3, -1), axis=1)
    np.testing.assert_allclose(found.label_norm, lengths[LABELS])
    np.testing.assert_allclose(found.other_norm, (lengths.sum() - lengths[LABELS]) / 2)
    np.testing.assert_allclose(found.cosine_reference, cosine(weight[LABELS], reference))
    np.testing.assert_allclose(found.cosine_target, cosine(weight[LABELS], targets))
    np.testing.assert_allclose(found.maps, weight[LABELS][:3])


def test_a_network_is_measured_in_eval_mode_image_by_image():
    model = smooth(3, SHAPE, dropout=0.5).double().train()
    found = alignment.gradients(model, data(), maps(0), None, plan())
    assert model.training and all(weight.requires_grad for weight in model.parameters())
    model.eval()
    rows = torch.stack([torch.func.jacrev(lambda one: model(one[None])[0])(image) for image in data().images]).detach()
    lengths = rows.flatten(2).norm(dim=2)
    label = lengths[torch.arange(5), LABELS]
    np.testing.assert_allclose(found.label_norm, label)
    np.testing.assert_allclose(found.other_norm, (lengths.sum(1) - label) / 2)
    np.testing.assert_allclose(found.maps, rows[torch.arange(5), LABELS][:3])


def test_the_cosine_is_signed_and_ignores_the_length_of_the_map():
    model = random_linear(3, SHAPE).double()
    weight = model.weight.detach().numpy()[LABELS]
    found = alignment.gradients(model, data(), 0.01 * weight, -5 * weight, plan())
    np.testing.assert_allclose(found.cosine_reference, 1)
    np.testing.assert_allclose(found.cosine_target, -1)


def test_without_targets_there_is_no_cosine_with_them():
    assert alignment.gradients(smooth(3, SHAPE).double(), data(), maps(0), None, plan()).cosine_target is None


def test_an_empty_map_gives_cosine_zero_and_not_nan():
    assert not alignment.gradients(
        smooth(3, SHAPE).double(), data(), np.zeros((5, *SHAPE), np.float32), None, plan()
    ).cosine_reference.any()


@pytest.mark.parametrize("size", [1, 3, 5, 100])
def test_the_batch_size_changes_nothing(size):
    model = smooth(3, SHAPE).double()
    base = alignment.gradients(model, data(), maps(0), maps(1), plan())
    other = alignment.gradients(model, data(), maps(0), maps(1), plan(batch_size=size))
    for name, values in vars(base).items():
        np.testing.assert_allclose(getattr(other, name), values)


def test_norms_leave_the_label_out_of_the_others():
    rows = torch.zeros(2, 3, 1, 1, 2)
    rows[0, :, 0, 0, 0] = torch.tensor([1.0, 2.0, 6.0])
    rows[1, :, 0, 0] = torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, 1.0]])
    label, other = alignment.norms(rows, torch.tensor([2, 0]))
    assert label.tolist() == [6.0, 5.0] and other.tolist() == [1.5, 0.5]


@pytest.mark.parametrize("changes", [{"images": 0}, {"examples": -1}, {"batch_size": 0}])
def test_unusable_plans_are_refused(changes):
    with pytest.raises(InputError, match=next(iter(changes))):
        plan(**changes)
