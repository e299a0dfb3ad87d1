"""PGD in both semantics, against closed forms, foolbox, and a second transcription of the paper's algorithm."""

import os
import warnings

import numpy as np
import pytest
import torch
from classifiers import Band, Flat, Linear, Scaled, grey, half_space, random_linear, seen, smooth
from torch import Tensor, nn

from lib import draws
from lib.attacks import pgd
from lib.base.errors import InputError
from lib.network.batches import Batch
from lib.network.model_state import evaluating
from lib.threats import Threat

NORMS = ["l2", "linf"]
DUAL = {"l2": 2, "linf": 1}
SHAPE = (1, 8, 8)
both_norms = pytest.mark.parametrize("norm", NORMS)
both_semantics = pytest.mark.parametrize("semantics", ["paper", "strict"])


def settings(semantics: str = "strict", **changes) -> pgd.Settings:
    usual = {
        "seed": 0,
        "steps": 20,
        "restarts": 1,
        "paper_batch_size": 50,
        "strict_losses": ["margin", "cross_entropy"],
        "strict_step": 5.0,
    }
    return pgd.Settings(semantics=[semantics], **{**usual, **changes})


def attack(model: nn.Module, images: Tensor, labels: Tensor, threats: list[Threat], rows=None, **changes):
    """Records of one batch, with the model prepared as lib/evaluation.py prepares it."""
    rows = np.arange(len(images)) if rows is None else rows
    with evaluating(model):
        return pgd.records(model, Batch(images, labels), rows, threats, settings(**changes))


def decided(model: nn.Module, count: int, **where) -> tuple[Tensor, Tensor]:
    """Random grey images and the classes that the model gives them."""
    images = grey(count, SHAPE, **where)
    with torch.no_grad():
        return images, model(images).argmax(1)


def rough() -> nn.Module:
    """A network whose gradient turns within the ball, so that the random start matters."""
    model = smooth(4, SHAPE, seed=5)
    model[1].weight.data *= 12
    return model


def from_the_image_itself(monkeypatch) -> None:
    monkeypatch.setattr(pgd, "_start", lambda images, *rest: images)


# Closed forms


@both_norms
@both_semantics
def test_a_half_space_is_crossed_exactly_where_the_radius_exceeds_the_distance(norm, semantics):
    """Distance to the boundary: margin / dual norm of the weights. PGD must find it from 5% beyond and can never from nearer."""
    direction = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3))
    model = half_space(direction, float(direction.sum() / 2))
    images, labels = decided(model, 40)
    dual = direction.flatten().norm(p=DUAL[norm])
    distance = (pgd.margin(model(images), labels).abs() / dual).detach()
    order = distance.argsort()
    images, labels, distance = images[order], labels[order], distance[order].numpy()
    for epsilon in np.quantile(distance, [0.25, 0.5, 0.75]):
        threat = Threat(norm, float(epsilon), float(epsilon) / 4)
        (record,) = attack(model, images, labels, [threat], semantics=semantics, steps=60)
        assert not record.correct[0][distance < epsilon / 1.05].any()
        assert record.correct[0][distance > epsilon * 1.001].all()
        assert 0.2 < record.accuracy < 0.8


@pytest.mark.parametrize("norm, epsilon", [("l2", 0.05), ("linf", 0.008)])
@both_semantics
def test_with_many_classes_the_nearest_of_the_half_spaces_decides(norm, epsilon, semantics):
    model = random_linear(5, SHAPE)
    images, labels = decided(model, 40)
    logits, weight = model(images).detach(), model.weight.detach().flatten(1)
    dual = (weight[:, None] - weight[None]).norm(p=DUAL[norm], dim=2)[labels]
    distances = (logits.gather(1, labels[:, None]) - logits) / dual
    nearest = distances.scatter(1, labels[:, None], torch.inf).amin(1).numpy()
    (record,) = attack(model, images, labels, [Threat(norm, epsilon, epsilon / 8)], semantics=semantics, steps=60, restarts=4)
    assert record.correct.all(0)[nearest > epsilon * 1.001].all()
    assert not record.correct.all(0)[nearest < epsilon / 1.3].any()
    assert 3 < (nearest < epsilon / 1.3).sum() < 30


