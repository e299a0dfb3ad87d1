"""The figures that show images: target interpretations (Figure 1), permuted ones (Figure 2), gradients of the trained networks."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from lib.base import params
from lib.base.errors import require
from lib.base.image_file import Split
from lib.report.drawing import INK, MUTED, drawn
from lib.report.families import is_robust, permuted_targets, teacher_targets
from lib.report.figures import Picture
from lib.report.results import Evidence, labels
from lib.targets import target_file, transforms

SHORT = {"simple": "simp", "smoothgrad": "SmG"}
COLOURS = "RdBu_r"
SCALE = "Red pixels speak for the label, blue ones against it; each map has its own scale, symmetric about zero (white)."


def target_figure(train: Split, targets: Path, folder: Path) -> Picture | None:
    """Figure 1: the thresholded target interpretations of every teacher and method; None if no target set is there."""
    names = {
        name: f"{'R' if is_robust(teacher) else 'NR'}, {SHORT.get(method, method)}" for name, (teacher, method) in teacher_targets().items()
    }
    if len(set(names.values())) < len(names):
        names = {name: f"{teacher}, {SHORT.get(method, method)}" for name, (teacher, method) in teacher_targets().items()}
    present = {name: heading for name, heading in names.items() if (targets / f"{name}.h5").is_file()}
    if not present:
        return None
    rows = chosen_rows(train)
    columns = {heading: _targets(targets / f"{name}.h5", train, rows) for name, heading in present.items()}
    _draw(folder / "fig1_targets", _pixels(train, rows), columns)
    caption = f"Target interpretations after the threshold: R from a robust teacher, NR from a non-robust one. {SCALE}"
    alt = f"Grid of {len(rows)} images, each with its target interpretations: {'; '.join(columns)}."
    return Picture("fig1_targets", "Figure 1. What the students are asked to resemble", caption, alt, _width(columns), vector=False)


def permuted_figure(train: Split, targets: Path, folder: Path) -> Picture | None:
    """Figure 2: one target set and its permuted versions; None if no permuted one is there."""
    present = {name: fraction for name, fraction in permuted_targets().items() if (targets / f"{name}.h5").is_file()}
    if len(present) < 2:
        return None
    rows = chosen_rows(train)
    columns = {f"{fraction:.0%}": _targets(targets / f"{name}.h5", train, rows) for name, fraction in present.items()}
    _draw(folder / "fig2_permuted", _pixels(train, rows), columns)
    caption = f"The targets {target_words(params.value('permute', 'source'))} with a growing share of their pixels permuted. {SCALE}"
    alt = f"Grid of {len(rows)} images, each with its target after permuting {', '.join(columns)} of the pixels."
    return Picture("fig2_permuted", "Figure 2. Taking the interpretation out of the targets", caption, alt, _width(columns), vector=False)


def target_words(name: str) -> str:
    """A target set as the tables call it: `(R, SmG)`."""
    teacher, method = teacher_targets().get(name, (name, ""))
    return f"({teacher}, {SHORT.get(method, method)})" if method else name


def gradient_figure(evidence: Evidence, train: Split, folder: Path) -> Picture | None:
    """The trained networks' own gradients on a few train images; None if no maps were kept."""
    shown = {key: name for key, name in labels(evidence.rows).items() if evidence.rows[key].threats == "table"}
    kept = min(len(evidence.examples[key]) for key in shown)
    if kept == 0:
        return None
    rows = evidence.example_rows[:kept]
    places = _of_different_classes(train.labels[rows], params.value("report", "gallery"))
    columns = {name.replace("(", "\n(", 1): evidence.examples[key][places] for key, name in shown.items()}
    _draw(folder / "fig8_gradients", _pixels(train, rows[places]), columns)
    caption = f"Gradient of the label’s logit at train images, one column per training technique, first seed. {SCALE}"
    alt = f"Grid of {len(places)} images with the input gradients of {len(shown)} trained networks."
    return Picture("fig8_gradients", "Figure 8. The gradients that training produced", caption, alt, _width(columns), vector=False)


def chosen_rows(train: Split) -> np.ndarray:
    """The first train images of as many different classes as `report.gallery` asks for."""
    return _of_different_classes(train.labels, params.value("report", "gallery"))


def _of_different_classes(labels_of: np.ndarray, count: int) -> np.ndarray:
    """Positions of the first image of each new class, `count` at most.

    >>> _of_different_classes(np.array([5, 5, 0, 5, 4]), 2)
    array([0, 2])
    """
    require(type(count) is int and count > 0, f"report.gallery must be a positive integer, got {count!r}")
    _, first = np.unique(labels_of, return_index=True)
    return np.sort(first)[:count]


def _targets(path: Path, train: Split, rows: np.ndarray) -> np.ndarray:
    with target_file.opened(path) as (header, maps):
        target_file.fit(path, header, maps, train)
        require(header.name == path.stem, f"{path} says that it holds the targets {header.name!r}")
        return transforms.finished(header.provenance, maps[rows])


def _pixels(train: Split, rows: np.ndarray) -> np.ndarray:
    return np.stack([train.images[row] for row in rows])


def _draw(path: Path, images: np.ndarray, columns: dict[str, np.ndarray]) -> None:
    """Images in the first column, then one column of maps (N, C, H, W) under each heading."""
    count, wide = len(images), len(columns) + 1
    extra = 0.2 if any("\n" in heading for heading in columns) else 0
    with drawn(path, _width(columns), 0.75 + extra + 1.02 * count) as figure:
        grid = figure.subplots(count, wide, squeeze=False)
        for line, image in enumerate(images):
            _image(grid[line, 0], image)
            for axes, maps in zip(grid[line, 1:], columns.values()):
                _map(axes, maps[line])
        for axes, heading in zip(grid[0], ["image", *columns]):
            axes.set_title(heading, fontsize=8.5, color=INK)
        _legend(figure, grid)


def _width(columns: dict[str, np.ndarray]) -> float:
    """In inches, with the column of images."""
    return 0.25 + 1.02 * (len(columns) + 1)


def _image(axes: Axes, image: np.ndarray) -> None:
    shown = image.transpose(1, 2, 0)
    axes.imshow(shown[..., 0] if shown.shape[-1] == 1 else shown, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    _bare(axes)


def _map(axes: Axes, values: np.ndarray) -> None:
    flat = values.mean(0)
    limit = float(np.abs(flat).max()) or 1.0
    axes.imshow(flat, cmap=COLOURS, vmin=-limit, vmax=limit, interpolation="nearest")
    _bare(axes)


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, color="#d0d5dd", linewidth=0.6)


def _legend(figure: Figure, grid: np.ndarray) -> None:
    bar = figure.colorbar(ScalarMappable(Normalize(-1, 1), COLOURS), ax=grid, location="bottom", shrink=0.45, aspect=40, pad=0.015)
    bar.set_ticks([-1, 0, 1], labels=["against the label", "0", "for the label"], fontsize=7.5, color=MUTED)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)
