"""What is minimised is what the equations say: by hand in float64, by finite differences, by exact Jacobians, by closed forms."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from classifiers import Linear, Scaled, grey, half_space, random_linear, rounding, seen, smooth
from torch import Tensor, nn

from lib.base.errors import InputError
from lib.network.batches import Batch
from lib.objectives import adversarial, interpretation, jacobian

SHAPE = (1, 4, 4)
LABELS = torch.tensor([2, 0, 1, 2, 1, 0])
both_reductions = pytest.mark.parametrize("reduction", ["sample", "batch"])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(targets: bool = True, dtype: torch.dtype = torch.float64) -> Batch:
    maps = torch.randn(6, *SHAPE, generator=generator(3)).to(dtype) if targets else None
    return Batch(grey(6, SHAPE, low=0, high=1).to(dtype), LABELS, maps)


def rows_of(model: nn.Module, images: Tensor) -> Tensor:
    """The exact Jacobian (N, K, D) by torch.func."""
    return torch.stack([torch.func.jacrev(lambda one: model(one[None])[0])(image).flatten(1) for image in images])


def mean_cross_entropy(model: nn.Module, images: Tensor) -> float:
    logits = model(images).detach().numpy()
    return float(np.mean([math.log(sum(math.exp(z) for z in row)) - row[label] for row, label in zip(logits, LABELS, strict=True)]))


def assert_derivatives_are_finite_differences(model: nn.Module, value) -> None:
    """Compare d value / d parameter with a central difference along a random direction, for every parameter."""
    derivatives = torch.autograd.grad(value(), list(model.parameters()), allow_unused=True)
    assert any(one is not None and one.abs().max() > 1e-4 for one in derivatives)
    for parameter, derivative in zip(model.parameters(), derivatives, strict=True):
        direction = torch.randn(parameter.shape, generator=generator(9), dtype=parameter.dtype)
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter += sign * 1e-5 * direction
            ends.append(value().item())
            with torch.no_grad():
                parameter -= sign * 1e-5 * direction
        expected = 0.0 if derivative is None else float((derivative * direction).sum())
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(expected, rel=1e-5, abs=1e-8)


# Interpretation regularization (Eq. 9)


@both_reductions
@pytest.mark.parametrize("lambda_d, lambda_m", [(3.0, 0.15), (0.0, 0.5), (1.0, 0.0)])
def test_the_loss_is_equation_9_written_out_by_hand(reduction, lambda_d, lambda_m):
    model, data = smooth(3, SHAPE).double(), batch()
    gradients = rows_of(model, data.images)[torch.arange(6), LABELS].detach().numpy()
    targets = data.targets.flatten(1).numpy()
    cosines = [g @ t / math.sqrt(g @ g) / math.sqrt(t @ t) for g, t in zip(gradients, targets, strict=True)]
    norms = [math.sqrt(g @ g) for g in gradients]
    norm = sum(norms) / 6 if reduction == "sample" else math.sqrt(sum(one**2 for one in norms))
    expected = mean_cross_entropy(model, data.images) - lambda_d * sum(cosines) / 6 + lambda_m * norm
    loss, terms = interpretation.loss(model, data, generator(), interpretation.Settings(lambda_d, lambda_m, reduction))
    assert loss.item() == pytest.approx(expected, rel=1e-10)
    assert terms["cross_entropy"].item() == pytest.approx(mean_cross_entropy(model, data.images))
    assert terms["cosine"].item() == pytest.approx(sum(cosines) / 6)
    assert terms["gradient_norm"].item() == pytest.approx(sum(norms) / 6)
    assert terms["train_accuracy"].item() == pytest.approx((model(data.images).argmax(1) == LABELS).double().mean().item())


def test_the_square_reduction_is_the_mean_of_squared_norms():
    model, data = smooth(3, SHAPE).double(), batch()
    squares = rows_of(model, data.images)[torch.arange(6), LABELS].square().sum(1).detach().numpy()
    loss, terms = interpretation.loss(model, data, generator(), interpretation.Settings(0.0, 0.5, "square"))
    assert loss.item() == pytest.approx(terms["cross_entropy"].item() + 0.5 * squares.mean())


def normalised(dropout: float = 0.5) -> nn.Module:
    """A network with dropout and batch normalisation, whose statistics are of another batch than the ones it will see."""
    torch.manual_seed(0)
    layers = [nn.Flatten(), nn.Linear(16, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 3)]
    model = nn.Sequential(*layers).double().train()
    model(torch.randn(20, *SHAPE, dtype=torch.float64, generator=generator(5)))
    return model


def test_in_eval_mode_the_gradient_is_that_of_the_network_that_is_measured_later():
    model, data = normalised(), batch()
    with torch.random.fork_rng():
        loss, terms = interpretation.loss(model, data, generator(), interpretation.Settings(3.0, 0.15, "sample", "eval"))
    assert all(module.training for module in model.modules())
    gradients = rows_of(model.eval(), data.images)[torch.arange(6), LABELS]
    cosine = nn.functional.cosine_similarity(gradients, data.targets.flatten(1)).mean().item()
    norm = gradients.norm(dim=1).mean().item()
    assert terms["cosine"].item() == pytest.approx(cosine) and terms["gradient_norm"].item() == pytest.approx(norm)
    assert loss.item() == pytest.approx(terms["cross_entropy"].item() - 3 * cosine + 0.15 * norm)
    assert terms["cross_entropy"].item() != pytest.approx(mean_cross_entropy(model, data.images), rel=1e-3)


def test_in_eval_mode_the_running_statistics_move_once_and_derivatives_reach_every_weight():
    model, data = normalised(0.0), batch()
    before = model[2].running_mean.clone()
    mean = model[1](data.images.flatten(1)).mean(0).detach()
    loss, _ = interpretation.loss(model, data, generator(), interpretation.Settings(3.0, 0.15, "sample", "eval"))
    torch.testing.assert_close(model[2].running_mean, 0.9 * before + 0.1 * mean)
    loss.backward()
    assert all(weight.grad is not None for weight in model.parameters()) and model[5].weight.grad.abs().max() > 0


def test_without_dropout_and_batch_normalisation_the_two_modes_are_one():
    model, data = smooth(3, SHAPE).double().train(), batch()
    losses = [
        interpretation.loss(model, data, generator(), interpretation.Settings(3.0, 0.15, "sample", name))[0] for name in ("train", "eval")
    ]
    assert losses[0].item() == losses[1].item()
    derivatives = [torch.autograd.grad(loss, list(model.parameters()), allow_unused=True) for loss in losses]
    for first, second in zip(*derivatives):
        torch.testing.assert_close(first, second)


def test_for_equal_norms_the_batch_reduction_is_sqrt_n_times_the_sample_reduction():
    gradient = nn.functional.normalize(torch.randn(50, 784, generator=generator()).double(), dim=1) * 3
    sample, whole = (interpretation.penalty(gradient, reduction).item() for reduction in ("sample", "batch"))
    assert sample == pytest.approx(3.0) and whole == pytest.approx(3 * math.sqrt(50))


@both_reductions
def test_the_loss_is_differentiated_through_the_gradient(reduction):
    model, data = smooth(3, SHAPE).double(), batch()
    settings = interpretation.Settings(3.0, 0.15, reduction)
    assert_derivatives_are_finite_differences(model, lambda: interpretation.loss(model, data, generator(), settings)[0])


def test_only_the_direction_of_a_target_matters():
    model, data = smooth(3, SHAPE).double(), batch()
    settings = interpretation.Settings(3.0, 0.15, "batch")
    scaled = Batch(data.images, data.labels, 7 * data.targets)
    assert interpretation.loss(model, data, generator(), settings)[0].item() == pytest.approx(
        interpretation.loss(model, scaled, generator(), settings)[0].item()
    )


def test_a_linear_model_whose_weights_are_the_targets_has_cosine_one():
    model = random_linear(3, SHAPE).double()
    data = Batch(grey(6, SHAPE).double(), LABELS, model.weight.detach()[LABELS] * 0.01)
    _, terms = interpretation.loss(model, data, generator(), interpretation.Settings(1.0, 0.0, "sample"))
    assert terms["cosine"].item() == pytest.approx(1)
    opposed = Batch(data.images, LABELS, -data.targets)
    assert interpretation.loss(model, opposed, generator(), interpretation.Settings(1.0, 0.0, "sample"))[1]["cosine"].item() < -0.999


@both_reductions
@pytest.mark.parametrize("dead", ["targets", "gradients", "both"])
def test_zero_targets_and_zero_gradients_give_finite_losses_and_derivatives(dead, reduction):
    model, data = smooth(3, SHAPE), batch(dtype=torch.float32)
    if dead != "gradients":
        data.targets[2:4] = 0
    if dead != "targets":
        nn.init.zeros_(model[4].weight)
    loss, terms = interpretation.loss(model, data, generator(), interpretation.Settings(3.0, 0.15, reduction))
    loss.backward()
    assert torch.isfinite(loss) and all(torch.isfinite(term) for term in terms.values())
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters() if weight.grad is not None)


def test_a_batch_without_targets_is_refused():
    with pytest.raises(InputError, match="needs a target for every image"):
        interpretation.loss(smooth(3, SHAPE), batch(targets=False), generator(), interpretation.Settings(1.0, 1.0, "batch"))


# Jacobian regularization (Eq. 13)


@pytest.mark.parametrize("form", ["half_squared", "norm"])
@both_reductions
def test_the_exact_penalty_is_that_of_the_jacobian_of_torch_func(form, reduction):
    model, data = smooth(3, SHAPE).double(), batch(targets=False)
    squares = [float((one**2).sum()) for one in rows_of(model, data.images).detach()]
    penalty = {
        ("half_squared", "sample"): sum(squares) / 6 / 2,
        ("half_squared", "batch"): sum(squares) / 2,
        ("norm", "sample"): sum(map(math.sqrt, squares)) / 6,
        ("norm", "batch"): math.sqrt(sum(squares)),
    }[form, reduction]
    loss, terms = jacobian.loss(model, data, generator(), jacobian.Settings(0.32, form, 0, reduction))
    assert loss.item() == pytest.approx(mean_cross_entropy(model, data.images) + 0.32 * penalty, rel=1e-10)
    assert terms["jacobian_norm"].item() == pytest.approx(sum(map(math.sqrt, squares)) / 6)
    assert terms["cross_entropy"].item() == pytest.approx(mean_cross_entropy(model, data.images))


def estimates(projections: int, repeats: int) -> tuple[np.ndarray, np.ndarray]:
    """Estimated squared norms (repeats, 6) and the exact ones (6,)."""
    model, images = smooth(3, SHAPE).double(), batch(targets=False).images.requires_grad_()
    noise = generator(1)
    found = [jacobian.squared_norms(model(images), images, projections, noise).detach() for _ in range(repeats)]
    return torch.stack(found).numpy(), (rows_of(model, images.detach()) ** 2).sum((1, 2)).detach().numpy()


@pytest.mark.parametrize("projections", [1, 4])
def test_random_projections_estimate_the_squared_norm_without_bias(projections):
    found, exact = estimates(projections, 800)
    error = (found.mean(0) - exact) / (found.std(0) / math.sqrt(800))
    assert np.abs(error).max() < 4 and (found.std(0) > 0.05 * exact).all()


def test_four_projections_halve_the_error_of_one():
    one, four = (estimates(projections, 400)[0].std(0) for projections in (1, 4))
    assert (one / four).mean() == pytest.approx(2, rel=0.15)


def test_with_orthogonal_rows_of_equal_length_one_projection_is_exact():
    """J J' = c I, so that |v'J|^2 = c for every unit vector v, and K c is the squared norm: unit vectors have no error here."""
    rows = torch.linalg.qr(torch.randn(16, 3, generator=generator(), dtype=torch.float64))[0].T * 5
    model, images = Linear(rows.reshape(3, *SHAPE), torch.zeros(3)), grey(6, SHAPE).double().requires_grad_()
    found = jacobian.squared_norms(model(images), images, 1, generator()).detach()
    torch.testing.assert_close(found, torch.full((6,), 75.0, dtype=torch.float64))


def test_each_image_gets_a_projection_of_its_own():
    model = smooth(3, SHAPE).double()
    images = grey(1, SHAPE).double().expand(4, -1, -1, -1).clone().requires_grad_()
    squares = jacobian.squared_norms(model(images), images, 1, generator()).detach()
    assert len(set(squares.tolist())) == 4


@pytest.mark.parametrize("projections", [0, 2])
@pytest.mark.parametrize("form", ["half_squared", "norm"])
def test_the_penalty_is_differentiated_through_the_jacobian(projections, form):
    model, data = smooth(3, SHAPE).double(), batch(targets=False)
    settings = jacobian.Settings(0.32, form, projections, "sample")
    assert_derivatives_are_finite_differences(model, lambda: jacobian.loss(model, data, generator(), settings)[0])


@pytest.mark.parametrize("form", ["half_squared", "norm"])
@both_reductions
@pytest.mark.parametrize("projections", [0, 1])
def test_a_model_without_any_gradient_gives_a_finite_penalty_and_derivatives(form, reduction, projections):
    model = smooth(3, SHAPE)
    nn.init.zeros_(model[4].weight)
    loss, _ = jacobian.loss(model, batch(False, torch.float32), generator(), jacobian.Settings(0.32, form, projections, reduction))
    loss.backward()
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters() if weight.grad is not None)


def test_the_projections_come_from_the_given_generator_alone():
    model, data, settings = smooth(3, SHAPE), batch(False, torch.float32), jacobian.Settings(1.0, "norm", 1, "sample")
    state = torch.get_rng_state()
    first, again, other = (jacobian.loss(model, data, generator(seed), settings)[0].item() for seed in (0, 0, 1))
    assert first == again != other and torch.equal(torch.get_rng_state(), state)


def test_without_the_class_factor_an_estimate_is_k_times_smaller():
    model, data = smooth(3, SHAPE).double(), batch(targets=False)
    penalties = []
    for factor in (True, False):
        loss, terms = jacobian.loss(model, data, generator(), jacobian.Settings(1.0, "half_squared", 2, "sample", class_factor=factor))
        penalties.append((loss - terms["cross_entropy"]).item())
    assert penalties[0] == pytest.approx(3 * penalties[1])


def test_without_dropout_rows_with_masks_of_their_own_are_the_exact_jacobian():
    model, data = smooth(3, SHAPE).double().train(), batch(targets=False)
    exact = rows_of(model, data.images).square().sum((1, 2)).detach()
    torch.testing.assert_close(jacobian.squared_norms_of_own_masks(model, data.images, 3).detach(), exact)
    settings = jacobian.Settings(0.32, "norm", 0, "batch", masks="per_row")
    loss, terms = jacobian.loss(model, data, generator(), settings)
    assert (loss - terms["cross_entropy"]).item() == pytest.approx(0.32 * math.sqrt(exact.sum()))
    assert_derivatives_are_finite_differences(model, lambda: jacobian.loss(model, data, generator(), settings)[0])


def test_with_dropout_every_row_belongs_to_a_mask_of_its_own():
    """A linear model after dropout: row k is 2 w_k where the mask kept, so that shared masks give rows with the same zeros."""
    model = nn.Sequential(nn.Dropout(0.5), nn.Flatten(), nn.Linear(16, 3)).double().train()
    copies = grey(1, SHAPE).double().repeat_interleave(3, 0).requires_grad_()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        own = torch.autograd.grad(model(copies).diagonal().sum(), copies)[0].flatten(1)
        torch.manual_seed(0)
        found = jacobian.squared_norms_of_own_masks(model, copies[:1].detach(), 3)
    assert not torch.equal(own[0] == 0, own[1] == 0)
    torch.testing.assert_close(found.detach(), own.square().sum()[None])


def test_squared_norms_want_images_that_require_a_gradient():
    model, images = smooth(3, SHAPE), grey(2, SHAPE)
    with pytest.raises(InputError, match="images must require a gradient"):
        jacobian.squared_norms(model(images), images, 1, generator())


# Adversarial training


def crafting(**changes) -> adversarial.Settings:
    usual = {"epsilon": 0.3, "norm": "l2", "step_size": 0.1, "steps": 20, "mode": "eval", "semantics": "strict"}
    return adversarial.Settings(**{**usual, **changes})


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("semantics", ["paper", "strict"])
def test_examples_lie_in_the_ball_and_in_the_box_and_carry_no_graph(norm, semantics):
    model, images = smooth(3, SHAPE), grey(6, SHAPE, low=-0.5, high=1.5).clamp(0, 1)
    before = images.clone()
    found = adversarial.examples(model, Batch(images, LABELS), generator(), crafting(norm=norm, semantics=semantics))
    delta = (found - images).double().flatten(1)
    size = delta.norm(dim=1) if norm == "l2" else delta.abs().amax(1)
    assert size.max() <= 0.3 * (1 + rounding(0.3, norm, SHAPE)) and size.min() > 0.2
    assert found.min() >= 0 and found.max() <= 1
    assert not found.requires_grad and torch.equal(images, before)


@pytest.mark.parametrize("progress, grown", [(0.0625, 0.25), (0.125, 0.5), (0.25, 1.0), (0.3, 1.0), (1.0, 1.0)])
def test_radius_and_steps_grow_along_the_ramp_and_stay_from_its_end_on(progress, grown):
    found = crafting(ramp=0.25).at(progress)
    assert found == crafting(ramp=0.25, epsilon=0.3 * grown, step_size=0.1 * grown)
    assert crafting().at(progress) == crafting() and crafting(epsilon=None, ramp=0.25).at(progress).epsilon is None


def test_early_in_a_ramp_the_examples_are_those_of_a_smaller_radius():
    model, data = smooth(3, SHAPE).double(), batch(targets=False)
    early = adversarial.loss(model, replace(data, progress=0.1), generator(), crafting(ramp=0.4))[0]
    small = adversarial.loss(model, data, generator(), crafting(epsilon=0.3 / 4, step_size=0.1 / 4))[0]
    whole = adversarial.loss(model, data, generator(), crafting())[0]
    assert early.item() == small.item() < whole.item()


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("semantics", ["paper", "strict"])
def test_on_a_half_space_the_worst_point_of_the_ball_is_found(norm, semantics):
    direction = torch.randn(SHAPE, generator=generator())
    model, images = half_space(direction, float(direction.sum() / 2)), grey(6, SHAPE)
    labels = torch.tensor([0, 1, 0, 1, 0, 1])
    unit = direction / direction.norm() if norm == "l2" else direction.sign()
    towards = torch.where(labels == 0, 1.0, -1.0).view(-1, 1, 1, 1)
    settings = crafting(norm=norm, semantics=semantics, epsilon=0.2, step_size=0.1, steps=60)
    found = adversarial.examples(model, Batch(images, labels), generator(), settings)
    torch.testing.assert_close(found, images + 0.2 * towards * unit, rtol=0, atol=1e-4)


def test_a_confident_model_holds_the_papers_steps_back_and_not_the_strict_ones():
    direction = torch.ones(SHAPE)
    model = Scaled(half_space(direction, 8.0), 40.0)
    images, labels = torch.full((6, *SHAPE), 0.58), torch.ones(6, dtype=torch.int64)
    moved = {}
    for semantics in ("paper", "strict"):
        with seen(model) as batches:
            found = adversarial.examples(model, Batch(images, labels), generator(), crafting(semantics=semantics))
        moved[semantics] = (found - batches[0]).flatten(1).norm(dim=1)
    assert moved["paper"].max() < 1e-3 and moved["strict"].min() > 0.1


@pytest.mark.parametrize("count", [1, 6])
def test_a_crafting_step_of_the_paper_shrinks_with_the_batch_whose_mean_it_takes(count):
    """In a ball larger than the box the start is the drawn image, and the step gradient / N / max(|gradient| / N, 1e-6)."""
    model = Scaled(half_space(torch.ones(SHAPE), 4.0), 4.0).double()
    data = Batch(grey(count, SHAPE).double(), torch.ones(count, dtype=torch.int64))
    with seen(model) as batches:
        found = adversarial.examples(model, data, generator(), crafting(semantics="paper", epsilon=100.0, steps=1, step_size=0.5))
    start = batches[0].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(model(start), data.labels, reduction="sum"), start)
    length = gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1) / count
    assert (length < 1e-6).any() or count == 1
    expected = (start + 0.5 * gradient / count / length.clamp_min(1e-6)).clamp(0, 1)
    torch.testing.assert_close(found, expected.detach())


def test_without_an_epsilon_the_loss_is_the_cross_entropy_of_the_images():
    model, data = smooth(3, SHAPE).double(), batch(targets=False)
    with seen(model) as batches:
        loss, terms = adversarial.loss(model, data, generator(), crafting(epsilon=None))
    assert loss.item() == pytest.approx(mean_cross_entropy(model, data.images)) and len(batches) == 1
    assert terms["train_accuracy"].item() == pytest.approx((model(data.images).argmax(1) == LABELS).double().mean().item())


def test_with_an_epsilon_the_loss_is_that_of_the_examples_in_place_of_the_images():
    model, data = smooth(3, SHAPE).double(), batch(targets=False)
    examples = adversarial.examples(model, data, generator(), crafting())
    loss, terms = adversarial.loss(model, data, generator(), crafting())
    assert loss.item() == pytest.approx(mean_cross_entropy(model, examples))
    assert loss.item() > mean_cross_entropy(model, data.images) + 0.01
    loss.backward()
    assert all(weight.grad.abs().max() > 0 for weight in model.parameters())


@pytest.mark.parametrize("name", ["train", "eval"])
def test_crafting_happens_in_the_asked_mode_and_learning_in_train_mode(name):
    model = smooth(3, SHAPE, dropout=0.5).train()
    modes = []
    model.register_forward_pre_hook(lambda module, inputs: modes.append((module.training, module[1].weight.requires_grad)))
    adversarial.loss(model, batch(False, torch.float32), generator(), crafting(mode=name, steps=3))
    assert modes == [(name == "train", False)] * 3 + [(True, True)]


def test_dropout_acts_while_crafting_in_train_mode_only():
    model, data = smooth(3, SHAPE, dropout=0.5).train(), batch(False, torch.float32)
    for name in ("eval", "train"):
        found = []
        with torch.random.fork_rng():
            for seed in (0, 1):
                torch.manual_seed(seed)
                found.append(adversarial.examples(model, data, generator(), crafting(mode=name)))
        assert torch.equal(*found) == (name == "eval")


def test_the_model_comes_back_from_crafting_as_it_was():
    model = smooth(3, SHAPE, dropout=0.5).train()
    model[3].eval()
    model[4].bias.requires_grad_(False)
    adversarial.examples(model, batch(False, torch.float32), generator(), crafting())
    assert [module.training for module in model.modules()] == [True, True, True, True, False, True]
    assert [weight.requires_grad for weight in model.parameters()] == [True, True, True, False]
    assert all(weight.grad is None for weight in model.parameters())


def test_crafting_draws_from_the_given_generator_alone():
    model, data = smooth(3, SHAPE), batch(False, torch.float32)
    state = torch.get_rng_state()
    first, again, other = (adversarial.examples(model, data, generator(seed), crafting(steps=1)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other) and torch.equal(torch.get_rng_state(), state)


def starts(norm: str, semantics: str, count: int = 2000) -> Tensor:
    """Starting perturbations (count, 6) of crafting, in a ball of radius 0.25 around grey images."""
    model, images = smooth(2, (1, 2, 3)), torch.full((count, 1, 2, 3), 0.5)
    with seen(model) as batches:
        data = Batch(images, torch.zeros(count, dtype=torch.int64))
        adversarial.examples(model, data, generator(), crafting(norm=norm, semantics=semantics, epsilon=0.25, steps=1))
    return (batches[0] - images).flatten(1).double()


def largest_gap(values: np.ndarray) -> float:
    """The Kolmogorov-Smirnov statistic against the uniform distribution on [0, 1], times sqrt(n)."""
    return float(np.abs(np.sort(values) - np.arange(len(values)) / len(values)).max() * len(values) ** 0.5)


def test_strict_crafting_starts_uniformly_in_the_ball():
    points = starts("l2", "strict")
    assert largest_gap((points.norm(dim=1) / 0.25).numpy() ** 6) < 1.95
    assert points.mean(0).abs().max() < 0.01


def test_the_papers_crafting_starts_on_the_sphere():
    lengths = starts("l2", "paper").norm(dim=1)
    assert lengths.max() <= 0.25 * (1 + rounding(0.25, "l2", (6,))) and (lengths > 0.2499).double().mean() > 0.99


@pytest.mark.parametrize("semantics", ["paper", "strict"])
def test_linf_crafting_starts_uniformly_in_the_cube(semantics):
    points = starts("linf", semantics)
    assert largest_gap((points / 0.5 + 0.5).flatten().numpy()) < 1.95


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda: interpretation.Settings(-1.0, 0.0, "batch"), "lambda_d must not be negative, got -1.0"),
        (lambda: interpretation.Settings(0.0, -1.0, "batch"), "lambda_m must not be negative, got -1.0"),
        (lambda: interpretation.Settings(0.0, 0.0, "batch", epochs=0), "epochs must be positive or null, got 0"),
        (lambda: jacobian.Settings(1.0, "norm", 0, "batch", epochs=-1), "epochs must be positive or null, got -1"),
        (lambda: adversarial.Settings(None, "l2", 0.1, 1, "eval", "strict", 0), "epochs must be positive or null, got 0"),
        (lambda: crafting(ramp=-0.1), "ramp must lie in .0, 0.5., got -0.1"),
        (lambda: crafting(ramp=0.6), "ramp must lie in .0, 0.5., got 0.6"),
        (lambda: jacobian.Settings(-1.0, "norm", 0, "batch"), "lambda_j must not be negative, got -1.0"),
        (lambda: jacobian.Settings(1.0, "norm", -1, "batch"), "projections must be 0 .exact. or more, got -1"),
        (lambda: jacobian.Settings(1.0, "norm", 1, "batch", masks="per_row"), "masks must be shared with projections, .* got 1"),
        (lambda: jacobian.Settings(1.0, "norm", 0, "batch", class_factor=False), "class_factor must be true for the exact Jacobian"),
        (lambda: jacobian.Settings(1.0, "norm", 0, "batch", batch_divisor=0), "batch_divisor must be positive, got 0"),
        (lambda: crafting(epsilon=0.0), "epsilon must be positive or null, got 0.0"),
        (lambda: crafting(step_size=0.0), "step_size must be positive, got 0.0"),
        (lambda: crafting(steps=0), "steps must be positive, got 0"),
    ],
)
def test_unusable_settings_are_refused(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()


def test_a_loss_has_parts_only_where_no_image_feels_how_many_others_there_are() -> None:
    """The paper's PGD takes a mean loss's gradient over a floor, so its step depends on the size of the batch."""
    strict = adversarial.Settings(1.5, "l2", 0.5, 3, "eval", "strict")
    assert adversarial.additive(strict) and adversarial.additive(replace(strict, semantics="paper", epsilon=None))
    assert not adversarial.additive(replace(strict, semantics="paper"))
