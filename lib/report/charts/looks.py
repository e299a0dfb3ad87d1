"""How a row looks in every chart: colour by family, in light and in dark, and a shape and a dash that need no colour."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from lib.report.families import Family, families

INK, MUTED, RULE = "#1f2430", "#667085", "#e4e7ec"
LIGHT_CARD, DARK_CARD = "#ffffff", "#1b1f27"
# (on white, on dark) for the rows of a family; each has a contrast of at least 3 with its page, the first ones differ in lightness too.
SHADES: dict[Family, tuple[tuple[str, str], ...]] = {
    "standard": (("#6b7280", "#9aa1ad"), ("#8b929e", "#c3c8d1")),
    "adversarial": (("#3f8fd2", "#4f9bd9"), ("#1f5fa8", "#a8d1f7"), ("#12365f", "#3f86cc")),
    "jacobian": (("#12866b", "#2fb592"), ("#35a085", "#8fdcc5")),
    "other": (("#a0522d", "#d08a66"), ("#7a3b1d", "#eec2aa")),
    "permuted": (("#a67f0a", "#e3bd3f"), ("#5e4a06", "#fbf0c9"), ("#7d8a12", "#a9b53c"), ("#a2605a", "#d9a09a")),
    "non_robust": (("#a875c8", "#b48ad0"), ("#7c4a9e", "#dcc3ee"), ("#4f2a6b", "#9a70c0")),
    "robust": (("#e0702b", "#f08a4b"), ("#b93a14", "#ffc09a"), ("#852407", "#d95a2b")),
}
SHAPES: dict[Family, str] = {
    "standard": "circle",
    "adversarial": "square",
    "jacobian": "triangle-up",
    "permuted": "diamond",
    "non_robust": "triangle-down",
    "robust": "cross",
    "other": "triangle-right",
}
SYMBOLS = dict(zip(SHAPES.values(), "●■▲◆▼✚▶"))  # the same in running text
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])  # of the first, second, ... row of a family
# For what belongs to no family, in an order in which neighbours differ for any colour vision (after Okabe and Ito 2008).
NEUTRAL = (
    ("#0072b2", "#4f9bd9"),
    ("#c24a00", "#f08a4b"),
    ("#00785a", "#2fb592"),
    ("#a8467f", "#dc9cc0"),
    ("#8a6a00", "#e3bd3f"),
    ("#5b6472", "#b9c0cc"),
    ("#1f2430", "#e7eaf0"),
)
INK_NOW = alt.ExprRef(f"dark ? '#e7eaf0' : '{INK}'")  # the ink of the page that a chart stands on
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif'


@dataclass(frozen=True)
class Look:
    """What is drawn alike: its name, its colour on white and on dark, Vega's name of its symbol, and the dash of its line."""

    name: str
    light: str
    dark: str
    shape: str
    dash: list[int]


def of_rows(names: Mapping[str, str]) -> dict[str, Look]:
    """Every row of params.yaml, in its order; names: what each is called."""
    used, looks = dict.fromkeys(SHADES, 0), {}
    for row, family in families().items():
        place = used[family]
        used[family] += 1
        shades = SHADES[family][place % len(SHADES[family])]
        looks[row] = Look(names[row], *shades, SHAPES[family], DASHES[place % len(DASHES)])
    return looks


def of_names(names: Sequence[str]) -> list[Look]:
    """A look for each of several things of one kind, by its place."""
    shapes, looks = list(SHAPES.values()), []
    for place, name in enumerate(names):
        turn = place // len(NEUTRAL)
        looks.append(Look(name, *NEUTRAL[place % len(NEUTRAL)], shapes[(place + turn) % len(shapes)], DASHES[place % len(DASHES)]))
    return looks


def colour(looks: Sequence[Look], field: str = "row", legend: alt.Legend | None = None) -> alt.Color:
    """Colour by the names in `field`, which follows the page from light to dark."""
    shades = [alt.ExprRef(f"dark ? '{look.dark}' : '{look.light}'") for look in looks]
    return alt.Color(f"{field}:N", legend=legend, scale=alt.Scale(domain=[look.name for look in looks], range=shades))


def shape(looks: Sequence[Look], field: str = "row", legend: alt.Legend | None = None) -> alt.Shape:
    """Shape by the names in `field`."""
    scale = alt.Scale(domain=[look.name for look in looks], range=[look.shape for look in looks])
    return alt.Shape(f"{field}:N", legend=legend, scale=scale)


def dashed(looks: Sequence[Look], field: str = "row", legend: alt.Legend | None = None) -> alt.StrokeDash:
    """Dash by the names in `field`."""
    scale = alt.Scale(domain=[look.name for look in looks], range=[look.dash for look in looks])
    return alt.StrokeDash(f"{field}:N", legend=legend, scale=scale)


def theme(dark: bool) -> dict[str, Any]:
    """Vega-Lite's config; its parameter `dark` is what colours of rows are chosen by. Marks of the style `ink` have the page's ink."""
    ink, muted, rule = ("#e7eaf0", "#9aa4b5", "#2e3440") if dark else (INK, MUTED, RULE)
    axis = {"labelColor": muted, "titleColor": ink, "gridColor": rule, "domainColor": muted, "tickColor": muted, "labelOverlap": True}
    text = {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"}
    return {
        "params": [{"name": "dark", "value": dark}],
        "background": "transparent" if dark else LIGHT_CARD,
        "font": FONT,
        "view": {"stroke": None},
        "axis": axis | text,
        "header": {"labelColor": ink, "labelFontSize": 12, "labelFontWeight": "bold", "labelAnchor": "start", "title": None},
        "title": {"color": ink, "fontSize": 13, "fontWeight": "bold", "anchor": "start"},
        "text": {"color": ink},
        "legend": {"labelColor": ink, "titleColor": muted, "labelLimit": 0, "symbolLimit": 0, "symbolSize": 70} | text,
        "rule": {"color": muted},
        "style": {"ink": {"color": ink}, "muted": {"color": muted}, "faint": {"color": rule if dark else "#d5d9e0"}},
    }
