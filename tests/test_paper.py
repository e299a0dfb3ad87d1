"""The paper's attack, against closed forms, foolbox, and a second transcription of its algorithm."""

import os
import warnings

import numpy as np
import pytest
import torch
from classifiers import Band, Flat, Linear, Scaled, grey, half_space, random_linear, rounding, seen, smooth
from torch import Tensor, nn

from lib.attacks import paper, pgd
from lib.attacks.best import Best
from lib.attacks.losses import margin
from lib.attacks.work import Work
from lib.base import per_image_rng
from lib.base.errors import InputError
from lib.evaluation.threats import Threat
from lib.network import projections
from lib.network.batches import Batch
from lib.network.model_state import evaluating

NORMS = ["l2", "linf"]
DUAL = {"l2": 2, "linf": 1}
SHAPE = (1, 8, 8)
both_norms = pytest.mark.parametrize("norm", NORMS)


def attack(model: nn.Module, images: Tensor, labels: Tensor, threats: list[Threat], rows=None, **changes):
    """The records of one batch, with the model prepared as lib/attacks/outcomes.py prepares it."""
    settings = paper.Settings(**{"seed": 0, "steps": 20, "runs": 1, "batch_size": 50, **changes})
    with evaluating(model):
        return paper.paper(model, work(images, labels, rows), threats, settings)


def work(images: Tensor, labels: Tensor, rows=None, batch_size: int | None = None) -> Work:
    rows = np.arange(len(images)) if rows is None else rows
    return Work(Batch(images, labels), rows, batch_size or len(images))


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
    start_at(monkeypatch, lambda images: images)


def start_at(monkeypatch, where) -> None:
    monkeypatch.setattr(paper, "start", lambda work, threat, rule, seed, stream: where(work.batch.images))


# Closed forms


@both_norms
def test_a_half_space_is_crossed_exactly_where_the_radius_exceeds_the_distance(norm):
    """Distance to the boundary: margin / dual norm of the weights. The attack must find it from 5% beyond and can never from nearer."""
    direction = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3))
    model = half_space(direction, float(direction.sum() / 2))
    images, labels = decided(model, 40)
    dual = direction.flatten().norm(p=DUAL[norm])
    distance = (margin(model(images), labels).abs() / dual).detach()
    order = distance.argsort()
    images, labels, distance = images[order], labels[order], distance[order].numpy()
    for epsilon in np.quantile(distance, [0.25, 0.5, 0.75]):
        threat = Threat(norm, float(epsilon), float(epsilon) / 4)
        (record,) = attack(model, images, labels, [threat], steps=60)
        assert not record.correct[0][distance < epsilon / 1.05].any()
        assert record.correct[0][distance > epsilon * 1.001].all()
        assert 0.2 < record.accuracy < 0.8


@pytest.mark.parametrize("norm, epsilon", [("l2", 0.05), ("linf", 0.008)])
def test_with_many_classes_the_nearest_of_the_half_spaces_decides(norm, epsilon):
    model = random_linear(5, SHAPE)
    images, labels = decided(model, 40)
    logits, weight = model(images).detach(), model.weight.detach().flatten(1)
    dual = (weight[:, None] - weight[None]).norm(p=DUAL[norm], dim=2)[labels]
    distances = (logits.gather(1, labels[:, None]) - logits) / dual
    nearest = distances.scatter(1, labels[:, None], torch.inf).amin(1).numpy()
    (record,) = attack(model, images, labels, [Threat(norm, epsilon, epsilon / 8)], steps=60, runs=4)
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
            attack(model, images, labels, [Threat(norm, 0.1, 0.1)], steps=1)
        torch.testing.assert_close(batches[-1], images + 0.1 * unit[norm])


# Parity with others


def foolbox():
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import foolbox

        return foolbox


def foolbox_adversarials(model: nn.Module, images: Tensor, labels: Tensor, threat: Threat, step: float, steps: int) -> Tensor:
    kind = {"l2": foolbox().attacks.L2PGD, "linf": foolbox().attacks.LinfPGD}[threat.norm]
    oracle = kind(abs_stepsize=step, steps=steps, random_start=False)
    wrapped = foolbox().PyTorchModel(model.eval(), bounds=(0, 1), device="cpu")
    return oracle(wrapped, images, labels, epsilons=threat.epsilon)[1]