def test_one_step_of_the_whole_radius_is_the_fast_gradient_method(monkeypatch):
    from_the_image_itself(monkeypatch)
    model = smooth(3, SHAPE).double()
    images = grey(6, SHAPE).double()
    labels = model(images).argmax(1)
    inputs = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(model(inputs), labels, reduction="sum"), inputs)
    unit = {"linf": gradient.sign(), "l2": gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)}
    for norm in NORMS:
        with seen(model) as batches:
            attack(model, images, labels, [Threat(norm, 0.1, 0.1)], semantics="paper", steps=1)
        torch.testing.assert_close(batches[-1], images + 0.1 * unit[norm])


# Parity with others


def foolbox_adversarials(model: nn.Module, images: Tensor, labels: Tensor, threat: Threat, step: float, steps: int) -> Tensor:
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import foolbox

    kind = {"l2": foolbox.attacks.L2PGD, "linf": foolbox.attacks.LinfPGD}[threat.norm]
    oracle = kind(abs_stepsize=step, steps=steps, random_start=False)
    wrapped = foolbox.PyTorchModel(model.eval(), bounds=(0, 1), device="cpu")
    return oracle(wrapped, images, labels, epsilons=threat.epsilon)[1]


@both_norms
def test_strict_iterates_are_foolbox_iterates_when_started_alike(norm, monkeypatch):
    from_the_image_itself(monkeypatch)
    monkeypatch.setattr(pgd, "decayed", lambda first, step, steps: first)  # foolbox has steps of one length only
    model, steps = smooth(4, (2, 6, 6)), 15
    images = grey(8, (2, 6, 6), low=-0.3, high=1.3).clamp(0, 1)
    labels = model(images).argmax(1)
    threat = Threat(norm, {"l2": 0.3, "linf": 0.02}[norm], 1.0)
    expected = foolbox_adversarials(model, images, labels, threat, 2.5 * threat.epsilon / steps, steps)
    with seen(model) as batches:
        (record,) = attack(model, images, labels, [threat], steps=steps, strict_losses=["cross_entropy"], strict_step=2.5)
    standing = torch.from_numpy(record.correct[0])
    assert standing.sum() >= 4 and (expected == 0).any()  # some saturated pixels, so that the box matters
    torch.testing.assert_close(batches[-1], expected[standing], rtol=0, atol=1e-5)


@both_norms
def test_away_from_the_box_and_the_floor_the_papers_iterates_are_foolbox_iterates(norm, monkeypatch):
    from_the_image_itself(monkeypatch)
    model, images = smooth(4, (2, 6, 6)), grey(8, (2, 6, 6))
    labels = model(images).argmax(1)
    threat = Threat(norm, {"l2": 0.2, "linf": 0.05}[norm], 0.01)
    expected = foolbox_adversarials(model, images, labels, threat, threat.step_size, 15)
    with seen(model) as batches:
        attack(model, images, labels, [threat], semantics="paper", steps=15)
    torch.testing.assert_close(batches[-1], expected, rtol=0, atol=1e-5)


def transcription(model: nn.Module, images: Tensor, labels: Tensor, start: Tensor, threat: Threat, steps: int) -> Tensor:
    """advertorch's L2 PGD under F.cross_entropy's mean over 50 images, in the words of the issue that reports its floor."""
    delta = start - images
    for _ in range(steps):
        point = (images + delta).requires_grad_()
        loss = nn.functional.cross_entropy(model(point), labels, reduction="sum") / 50
        (gradient,) = torch.autograd.grad(loss, point)
        norms = gradient.flatten(1).norm(dim=1).clamp(min=1e-6)
        delta = delta + threat.step_size * gradient / norms.view(-1, 1, 1, 1)
        delta = (images + delta).clamp(0, 1) - images
        norms = delta.flatten(1).norm(dim=1).clamp(min=threat.epsilon)
        delta = (delta * threat.epsilon / norms.view(-1, 1, 1, 1)).detach()
    return images + delta


@pytest.mark.parametrize("confidence", [1.0, 60.0])
def test_the_papers_iterates_follow_its_algorithm_at_the_box_and_below_the_floor(confidence):
    model = Scaled(random_linear(3, SHAPE), confidence).double()
    images = grey(12, SHAPE, low=-0.5, high=1.5).clamp(0, 1).double()
    labels = model(images).argmax(1)
    threat = Threat("l2", 0.8, 0.2)
    with seen(model) as batches:
        attack(model, images, labels, [threat], semantics="paper", steps=10)
    norms = batches[0].sub(images).flatten(1).norm(dim=1)
    torch.testing.assert_close(norms, torch.full_like(norms, 0.8), rtol=1e-5, atol=0)
    expected = transcription(model, images, labels, batches[0], threat, 10)
    torch.testing.assert_close(batches[-1], expected, rtol=0, atol=1e-6)


