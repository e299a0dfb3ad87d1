"""A picture of the first maps of a target set, of different classes where the images are at hand."""

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.base import files, image_file
from lib.base.errors import require
from lib.report.drawing import INK, MUTED, STYLE
from lib.sharing.inspection import facts, streams
from lib.sharing.inspection.provenance import printable
from lib.targets import target_file

COLOURS = "RdBu_r"
COUNT = 10
SIDE = 1.05  # inches of a picture with its margins
CLIPPED = 99.5  # percentile of the absolute values that the scale ends with, lest one pixel make all others pale


def draw(path: Path, out: Path, images: Path | None = None) -> None:
    """Write the picture to `out`: up to ten maps on one colour scale, each below its image where `images` is given.

    Raises:
        InputError: the maps are not those of these images, or `out` is no .png.
    """
    require(out.suffix == ".png", f"the gallery must be a .png file, got {out}")
    with streams.opened(path) as (header, maps):
        first, title = maps.place.first, f"{header.name}, {facts.extent(maps.place, maps.shape)}"
        if images is None:
            rows, pictures, labels = np.arange(min(COUNT, len(maps))), None, None
        else:
            with image_file.opened(images, "train") as train:
                target_file.fit(path, header, maps, train)
                labels = train.labels[first : first + len(maps)]
                rows = _of_different_classes(labels)
                pictures, labels = np.stack([train.images[first + row] for row in rows]), labels[rows]
        shown = maps[rows].mean(1)
    titles = [f"row {first + row}" + ("" if labels is None else f"\nclass {labels[place]}") for place, row in enumerate(rows)]
    with plt.rc_context(STYLE):
        figure = _figure(printable(title), titles, pictures, shown)
        try:
            _save(figure, out)
        finally:
            plt.close(figure)


def _of_different_classes(labels: np.ndarray) -> np.ndarray:
    """Positions of the first image of each class, in order.

    >>> _of_different_classes(np.array([5, 5, 0, 5, 4]))
    array([0, 2, 4])
    """
    return np.sort(np.unique(labels, return_index=True)[1])[:COUNT]


def _figure(title: str, titles: list[str], pictures: np.ndarray | None, shown: np.ndarray) -> Figure:
    lines = 1 if pictures is None else 2
    wide = max(len(titles), 5) * SIDE
    figure = plt.figure(figsize=(wide, SIDE * lines + 1.05), layout="constrained")
    figure.suptitle(title, fontsize=9.5, color=INK)
    grid = figure.subplots(lines, len(titles), squeeze=False)
    limit = float(np.percentile(np.abs(shown), CLIPPED)) or float(np.abs(shown).max()) or 1.0
    for axes, heading in zip(grid[0], titles):
        axes.set_title(heading, fontsize=8, color=INK)
    for axes, picture in zip(grid[0], () if pictures is None else pictures):
        axes.imshow(np.squeeze(picture.transpose(1, 2, 0)), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    for axes, values in zip(grid[-1], shown):
        drawn = axes.imshow(values, cmap=COLOURS, vmin=-limit, vmax=limit, interpolation="nearest")
    for axes in grid.flat:
        _bare(axes)
    clipped = bool(np.abs(shown).max() > limit)
    bar = figure.colorbar(drawn, ax=grid, location="bottom", shrink=0.6, aspect=50, pad=0.03, extend="both" if clipped else "neither")
    bar.set_label("value of a map, one scale for all; red is above zero, blue below", fontsize=8, color=MUTED)
    bar.ax.tick_params(labelsize=7.5)
    return figure


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set(visible=True, color="#d0d5dd", linewidth=0.6)


def _save(figure: Figure, out: Path) -> None:
    """Complete or absent."""
    with files.writing(out) as part:
        figure.savefig(part, format="png", metadata={"Software": None})