@both_norms
def test_away_from_the_box_and_the_floor_the_papers_iterates_are_foolbox_iterates(norm, monkeypatch):
    from_the_image_itself(monkeypatch)
    model, images = smooth(4, (2, 6, 6)).double(), grey(8, (2, 6, 6)).double()
    labels = model(images).argmax(1)
    threat = Threat(norm, {"l2": 0.2, "linf": 0.05}[norm], 0.01)
    expected = foolbox_adversarials(model, images, labels, threat, threat.step_size, 15)
    with seen(model) as batches:
        attack(model, images, labels, [threat], steps=15)
    torch.testing.assert_close(batches[-1], expected, rtol=0, atol=1e-9)


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
        attack(model, images, labels, [threat], steps=10)
    norms = batches[0].sub(images).flatten(1).norm(dim=1)
    torch.testing.assert_close(norms, torch.full_like(norms, 0.8), rtol=1e-5, atol=0)
    expected = transcription(model, images, labels, batches[0], threat, 10)
    torch.testing.assert_close(batches[-1], expected, rtol=0, atol=1e-6)


# Its rules


def confident(factor: float) -> tuple[nn.Module, Tensor, Tensor]:
    """A half-space that every image can leave by an L2 step of 0.3 to 0.6, with logits of about 110 times `factor`."""
    direction = torch.ones(SHAPE)
    images = grey(20, SHAPE, low=0.545, high=0.57)
    return Scaled(half_space(direction, 32.0), 30 * factor), images, torch.ones(20, dtype=torch.int64)


def test_the_papers_attack_stalls_on_a_confident_model():
    model, images, labels = confident(1.0)
    (paper,) = attack(model, images, labels, [Threat("l2", 0.8, 0.8 / 3)], runs=2)
    assert paper.accuracy == 1.0
    assert (paper.noticed("steps_held_by_floor") == 1).all() and (paper.noticed("effective_step") < 0.01).all()


def test_without_the_confidence_the_papers_attack_works_and_no_step_is_held():
    model, images, labels = confident(0.01)
    (paper,) = attack(model, images, labels, [Threat("l2", 0.8, 0.8 / 3)], runs=2)
    assert paper.accuracy == 0.0
    assert (paper.noticed("steps_held_by_floor") == 0).all() and (paper.noticed("effective_step") == 1).all()


@pytest.mark.parametrize("batch_size", [1, 50, 1000])
def test_a_step_of_the_paper_shrinks_with_the_batch_whose_mean_it_takes(batch_size, monkeypatch):
    """The length of a step is step_size * min(1, |gradient| / batch size / 1e-6)."""
    from_the_image_itself(monkeypatch)
    model, images, labels = confident(0.14)
    model, images = model.double(), images.double()
    inputs = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(model(inputs), labels, reduction="sum"), inputs)
    length = gradient.flatten(1).norm(dim=1)
    with seen(model) as batches:
        (record,) = attack(model, images, labels, [Threat("l2", 0.8, 0.1)], steps=1, batch_size=batch_size)
    step = (batches[-1] - images).flatten(1).norm(dim=1)
    torch.testing.assert_close(step, 0.1 * (length / batch_size / 1e-6).clamp_max(1))
    assert np.array_equal(record.noticed("steps_held_by_floor"), (length / batch_size < 1e-6).float().numpy())
    np.testing.assert_allclose(record.noticed("effective_step"), (length / batch_size / 1e-6).clamp_max(1).numpy(), rtol=1e-6)
    assert (record.noticed("steps_held_by_floor").mean() > 0.5) == (batch_size > 1)