# What distinguishes the two semantics


def confident(factor: float) -> tuple[nn.Module, Tensor, Tensor]:
    """A half-space that every image can leave by an L2 step of 0.3 to 0.6, with logits of about 110 times `factor`."""
    direction = torch.ones(SHAPE)
    images = grey(20, SHAPE, low=0.545, high=0.57)
    return Scaled(half_space(direction, 32.0), 30 * factor), images, torch.ones(20, dtype=torch.int64)


def test_the_papers_attack_stalls_on_a_confident_model_and_strict_does_not():
    model, images, labels = confident(1.0)
    threat = Threat("l2", 0.8, 0.8 / 3)
    (paper,) = attack(model, images, labels, [threat], semantics="paper", restarts=2)
    (strict,) = attack(model, images, labels, [threat], semantics="strict")
    assert paper.accuracy == 1.0 and strict.accuracy == 0.0
    assert paper.telemetry == {"steps_held_by_floor": pytest.approx(1.0)}


def test_without_the_confidence_the_papers_attack_works_and_no_step_is_held():
    model, images, labels = confident(0.01)
    (paper,) = attack(model, images, labels, [Threat("l2", 0.8, 0.8 / 3)], semantics="paper", restarts=2)
    assert paper.accuracy == 0.0 and paper.telemetry == {"steps_held_by_floor": 0.0}


@pytest.mark.parametrize("batch_size", [1, 50, 1000])
def test_a_step_of_the_paper_shrinks_with_the_batch_whose_mean_it_takes(batch_size, monkeypatch):
    """The length of a step is step_size * min(1, |gradient| / batch size / 1e-6)."""
    from_the_image_itself(monkeypatch)
    model, images, labels = confident(0.14)
    inputs = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(model(inputs), labels, reduction="sum"), inputs)
    length = gradient.flatten(1).norm(dim=1)
    with seen(model) as batches:
        (record,) = attack(model, images, labels, [Threat("l2", 0.8, 0.1)], semantics="paper", steps=1, paper_batch_size=batch_size)
    step = (batches[-1] - images).flatten(1).norm(dim=1)
    torch.testing.assert_close(step, 0.1 * (length / batch_size / 1e-6).clamp_max(1), rtol=1e-3, atol=1e-6)
    assert record.telemetry["steps_held_by_floor"] == pytest.approx(float((length / batch_size < 1e-6).float().mean()))
    assert (record.telemetry["steps_held_by_floor"] > 0.5) == (batch_size > 1)


def test_linf_steps_are_never_held_by_the_floor():
    model, images, labels = confident(0.3)
    (record,) = attack(model, images, labels, [Threat("linf", 0.1, 0.02)], semantics="paper")
    assert record.telemetry == {"steps_held_by_floor": 0.0} and record.accuracy == 0.0


@both_norms
def test_strict_does_not_change_when_the_logits_are_scaled(norm):
    """A change of scale changes no decision, so no outcome may change; cross-entropy alone would notice."""
    model = smooth(4, SHAPE, seed=5)
    images, labels = decided(model, 40, low=0.0, high=1.0)
    threat = Threat(norm, {"l2": 1.0, "linf": 0.15}[norm], 0.1)
    found = [attack(Scaled(model, factor), images, labels, [threat], restarts=2)[0] for factor in (1.0, 10.0, 1000.0)]
    assert found[0].accuracy == found[1].accuracy == found[2].accuracy
    assert 0.1 < found[0].accuracy < 0.9
    assert np.array_equal(found[0].correct[0], found[2].correct[0])


def test_the_first_strict_restart_uses_the_first_loss_and_the_second_the_second():
    """Logits so large that cross-entropy has no gradient in float32: it stays at its start, the margin does not."""
    model, images, labels = confident(100.0)
    threat = Threat("l2", 0.8, 0.1)
    margin, cross_entropy = (attack(model, images, labels, [threat], strict_losses=[loss])[0] for loss in ("margin", "cross_entropy"))
    assert margin.accuracy == 0.0 and cross_entropy.accuracy == 1.0
    (both,) = attack(model, images, labels, [threat], strict_losses=["cross_entropy", "margin"], restarts=2)
    assert both.correct.mean(1).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("logits", [[2.0, -1.0, 0.5], [0.0, 3.0, 3.0], [-5.0, -7.0, -6.0]])
