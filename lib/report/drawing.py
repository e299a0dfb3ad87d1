"""One look for all figures, one colour per row, and files that come out byte for byte the same every time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from lib.report.families import Family, families

INK, MUTED, RULE = "#1f2430", "#667085", "#e4e7ec"
# Every shade has a contrast of at least 3 with white, so that thin lines can be seen; the first ones are told apart by their lightness too.
SHADES: dict[Family, tuple[str, ...]] = {
    "standard": ("#6b7280", "#8b929e"),
    "adversarial": ("#3f8fd2", "#1f5fa8", "#12365f"),
    "jacobian": ("#12866b", "#35a085"),
    "other": ("#a0522d", "#7a3b1d"),
    "permuted": ("#a67f0a", "#5e4a06", "#7d8a12", "#a2605a"),
    "non_robust": ("#a875c8", "#7c4a9e", "#4f2a6b"),
    "robust": ("#e0702b", "#b93a14", "#852407"),
}
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "axes.edgecolor": "#98a2b3",
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.dpi": 150,
    "svg.hashsalt": "interpretation-regularization",
    "svg.fonttype": "path",
}


def colours() -> dict[str, str]:
    """A colour for every row: one hue per family, its shades in the order of params.yaml."""
    found, used = {}, dict.fromkeys(SHADES, 0)
    for row, family in families().items():
        shades = SHADES[family]
        found[row] = shades[used[family] % len(shades)]
        used[family] += 1
    return found


@contextmanager
def drawn(path: Path, width: float, height: float) -> Iterator[Figure]:
    """A figure of `width` x `height` inches that is saved as `path`.png and `path`.svg at the end of the block."""
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(width, height), layout="constrained")
        try:
            yield figure
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path.with_suffix(".png"), metadata={"Software": None})
            figure.set_layout_engine("none")  # what was laid out for the first file holds for the second
            figure.savefig(path.with_suffix(".svg"), metadata={"Date": None, "Creator": None})
        finally:
            plt.close(figure)