@pytest.mark.parametrize("changes", [{"floor": 1e-30}, {"mean_loss": False}])
def test_without_its_floor_or_under_a_summed_loss_the_papers_attack_takes_whole_steps(changes, monkeypatch):
    """The gradients are 3.8e-6 to 1.2e-5 long: below the floor only after division by 50."""
    from_the_image_itself(monkeypatch)
    model, images, labels = confident(0.14)
    threat = Threat("l2", 0.8, 0.8 / 3)
    (held,) = attack(model, images, labels, [threat], steps=1)
    (free,) = attack(model, images, labels, [threat], steps=1, **changes)
    assert held.noticed("effective_step").max() < 0.5 and (free.noticed("effective_step") > 0.999).all()


def test_the_start_of_the_papers_attack_is_a_switch():
    model, images, labels = confident(0.12)
    radii = {}
    for start in ("box", "ball"):
        with seen(model) as batches:
            attack(model, images, labels, [Threat("l2", 0.4, 0.1)], batch_size=50, start=start)
        radii[start] = (batches[0] - images).flatten(1).norm(dim=1)
    assert radii["box"].min() > 0.399 and radii["ball"].min() < 0.395


def test_the_order_of_the_projections_is_a_switch(monkeypatch):
    """Up from a corner of the box in both pixels: ball then box leaves 0.6, box then ball shortens what the box has cut already."""
    start_at(monkeypatch, lambda images: images)
    model = half_space(torch.tensor([[[3.0, 4.0]]]), 0.0)
    images, labels = torch.tensor([[[[0.5, 0.0]]]]), torch.tensor([0])
    ends = {}
    for box_last in (False, True):
        with seen(model) as batches:
            attack(model, images, labels, [Threat("l2", 1.0, 2.0)], steps=1, batch_size=1, box_last=box_last)
        ends[box_last] = batches[-1].flatten()
    torch.testing.assert_close(ends[True], torch.tensor([1.0, 0.8]))
    corner = torch.tensor([0.5, 1.0])
    torch.testing.assert_close(ends[False], torch.tensor([0.5, 0.0]) + corner / corner.norm())


def test_linf_steps_are_never_held_by_the_floor():
    model, images, labels = confident(0.3)
    (record,) = attack(model, images, labels, [Threat("linf", 0.1, 0.02)])
    assert set(record.telemetry) == {"violation"} and record.accuracy == 0.0


@pytest.mark.parametrize("logits", [[2.0, -1.0, 0.5], [0.0, 3.0, 3.0], [-5.0, -7.0, -6.0]])
def test_the_margin_is_positive_exactly_where_another_class_wins(logits):
    for label in range(3):
        others = [value for index, value in enumerate(logits) if index != label]
        found = margin(torch.tensor([logits]), torch.tensor([label])).item()
        assert found == max(others) - logits[label]


def test_the_last_iterate_decides():
    """The path leads through a band of the other class and out of it again."""
    images, labels = torch.full((6, *SHAPE), 0.3), torch.zeros(6, dtype=torch.int64)
    (record,) = attack(Band(0.35, 0.45), images, labels, [Threat("linf", 0.3, 0.05)], steps=40)
    assert record.accuracy == 1.0


@both_norms
def test_last_iterates_that_fool_are_known_as_perturbations(norm):
    """Every image that a run fools has a radius within the ball, found by this attack; the others have none."""
    model = rough()
    images, labels = decided(model, 40, low=0.0, high=1.0)
    epsilon, batch = {"l2": 0.6, "linf": 0.08}[norm], work(images, labels, batch_size=9)
    best = {norm: Best.unknown(batch, norm)}
    with evaluating(model):
        (record,) = paper.paper(model, batch, [Threat(norm, epsilon, epsilon / 4)], paper.Settings(0, 5, 2, 50), best)
    fooled = ~record.correct.all(0)
    assert 0 < fooled.sum() < 40 and np.array_equal(np.isfinite(best[norm].radius.numpy()), fooled)
    assert best[norm].radius[torch.from_numpy(fooled)].max() <= epsilon * (1 + rounding(epsilon, norm, SHAPE))
    assert set(best[norm].by) == {"", "paper"}


# Runs and rows


