"""Maps made again from a teacher's weights, or from images alone, by what the provenance of a file says.

The steps run by the stages' own code: lib/targets/extraction/saliency_maps.py or lib/targets/from_images, then lib/targets/transforms.py
and lib/targets/controls.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from lib.base import choices, params
from lib.base.errors import InputError, require
from lib.base.image_file import Opened
from lib.network import batches, runtime
from lib.network.model_state import evaluating
from lib.targets import transforms
from lib.targets.extraction import saliency_maps
from lib.targets.target_file import Header

KNOWN = {"preset", "teacher", "saliency", "source", "threshold", "permute", "null"}
NEAR = 1e-4  # of phi: values this close to the threshold may fall on either side of it on another device
SOURCE_PASS = 100
Step = Callable[[np.ndarray, Sequence[int], float], np.ndarray]


@dataclass(frozen=True)
class Recipe:
    """How maps are made: `size` images at a time by `raw`, then step after step."""

    size: int
    raw: Callable[[range], np.ndarray]
    steps: tuple[Step, ...]

    def passes(self, rows: range, total: int) -> list[range]:
        """The passes that lie in `rows` as a whole; what shares a pass is computed together (lib/targets/extraction/saliency_maps.py)."""
        cut = [range(first, min(first + self.size, total)) for first in range(0, total, self.size)]
        return [one for one in cut if one.start >= rows.start and one.stop <= rows.stop]

    def bounds(self, rows: range) -> tuple[np.ndarray, np.ndarray]:
        """Maps (n, C, H, W) of one pass twice: with a threshold that is a trifle lower, and a trifle higher.

        They differ in the values that are next to the threshold, and in nothing else.
        """
        raw = self.raw(rows)
        return self._refined(raw, rows, 1 - NEAR), self._refined(raw, rows, 1 + NEAR)

    def _refined(self, maps: np.ndarray, rows: range, factor: float) -> np.ndarray:
        for step in self.steps:
            maps = step(maps, rows, factor)
        return maps


def obstacle(provenance: dict) -> str | None:
    """Why maps of this provenance cannot be made again, or None."""
    unknown = sorted(set(provenance) - KNOWN)
    if unknown:
        return f"the provenance has steps that are not known here: {', '.join(unknown)}"
    return None if ("saliency" in provenance) != ("source" in provenance) else "the provenance names neither saliency method nor source"


def recipe(path: Path, header: Header, train: Opened, model: nn.Module | None) -> Recipe:
    """How the maps of the file at `path` were made; `model` is asked for by provenances that name a teacher.

    Raises:
        InputError: the provenance names methods, settings or types that do not exist here.
    """
    told, where = header.provenance, f"{path}: provenance"
    steps = tuple(_steps(told, where, header.name))
    if "source" in told:
        return Recipe(SOURCE_PASS, _from_images(_section(told, "source", where), where, train), steps)
    require(model is not None, f"{where}: the maps of a saliency method are made from a teacher, and none is given")
    saliency = _section(told, "saliency", where)
    size = whole(saliency, "batch_size", where, least=1)
    return Recipe(size, _from_teacher(saliency, where, train, model), steps)  # type: ignore[arg-type]


def _from_teacher(told: dict, where: str, train: Opened, model: nn.Module) -> Callable[[range], np.ndarray]:
    method, seed = saliency_maps.method(str(told.get("method"))), whole(told, "seed", where)
    settings = params.parse(method.Settings, _without(told, "method", "seed", "batch_size"), f"{where}.saliency")
    device = runtime.device()

    def raw(rows: range) -> np.ndarray:
        data = batches.on_device(train.rows(rows), device)
        try:
            with evaluating(model):
                return method.maps(model, data.images, data.labels, settings, saliency_maps.noise_of(data.images, rows, seed)).cpu().numpy()
        except RuntimeError as error:
            raise InputError(f"{where}: the teacher cannot take these images: {' '.join(str(error).split())[:160]}") from error

    return raw


def _from_images(told: dict, where: str, train: Opened) -> Callable[[range], np.ndarray]:
    chosen, seed = choices.choice("lib.targets.from_images", str(told.get("name")), "target source"), whole(told, "seed", where)
    settings = params.parse(chosen.Settings, _without(told, "name", "seed"), f"{where}.source")
    pixels = np.divide(train.rows(range(len(train))).images, 255, dtype=np.float32)
    return lambda rows: chosen.maps(pixels, train.labels, rows, settings, seed)


def _steps(told: dict, where: str, name: str) -> list[Step]:
    """What follows on raw maps. A null comes last, unless the name of the set says that the permutation did."""
    before = [threshold_step(_section(told, "threshold", where), where)] if "threshold" in told else []
    after = [_permutation(_section(told, "permute", where), where)] if "permute" in told else []
    if "null" in told:
        null = _section(told, "null", where)
        is_last = name.endswith(f"_{null.get('name')}")
        after.insert(len(after) if is_last else 0, _null(null, where))
    return before + after


def threshold_step(told: dict, where: str) -> Step:
    """The threshold as `told` in a provenance, with a phi that can be moved by a factor."""
    phi = told.get("phi")
    plain = {**told, "phi": 1.0 if phi is None else phi}
    settings = params.parse(transforms.Threshold, plain, f"{where}.threshold")
    return lambda maps, rows, factor: transforms.thresholded(maps, None if phi is None else factor * settings.phi, settings)


def _permutation(told: dict, where: str) -> Step:
    settings = params.parse(transforms.Permutation, told, f"{where}.permute")
    return lambda maps, rows, factor: transforms.permute(maps, rows, settings)


def _null(told: dict, where: str) -> Step:
    chosen, seed = choices.choice("lib.targets.controls", str(told.get("name")), "null"), whole(told, "seed", where)
    settings = params.parse(chosen.Settings, _without(told, "name", "seed"), f"{where}.null")
    return partial(_changed, chosen.changed, settings, seed)


def _changed(change: Callable, settings: object, seed: int, maps: np.ndarray, rows: Sequence[int], factor: float) -> np.ndarray:
    return change(maps, rows, settings, seed)


def _section(told: dict, name: str, where: str) -> dict[str, Any]:
    require(isinstance(told[name], dict), f"{where}.{name} must be an object, got {told[name]!r}")
    return told[name]


def whole(told: dict, key: str, where: str, least: int = 0) -> int:
    """The whole number that a provenance has under `key`; raises `InputError` for anything else."""
    value = told.get(key)
    require(type(value) is int and value >= least, f"{where}: {key} must be a whole number of at least {least}, got {value!r}")
    return int(value)  # type: ignore[arg-type]


def _without(told: dict, *keys: str) -> dict[str, Any]:
    return {key: value for key, value in told.items() if key not in keys}