def test_the_margin_is_positive_exactly_where_another_class_wins(logits):
    for label in range(3):
        others = [value for index, value in enumerate(logits) if index != label]
        found = pgd.margin(torch.tensor([logits]), torch.tensor([label])).item()
        assert found == max(others) - logits[label]


def test_the_last_iterate_decides_in_paper_and_any_iterate_in_strict():
    """The path leads through a band of the other class and out of it again."""
    images, labels = torch.full((6, *SHAPE), 0.3), torch.zeros(6, dtype=torch.int64)
    model = Band(0.35, 0.45)
    threat = Threat("linf", 0.3, 0.05)
    (paper,) = attack(model, images, labels, [threat], semantics="paper", steps=40)
    (strict,) = attack(model, images, labels, [threat], steps=40)
    assert paper.accuracy == 1.0 and strict.accuracy == 0.0


def test_strict_looks_at_the_start_and_at_the_last_iterate_too(monkeypatch):
    fooling = lambda images, *rest: torch.full_like(images, 0.6)  # noqa: E731
    images, labels = torch.full((3, *SHAPE), 0.3), torch.zeros(3, dtype=torch.int64)
    monkeypatch.setattr(pgd, "_start", fooling)
    assert attack(Band(0.55, 0.65), images, labels, [Threat("linf", 0.5, 1.0)], steps=1)[0].accuracy == 0.0
    from_the_image_itself(monkeypatch)
    assert attack(Band(0.35, 0.45), images, labels, [Threat("linf", 0.1, 1.0)], steps=1)[0].accuracy == 0.0


# Restarts and radii


def start_fools(monkeypatch, which) -> None:
    """Let `which(row, stream position, threat)` say whose start is already the other class; the model gives no gradient."""

    def start(images, rows, threat, rule, seed, stream):
        fooled = torch.tensor([which(int(row), int(stream.split()[-1]), threat) for row in rows]).view(-1, 1, 1, 1)
        return torch.where(fooled, torch.full_like(images, 0.9), images)

    monkeypatch.setattr(pgd, "_start", start)


def test_restarts_that_fool_complementary_halves_leave_nothing_in_strict_and_half_in_paper(monkeypatch):
    start_fools(monkeypatch, lambda row, restart, threat: row % 2 == restart)
    images, labels = torch.full((10, *SHAPE), 0.3), torch.zeros(10, dtype=torch.int64)
    threat = Threat("linf", 0.7, 0.1)
    (strict,) = attack(Flat(0.5), images, labels, [threat], restarts=2)
    assert strict.aggregate == "worst" and strict.accuracy == 0.0
    assert strict.correct.tolist() == [[False, True] * 5, [False] * 10]
    (paper,) = attack(Flat(0.5), images, labels, [threat], restarts=2, semantics="paper")
    assert paper.aggregate == "mean" and paper.accuracy == 0.5
    assert paper.correct.tolist() == [[False, True] * 5, [True, False] * 5]


def test_what_falls_at_a_small_radius_falls_at_every_larger_one_of_the_same_norm(monkeypatch):
    start_fools(monkeypatch, lambda row, restart, threat: threat.norm == "linf" and row == round(10 * threat.epsilon))
    images, labels = torch.full((6, *SHAPE), 0.45), torch.zeros(6, dtype=torch.int64)
    threats = [Threat("linf", 0.4, 1.0), Threat("l2", 9.0, 1.0), Threat("linf", 0.1, 1.0), Threat("linf", 0.2, 1.0)]
    found = attack(Flat(0.5), images, labels, threats, restarts=2)
    fallen = [np.flatnonzero(~record.correct[-1]).tolist() for record in found]
    assert fallen == [[1, 2, 4], [], [1], [1, 2]]
    independent = attack(Flat(0.5), images, labels, threats, semantics="paper")
    assert [np.flatnonzero(~record.correct[0]).tolist() for record in independent] == [[4], [], [1], [2]]


@both_norms
def test_strict_survivors_shrink_with_every_restart_and_radius_and_never_exceed_a_single_run(norm):
    model = rough()
    images, labels = decided(model, 60, low=0.0, high=1.0)
    sizes = {"l2": [0.6, 0.8, 1.0], "linf": [0.08, 0.11, 0.14]}[norm]
    threats = [Threat(norm, size, size / 4) for size in sizes]
    found = attack(model, images, labels, threats, restarts=4, steps=3)
    for record in found:
        assert (record.correct[1:] <= record.correct[:-1]).all()
        assert record.accuracy == record.correct[-1].mean()
    assert all((larger.correct[-1] <= smaller.correct[-1]).all() for smaller, larger in zip(found, found[1:], strict=False))
    single = attack(model, images, labels, threats, restarts=1, steps=3)
    assert all((many.correct[-1] <= one.correct[0]).all() for many, one in zip(found, single, strict=True))
    assert sum(one.accuracy - many.accuracy for many, one in zip(found, single, strict=True)) > 0