def test_an_image_whose_logits_are_not_finite_is_not_called_robust():
    class Fragile(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            value = images.flatten(1).sum(1)
            return torch.stack([value * torch.nan if not bool((images == 0.5).all()) else value, value - 1], 1)

    images, labels = torch.full((3, *SHAPE), 0.5), torch.zeros(3, dtype=torch.int64)
    assert attack(Fragile(), images, labels, [Threat("linf", 0.1, 0.05)])[0].accuracy == 0.0


def start_fools(monkeypatch, which) -> None:
    """Let `which(row, stream position, threat)` say whose start is already the other class; the model gives no gradient."""

    def start(work, threat, rule, seed, stream):
        fooled = torch.tensor([which(int(row), int(stream.split()[-1]), threat) for row in work.rows]).view(-1, 1, 1, 1)
        return torch.where(fooled, torch.full_like(work.batch.images, 0.9), work.batch.images)

    monkeypatch.setattr(paper, "start", start)


def test_runs_are_independent_and_averaged(monkeypatch):
    start_fools(monkeypatch, lambda row, run, threat: row % 2 == run)
    images, labels = torch.full((10, *SHAPE), 0.3), torch.zeros(10, dtype=torch.int64)
    (record,) = attack(Flat(0.5), images, labels, [Threat("linf", 0.7, 0.1)], runs=2)
    assert record.aggregate == "mean" and record.accuracy == 0.5
    assert record.correct.tolist() == [[False, True] * 5, [True, False] * 5]


def test_radii_are_independent(monkeypatch):
    start_fools(monkeypatch, lambda row, run, threat: threat.norm == "linf" and row == round(10 * threat.epsilon))
    images, labels = torch.full((6, *SHAPE), 0.45), torch.zeros(6, dtype=torch.int64)
    threats = [Threat("linf", 0.4, 1.0), Threat("l2", 9.0, 1.0), Threat("linf", 0.1, 1.0), Threat("linf", 0.2, 1.0)]
    found = attack(Flat(0.5), images, labels, threats)
    assert [np.flatnonzero(~record.correct[0]).tolist() for record in found] == [[4], [], [1], [2]]
    assert [(one.norm, one.epsilon, one.settings["step_size"]) for one in found] == [(t.norm, t.epsilon, t.step_size) for t in threats]


# Independence, order, hygiene


def test_no_outcome_depends_on_the_order_of_the_images_or_on_who_else_is_attacked():
    """Few steps, so that the random starts decide, and in float64, so that the order of a sum does not."""
    model = smooth(4, SHAPE, seed=5).double()
    images, labels = decided(model, 30, low=0.0, high=1.0, dtype=torch.float64)
    rows = np.arange(100, 130)
    threats = [Threat("l2", 1.0, 0.5), Threat("linf", 0.12, 0.06)]
    usual = {"steps": 2, "runs": 3}
    together = [record.correct for record in attack(model, images, labels, threats, rows, **usual)]
    assert all(0 < correct.mean() < 1 for correct in together)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    shuffled = attack(model, images[order], labels[order], threats, rows[order.numpy()], **usual)
    part = slice(7, 19)
    alone = attack(model, images[part], labels[part], threats, rows[part], **usual)
    for correct, other, some in zip(together, shuffled, alone, strict=True):
        assert np.array_equal(correct[:, order.numpy()], other.correct)
        assert np.array_equal(correct[:, part], some.correct)


def test_runs_seeds_radii_norms_and_rows_have_starts_of_their_own():
    model = Scaled(half_space(torch.ones(SHAPE), 0.0), 1e-3)  # class 1 everywhere, so nothing leaves the batch
    images, labels = torch.full((3, *SHAPE), 0.5), torch.ones(3, dtype=torch.int64)
    starts = []
    for seed in (0, 1):
        for threat in [Threat("l2", 0.3, 0.1), Threat("l2", 0.4, 0.1), Threat("linf", 0.3, 0.1)]:
            with seen(model) as batches:
                attack(model, images, labels, [threat], runs=2, steps=1, seed=seed)
            starts += [*batches[0], *batches[2]]
    directions = torch.stack([(start - 0.5).flatten() / (start - 0.5).norm() for start in starts])
    cosines = (directions @ directions.T).fill_diagonal_(0)
    assert len(starts) == 36 and cosines.abs().max() < 0.6


@both_norms
def test_every_point_the_model_is_asked_about_lies_in_the_ball_and_in_the_box(norm):
    model = random_linear(2, SHAPE)
    model.bias.data[0] += 1e4  # class 0 everywhere
    images, labels = decided(model, 20, low=-0.5, high=1.5)
    images = images.clamp(0, 1)
    threat = Threat(norm, {"l2": 2.0, "linf": 0.3}[norm], 0.2)
    with seen(model) as batches:
        attack(model, images, labels, [threat], runs=2)
    assert len(batches) >= 40
    for points in batches:
        delta = (points - images).double().flatten(1)
        size = delta.norm(dim=1) if norm == "l2" else delta.abs().amax(1)
        assert size.max() <= threat.epsilon * (1 + rounding(threat.epsilon, norm, SHAPE))
        assert points.min() >= 0 and points.max() <= 1


def test_the_pixels_at_the_edge_of_the_box_keep_their_gradient(monkeypatch):
    """A black image can only become brighter: a clamp inside the differentiated graph would leave it where it is."""
    from_the_image_itself(monkeypatch)
    model = half_space(torch.ones(SHAPE), 6.4)
    images, labels = torch.zeros(4, *SHAPE), torch.zeros(4, dtype=torch.int64)
    (record,) = attack(model, images, labels, [Threat("linf", 0.2, 0.05)])
    assert record.accuracy == 0.0


def test_images_weights_and_random_states_are_left_as_they_were():
    model = smooth(4, SHAPE, dropout=0.5).train()
    model[1].bias.requires_grad_(False)
    model[4].weight.grad = torch.ones_like(model[4].weight)
    images, labels = decided(model, 10)
    before = [images.clone(), labels.clone(), *(value.clone() for value in model.state_dict().values())]
    random = torch.get_rng_state(), np.random.get_state()[1].copy()
    attack(model, images, labels, [Threat("l2", 1.0, 0.2), Threat("linf", 0.1, 0.02)], runs=2)
    assert all(map(torch.equal, before, [images, labels, *model.state_dict().values()]))
    assert torch.equal(torch.get_rng_state(), random[0]) and np.array_equal(np.random.get_state()[1], random[1])
    assert all(module.training for module in model.modules())
    assert [weight.requires_grad for weight in model.parameters()] == [True, False, True, True]
    assert torch.equal(model[4].weight.grad, torch.ones_like(model[4].weight)) and model[1].weight.grad is None
    assert not images.requires_grad and images.grad is None


def test_starts_come_from_the_draws_of_their_rows():
    images, threat = torch.full((2, *SHAPE), 0.5), Threat("l2", 0.25, 0.1)
    found = pgd.start(work(images, torch.zeros(2), np.array([4, 9])), threat, projections.STRICT, 7, "stream")
    unit = per_image_rng.ball(7, "stream l2 0.25", [4, 9], SHAPE, "l2")
    torch.testing.assert_close(found, images + 0.25 * torch.from_numpy(unit))


def test_a_linear_model_without_difference_cannot_be_attacked_and_gives_no_nan():
    model = Linear(torch.ones(2, *SHAPE), torch.tensor([1.0, 0.0]))
    images, labels = decided(model, 3)
    for norm in NORMS:
        assert attack(model, images, labels, [Threat(norm, 1.0, 0.1)])[0].accuracy == 1.0


@pytest.mark.parametrize("name", ["steps", "runs", "batch_size", "floor"])
def test_unusable_settings_are_refused(name):
    with pytest.raises(InputError, match=f"{name} must be positive, got 0"):
        paper.Settings(**{"seed": 0, "steps": 1, "runs": 1, "batch_size": 50, name: 0})


def test_a_threat_model_without_a_step_size_is_refused():
    images, labels = decided(random_linear(3, SHAPE), 2)
    with pytest.raises(InputError, match="needs a step size, l2 1.5 has none"):
        attack(random_linear(3, SHAPE), images, labels, [Threat("l2", 1.5)])
