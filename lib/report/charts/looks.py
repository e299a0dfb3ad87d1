"""How a row looks in every chart: colour by family, in light and in dark, and a shape and a dash that need no colour."""

from dataclasses import dataclass
from typing import Any

from lib.report.drawing import INK, MUTED, RULE, colours
from lib.report.families import Family, families
from lib.report.results import Evidence, labels

# The families' hues on a dark page, each shade with a contrast of at least 3 with DARK_CARD.
DARK_SHADES: dict[Family, tuple[str, ...]] = {
    "standard": ("#9aa1ad", "#c3c8d1"),
    "adversarial": ("#4f9bd9", "#a8d1f7", "#3f86cc"),
    "jacobian": ("#2fb592", "#8fdcc5"),
    "other": ("#d08a66", "#eec2aa"),
    "permuted": ("#e3bd3f", "#fbf0c9", "#a9b53c", "#d9a09a"),
    "non_robust": ("#b48ad0", "#dcc3ee", "#9a70c0"),
    "robust": ("#f08a4b", "#ffc09a", "#d95a2b"),
}
LIGHT_CARD, DARK_CARD = "#ffffff", "#1b1f27"
SHAPES: dict[Family, str] = {
    "standard": "circle",
    "adversarial": "square",
    "jacobian": "triangle-up",
    "permuted": "diamond",
    "non_robust": "triangle-down",
    "robust": "cross",
    "other": "triangle-right",
}
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])  # of the first, second, ... row of a family
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif'


@dataclass(frozen=True)
class Look:
    """One row: its key, what it is called, its colour on white and on dark, Vega's name of its symbol, and the dash of its line."""

    row: str
    name: str
    light: str
    dark: str
    shape: str
    dash: list[int]


def looks(evidence: Evidence) -> list[Look]:
    """Every row, in the order of params.yaml."""
    light, names, used = colours(), labels(evidence.rows), dict.fromkeys(SHAPES, 0)
    found = []
    for row, family in families().items():
        place = used[family]
        used[family] += 1
        dark = DARK_SHADES[family][place % len(DARK_SHADES[family])]
        found.append(Look(row, names[row], light[row], dark, SHAPES[family], DASHES[place % len(DASHES)]))
    return found


def themes(found: list[Look]) -> dict[str, dict[str, Any]]:
    """Vega-Lite's config for the light and the dark page: charts name no colours but `category`, one per row, and so follow the page."""
    light = _theme([look.light for look in found], INK, MUTED, RULE)
    dark = _theme([look.dark for look in found], "#e7eaf0", "#9aa4b5", "#2e3440")
    return {"light": light, "dark": dark}


def _theme(category: list[str], ink: str, muted: str, rule: str) -> dict[str, Any]:
    axis: dict[str, Any] = {"labelColor": muted, "titleColor": ink, "gridColor": rule, "domainColor": muted, "tickColor": muted}
    axis |= {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "labelOverlap": True}
    return {
        "background": "transparent",
        "font": FONT,
        "view": {"stroke": None},
        "axis": axis,
        "range": {"category": category},
        "text": {"color": ink},
        "legend": {"labelColor": ink, "labelFontSize": 12, "symbolType": "square"},
        "rule": {"color": muted},
        "style": {"bar": {"color": muted}, "seed": {"stroke": ink}, "contrast": {"color": ink}},
    }
