"""How each revision looks in charts and lists: a colour in light and in dark, and a shape and a dash that need no colour."""

from collections.abc import Sequence

from lib.report.charts.looks import DASHES, SHAPES, Look

# (on white, on dark), each with a contrast of at least 3 with its card, in an order in which neighbours differ for any colour vision.
SHADES = (
    ("#0072b2", "#4f9bd9"),
    ("#c24a00", "#f08a4b"),
    ("#00785a", "#2fb592"),
    ("#a8467f", "#dc9cc0"),
    ("#8a6a00", "#e3bd3f"),
    ("#5b6472", "#b9c0cc"),
)


def looks(names: Sequence[str]) -> list[Look]:
    """A look for each revision, by its place; the key is one that a style sheet can have."""
    shapes = list(SHAPES.values())
    found = []
    for place, name in enumerate(names):
        shade, turn = SHADES[place % len(SHADES)], place // len(SHADES)
        shape, dash = shapes[(place + turn) % len(shapes)], DASHES[place % len(DASHES)]
        found.append(Look(f"revision-{place}", name, *shade, shape, dash))
    return found
