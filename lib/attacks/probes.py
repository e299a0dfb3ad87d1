"""Questions to a model and to the search itself, which the gate (lib/gate) turns into verdicts.

Are the images that were found adversarial when they are asked again; is the model deterministic, does it give logits, how healthy are its
gradients; and would a longer search, float64, or an attack without gradients find anything shorter? All but the first is asked of the
first images only. Nothing that is found here enters a radius.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.attacks.best import Best, distances
from lib.attacks.losses import Loss, cross_entropy, margin
from lib.attacks.pgd import ascent
from lib.attacks.search import Settings as Search
from lib.attacks.search import search
from lib.attacks.work import Work, first, outputs, right, scattered
from lib.base import per_image_rng
from lib.base.errors import InputError, require
from lib.evaluation.outcome_file import PROBE, Record
from lib.evaluation.threats import Norm
from lib.network.batches import Batch

PASSES = 5
NEAR = 1e-6  # by how much every pixel is moved to see whether the logits jump
SHORTER = 0.9  # of the known radius: where noise is tried
HALVINGS = 8
SLOWER = 2  # a longer search takes so many times the steps in a walk


@dataclass(frozen=True)
class Settings:
    """Section `attacks.probes`: how many `images`, and `draws` of noise.

    The search is held against others in these `norms`, one of which has `longer` times its gradients.
    """

    seed: int
    images: int
    draws: int
    norms: list[Norm]
    longer: float

    def __post_init__(self) -> None:
        for name in ("images", "draws"):
            require(getattr(self, name) > 0, f"{name} must be positive, got {getattr(self, name)}")
        require(self.longer > 1, f"longer must exceed 1, got {self.longer}")
        require(len(self.norms) > 0, "norms must name at least one of l2, linf")


class Scaled(nn.Module):
    """The same decisions with logits `factor` times as large."""

    def __init__(self, model: nn.Module, factor: float) -> None:
        super().__init__()
        self.model, self.factor = model, factor

    def forward(self, images: Tensor) -> Tensor:
        return self.factor * self.model(images)


def records(model: nn.Module, work: Work, best: Mapping[Norm, Best], settings: Settings, main: Search) -> list[Record]:
    """Every probe, in every norm of `best`, which holds what is known of the images of `work`; `main` is the search that is questioned.

    `returned` is asked of all images, the others of the first `settings.images`.
    """
    found, asked = [_returned(model, known) for known in best.values()], first(work, settings.images)
    if not asked.any():
        return found
    part, some = work.take(np.flatnonzero(asked)), []
    for norm, known in best.items():
        before = torch.minimum(known.radius[torch.from_numpy(asked)], _reach(part.batch.images, norm))
        some += [_gradients(model, part, norm, before, settings), _black_box(model, part, norm, before, settings)]
        if norm in settings.norms:
            some += _searches(model, part, norm, before, settings, main)
    some.append(_forward(model, part, settings))
    return found + [scattered(replace(record, settings=asdict(settings) | record.settings), asked) for record in some]


def _returned(model: nn.Module, best: Best) -> Record:
    """The nearest adversarial images once more: how far outside the box or off their radius, and by how much the label leads, if it does.

    The lead is a share of the clean image's largest logit, because an image on the boundary may fall to either side by rounding.
    """
    known = torch.isfinite(best.radius)
    logits, before = (_logits(model, images, best.batch_size) for images in (best.adversarial, best.images))
    lead = -margin(logits, best.labels) / before.abs().amax(1).clamp_min(torch.finfo(before.dtype).tiny)
    flat = best.adversarial.flatten(1)
    outside = torch.maximum(-flat.amin(1), flat.amax(1) - 1).clamp_min(0)
    off = (distances(best.adversarial, best.images, best.norm) / best.radius - 1).abs()
    seen = {"outside": torch.maximum(outside, off), "lead": lead}
    return _probe("returned", best.norm, {name: torch.where(known, values, torch.nan) for name, values in seen.items()})


def _forward(model: nn.Module, work: Work, settings: Settings) -> Record:
    """The same images several times, each alone, and moved a little: do the logits change, are they probabilities, how many are there?"""
    images, size = work.batch.images, work.batch_size
    logits, *passes = [_logits(model, images, size) for _ in range(PASSES)]
    signs = torch.from_numpy(per_image_rng.ball(settings.seed, "probe near", work.rows, tuple(images.shape[1:]), "linf")).to(images).sign()
    spread = torch.stack([change(logits, other) for other in passes]).amax(0)
    alone, near = _logits(model, images, 1), _logits(model, (images + NEAR * signs).clamp(0, 1), size)
    sums = (logits.sum(1) - 1).abs() < 1e-5
    probabilities = sums & (logits.amin(1) >= 0) & (logits.amax(1) <= 1)
    seen = {"spread": spread, "alone": change(logits, alone), "near": change(logits, near), "probabilities": probabilities}
    return _probe("forward", "none", {**seen, "classes": np.full(len(work), logits.shape[1])}, {"passes": PASSES})


def change(logits: Tensor, others: Tensor) -> Tensor:
    """By how much the logits (n, K) of each image differ from `others`, as a share of the largest of `logits`, (n,).

    >>> change(torch.tensor([[4.0, -8.0]]), torch.tensor([[5.0, -8.0]]))
    tensor([0.1250])
    """
    return (others - logits).abs().amax(1) / logits.abs().amax(1).clamp_min(torch.finfo(logits.dtype).tiny)


def _gradients(model: nn.Module, work: Work, norm: Norm, before: Tensor, settings: Settings) -> Record:
    """Gradients of the margin at each image and at a random point of the ball up to its radius; whether that of cross-entropy vanishes.

    `predicted` is the distance that margin and gradient predict, by Hölder's inequality, as a multiple of the known radius.
    """
    images = work.batch.images
    unit = torch.from_numpy(per_image_rng.ball(settings.seed, "probe linearity", work.rows, tuple(images.shape[1:]), norm)).to(images)
    away = (images + before.to(images).view(-1, 1, 1, 1) * unit).clamp(0, 1)
    here, lead = _ascent(model, work, images, margin)
    dual = here.flatten(1).double().norm(p=1 if norm == "linf" else 2, dim=1)
    there, entropy = _ascent(model, work, away, margin)[0], _ascent(model, work, images, cross_entropy)[0]
    seen = {
        "zero": here.flatten(1).abs().amax(1) == 0,
        "nan": ~torch.isfinite(here).flatten(1).all(1),
        "vanished": entropy.flatten(1).abs().amax(1) == 0,
        "cosine": functional.cosine_similarity(here.flatten(1).double(), there.flatten(1).double(), eps=1e-300),
        "predicted": lead.abs().double() / dual / before,
    }
    return _probe("gradients", norm, seen)


def _black_box(model: nn.Module, work: Work, norm: Norm, before: Tensor, settings: Settings) -> Record:
    """The shortest of the corners and directions of random noise inside the known radius, and of straight lines to plain images."""
    noise = _shortest(model, work, norm, [_noisy(work, norm, before, settings.seed, draw) for draw in range(settings.draws)])
    images = work.batch.images
    ends = [torch.full_like(images, level) for level in (0.0, 0.5, 1.0)] + [1 - images]
    line = _shortest(model, work, norm, [_crossing(model, work, end) for end in ends])
    return _probe("black_box", norm, {"before": before, "noise": noise, "line": line}, {"noise_at": SHORTER})


def _noisy(work: Work, norm: Norm, before: Tensor, seed: int, draw: int) -> Tensor:
    images = work.batch.images
    drawn = torch.from_numpy(per_image_rng.ball(seed, f"probe noise {draw}", work.rows, tuple(images.shape[1:]), norm)).to(images)
    unit = drawn.sign() if norm == "linf" else drawn / drawn.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return (images + SHORTER * before.to(images).view(-1, 1, 1, 1) * unit).clamp(0, 1)


def _crossing(model: nn.Module, work: Work, end: Tensor) -> Tensor:
    """Where the line from each image to `end` leaves its class, by halving; `end` itself where that does not fool the model."""
    images = work.batch.images
    low, high = (torch.full((len(work), 1, 1, 1), share, device=images.device, dtype=images.dtype) for share in (0.0, 1.0))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        fooled = _fooled(model, work, images + middle * (end - images)).view(-1, 1, 1, 1)
        low, high = torch.where(fooled, low, middle), torch.where(fooled, middle, high)
    return images + high * (end - images)


def _shortest(model: nn.Module, work: Work, norm: Norm, candidates: list[Tensor]) -> Tensor:
    """Distance (N,) of the nearest candidate of each image that fools the model; inf where none does."""
    lengths = [torch.where(_fooled(model, work, one), distances(one, work.batch.images, norm), torch.inf) for one in candidates]
    return torch.stack(lengths).amin(0)


def _searches(model: nn.Module, work: Work, norm: Norm, before: Tensor, settings: Settings, main: Search) -> list[Record]:
    """A longer search, and one walk of half the steps in float64 on logits of size 1: no match for the search unless that was blind."""
    longer = replace(main, gradients=round(settings.longer * main.gradients), steps=SLOWER * main.steps)
    classes, steps = min(main.classes, 2), max(1, main.steps // 2)
    short = replace(main, gradients=classes + steps + 1, classes=classes, steps=steps)
    asked = {"longer": (model, work, longer), "float64": (*_exact(model, work), short)}
    after = {name: search(one, part, norm, plan)[0].radius for name, (one, part, plan) in asked.items()}
    return [_probe(name, norm, {"before": before, "after": radius}, {"search": asdict(asked[name][2])}) for name, radius in after.items()]


def _exact(model: nn.Module, work: Work) -> tuple[nn.Module, Work]:
    """The model with logits of size 1, in float64 with its images where it lets itself be copied and computes so."""
    try:
        double, part = deepcopy(model).double(), replace(work, batch=Batch(work.batch.images.double(), work.batch.labels))
        return Scaled(double, 1 / _size(double, part)), part
    except (RuntimeError, TypeError, InputError):
        return Scaled(model, 1 / _size(model, work)), work


def _size(model: nn.Module, work: Work) -> float:
    """Standard deviation of the logits over the classes, of the median image; 1 where they do not differ."""
    size = float(_logits(model, work.batch.images, work.batch_size).std(1).median())
    return size if 0 < size < float("inf") else 1.0


def _fooled(model: nn.Module, work: Work, images: Tensor) -> Tensor:
    return ~right(_logits(model, images, work.batch_size), work.batch.labels)


def _logits(model: nn.Module, images: Tensor, size: int) -> Tensor:
    return torch.cat([logits for _, logits in outputs(model, images, size)])


def _ascent(model: nn.Module, work: Work, images: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
    """Gradients and losses at `images`, which belong to those of `work`."""
    parts = [
        ascent(model, images[positions], part.batch.labels, loss)
        for positions, part in ((torch.from_numpy(group), part) for group, part in work.chunks(np.arange(len(work))))
    ]
    return torch.cat([gradient for gradient, _, _ in parts]), torch.cat([losses for _, _, losses in parts])


def _reach(images: Tensor, norm: Norm) -> Tensor:
    """Length (N,) of the longest perturbation that leaves each image in the box."""
    return distances((images < 0.5).to(images), images, norm)


def _probe(name: str, norm: str, telemetry: Mapping[str, np.ndarray | Tensor], described: dict[str, Any] | None = None) -> Record:
    seen = {key: (values.cpu().numpy() if isinstance(values, Tensor) else values).astype(np.float32) for key, values in telemetry.items()}
    count = len(next(iter(seen.values())))
    return Record(PROBE, name, norm, 0.0, "worst", np.ones((1, count), bool), described or {}, seen)
