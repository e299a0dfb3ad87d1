"""A picture of the first maps of a target set, of different classes where the images are at hand."""

from pathlib import Path

import numpy as np
import pandas as pd

from lib.base import files, image_file
from lib.base.errors import require
from lib.report.charts import images as charts
from lib.report.charts import pixels
from lib.report.charts.render import Figure
from lib.sharing.inspection import facts, streams
from lib.sharing.inspection.provenance import printable
from lib.targets import target_file

COUNT = 10
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
    titles = [f"row {first + row}" + ("" if labels is None else f"|class {labels[place]}") for place, row in enumerate(rows)]
    limit = float(np.percentile(np.abs(shown), CLIPPED)) or float(np.abs(shown).max()) or 1.0
    lines = [
        {"heading": name, "row": 1, "url": pixels.of_map(np.clip(values, -limit, limit), limit)} for name, values in zip(titles, shown)
    ]
    if pictures is not None:
        lines += [{"heading": name, "row": 0, "url": pixels.of_image(values)} for name, values in zip(titles, pictures)]
    chart = charts.grid(pd.DataFrame(lines).assign(said=""), titles, [0, 1] if pictures is not None else [1])
    words = f"{printable(title)}: one scale, to ±{limit:.3g}{', clipped' if np.abs(shown).max() > limit else ''}"
    with files.writing(out) as part:
        part.write_bytes(Figure("gallery", chart.properties(title=words), words).png)


def _of_different_classes(labels: np.ndarray) -> np.ndarray:
    """Positions of the first image of each class, in order.

    >>> _of_different_classes(np.array([5, 5, 0, 5, 4]))
    array([0, 2, 4])
    """
    return np.sort(np.unique(labels, return_index=True)[1])[:COUNT]