def test_only_what_still_stands_is_attacked_again():
    """Twelve images next to the boundary fall at once; the far ones cost steps + 1 forward passes in each of three restarts."""
    model = half_space(torch.ones(SHAPE), 32.0)
    images = torch.cat([torch.full((12, *SHAPE), 0.5001), torch.full((5, *SHAPE), 0.9)])
    with seen(model) as batches:
        (record,) = attack(model, images, torch.ones(17, dtype=torch.int64), [Threat("linf", 0.05, 1.0)], steps=4, restarts=3)
    counts = [len(batch) for batch in batches]
    assert record.accuracy == 5 / 17
    assert counts[0] == 17 and counts[-13:] == [5] * 13 and len(counts) == 15
    assert counts == sorted(counts, reverse=True)


def test_nothing_is_computed_once_everything_has_fallen():
    model = half_space(torch.ones(SHAPE), 32.0)
    images = torch.full((4, *SHAPE), 0.501)
    threats = [Threat("linf", 0.1, 1.0), Threat("linf", 0.2, 1.0)]
    with seen(model) as batches:
        found = attack(model, images, torch.ones(4, dtype=torch.int64), threats, restarts=3, steps=50)
    assert [record.accuracy for record in found] == [0.0, 0.0] and len(batches) < 20


# Independence, order, hygiene


@both_semantics
def test_no_outcome_depends_on_the_order_of_the_images_or_on_who_else_is_attacked(semantics):
    """Few steps, so that the random starts decide."""
    model = smooth(4, SHAPE, seed=5)
    images, labels = decided(model, 30, low=0.0, high=1.0)
    rows = np.arange(100, 130)
    threats = [Threat("l2", 1.0, 0.5), Threat("linf", 0.12, 0.06)]
    usual = {"semantics": semantics, "steps": 2, "restarts": 3}
    together = [record.correct for record in attack(model, images, labels, threats, rows, **usual)]
    assert all(0 < correct.mean() < 1 for correct in together)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    shuffled = attack(model, images[order], labels[order], threats, rows[order.numpy()], **usual)
    part = slice(7, 19)
    alone = attack(model, images[part], labels[part], threats, rows[part], **usual)
    for correct, other, some in zip(together, shuffled, alone, strict=True):
        assert np.array_equal(correct[:, order.numpy()], other.correct)
        assert np.array_equal(correct[:, part], some.correct)


@both_semantics
def test_runs_seeds_radii_norms_and_rows_have_starts_of_their_own(semantics):
    model = Scaled(half_space(torch.ones(SHAPE), 0.0), 1e-3)  # class 1 everywhere, so nothing leaves the batch
    images, labels = torch.full((3, *SHAPE), 0.5), torch.ones(3, dtype=torch.int64)
    starts = []
    for seed in (0, 1):
        for threat in [Threat("l2", 0.3, 0.1), Threat("l2", 0.4, 0.1), Threat("linf", 0.3, 0.1)]:
            with seen(model) as batches:
                attack(model, images, labels, [threat], semantics=semantics, restarts=2, steps=1, seed=seed)
            starts += [*batches[0], *batches[2]]
    directions = torch.stack([(start - 0.5).flatten() / (start - 0.5).norm() for start in starts])
    cosines = (directions @ directions.T).fill_diagonal_(0)
    assert len(starts) == 36 and cosines.abs().max() < 0.6


@both_semantics
@both_norms
def test_every_point_the_model_is_asked_about_lies_in_the_ball_and_in_the_box(semantics, norm):
    model = random_linear(2, SHAPE)
    model.bias.data[0] += 1e4  # class 0 everywhere
    images, labels = decided(model, 20, low=-0.5, high=1.5)
    images = images.clamp(0, 1)
    threat = Threat(norm, {"l2": 2.0, "linf": 0.3}[norm], 0.2)
    with seen(model) as batches:
        attack(model, images, labels, [threat], semantics=semantics, restarts=2)
    assert len(batches) >= 40
    for points in batches:
        delta = (points - images).double().flatten(1)
        size = delta.norm(dim=1) if norm == "l2" else delta.abs().amax(1)
        assert size.max() <= threat.epsilon * (1 + 1e-5)
        assert points.min() >= 0 and points.max() <= 1


@both_semantics
def test_the_pixels_at_the_edge_of_the_box_keep_their_gradient(semantics, monkeypatch):
    """A black image can only become brighter: a clamp inside the differentiated graph would leave it where it is."""
    from_the_image_itself(monkeypatch)
    model = half_space(torch.ones(SHAPE), 6.4)
    images, labels = torch.zeros(4, *SHAPE), torch.zeros(4, dtype=torch.int64)
    (record,) = attack(model, images, labels, [Threat("linf", 0.2, 0.05)], semantics=semantics)
    assert record.accuracy == 0.0


@both_semantics
def test_images_weights_and_random_states_are_left_as_they_were(semantics):
    model = smooth(4, SHAPE, dropout=0.5).train()
    model[1].bias.requires_grad_(False)
    model[4].weight.grad = torch.ones_like(model[4].weight)
    images, labels = decided(model, 10)
    before = [images.clone(), labels.clone(), *(value.clone() for value in model.state_dict().values())]
    random = torch.get_rng_state(), np.random.get_state()[1].copy()
    attack(model, images, labels, [Threat("l2", 1.0, 0.2), Threat("linf", 0.1, 0.02)], semantics=semantics, restarts=2)
    assert all(map(torch.equal, before, [images, labels, *model.state_dict().values()]))
    assert torch.equal(torch.get_rng_state(), random[0]) and np.array_equal(np.random.get_state()[1], random[1])
    assert all(module.training for module in model.modules())
    assert [weight.requires_grad for weight in model.parameters()] == [True, False, True, True]
    assert torch.equal(model[4].weight.grad, torch.ones_like(model[4].weight)) and model[1].weight.grad is None
    assert not images.requires_grad and images.grad is None


def test_records_come_by_semantics_and_then_in_the_order_of_the_threats():
    model = random_linear(3, SHAPE)
    images, labels = decided(model, 4)
    threats = [Threat("linf", 0.2, 0.01), Threat("l2", 1.5, 0.5), Threat("linf", 0.1, 0.02)]
    plan = pgd.Settings(0, 4, 2, ["strict", "paper"], 50, ["margin"], 2.5)
    found = pgd.records(model, Batch(images, labels), np.arange(4), threats, plan)
    expected = [(name, threat.norm, threat.epsilon) for name in ("strict", "paper") for threat in threats]
    assert [(one.semantics, one.norm, one.epsilon) for one in found] == expected
    assert {one.attack for one in found} == {"pgd4"} and all(one.correct.shape == (2, 4) for one in found)
    assert [one.settings["step_size"] for one in found] == pytest.approx([0.125, 0.9375, 0.0625, 0.01, 0.5, 0.02])
    assert [one.aggregate for one in found] == ["worst"] * 3 + ["mean"] * 3
    assert found[0].settings["restarts"] == 2 and found[3].settings["paper_batch_size"] == 50


def test_starts_come_from_the_draws_of_their_rows():
    images, threat = torch.full((2, *SHAPE), 0.5), Threat("l2", 0.25, 0.1)
    found = pgd._start(images, np.array([4, 9]), threat, pgd.balls.STRICT, 7, "stream")
    unit = draws.ball(7, "stream l2 0.25", [4, 9], SHAPE, "l2")
    torch.testing.assert_close(found, images + 0.25 * torch.from_numpy(unit))


def test_a_linear_model_without_difference_cannot_be_attacked_and_gives_no_nan():
    model = Linear(torch.ones(2, *SHAPE), torch.tensor([1.0, 0.0]))
    images, labels = decided(model, 3)
    for semantics in ("paper", "strict"):
        for norm in NORMS:
            assert attack(model, images, labels, [Threat(norm, 1.0, 0.1)], semantics=semantics)[0].accuracy == 1.0


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"steps": 0}, "steps must be positive, got 0"),
        ({"restarts": 0}, "restarts must be positive, got 0"),
        ({"paper_batch_size": -1}, "paper_batch_size must be positive, got -1"),
        ({"strict_losses": []}, "strict_losses must name at least one"),
    ],
)
def test_unusable_settings_are_refused(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        settings(**changes)


def test_no_semantics_at_all_is_refused():
    with pytest.raises(InputError, match="semantics must name at least one"):
        pgd.Settings(0, 1, 1, [], 50, ["margin"], 2.5)
