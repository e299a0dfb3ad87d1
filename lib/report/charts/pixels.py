"""Images and saliency maps as small PNG files that go into the page itself; the same values give the same bytes."""

from base64 import b64encode
from functools import cache
from io import BytesIO

import numpy as np
from markupsafe import Markup
from PIL import Image

# ColorBrewer's RdBu: blue below zero, white, red above; colour-blind people tell the ends apart, and lightness the distance from zero.
ANCHORS = ["053061", "2166ac", "4393c3", "92c5de", "d1e5f0", "f7f7f7", "fddbc7", "f4a582", "d6604d", "b2182b", "67001f"]
LEVELS = 127  # on each side of zero, so that zero has a colour of its own in the middle
SIDE = 64  # larger pictures are averaged down to this many pixels, or a page of 224 x 224 maps would have tens of megabytes


@cache
def palette() -> np.ndarray:
    """The colours from -1 to 1, (2 LEVELS + 1, 3) uint8; the middle one is that of zero.

    >>> palette()[LEVELS].tolist()
    [247, 247, 247]
    """
    anchors = np.array([list(bytes.fromhex(anchor)) for anchor in ANCHORS], float)
    places, known = np.linspace(-1, 1, 2 * LEVELS + 1), np.linspace(-1, 1, len(anchors))
    return np.stack([np.interp(places, known, channel) for channel in anchors.T], -1).round().astype(np.uint8)


def flat(values: np.ndarray) -> np.ndarray:
    """A map (C, H, W) as it is shown, (h, w) float32: the mean over its channels, at most `SIDE` pixels a side."""
    return _reduced(values.mean(0, dtype=np.float64).astype(np.float32))


def coloured(values: np.ndarray, limit: float | None = None) -> np.ndarray:
    """The colours (h, w, 3) uint8 of values (h, w), divided by `limit`, or the largest absolute one; zero has the middle colour."""
    limit = float(np.abs(values).max()) if limit is None else limit
    share = values.astype(np.float64) / limit if limit > 0 else np.zeros(values.shape)
    return palette()[LEVELS + np.round(LEVELS * share).astype(int)]


def of_map(values: np.ndarray, limit: float | None = None) -> Markup:
    """The PNG of a map (h, w), as a data URI; colours as in `coloured`."""
    return _data_uri(coloured(values, limit))


def of_image(pixels: np.ndarray) -> Markup:
    """The PNG of an image (C, H, W) uint8, grey or with three channels, as a data URI."""
    shown = np.stack([_reduced(channel.astype(np.float32)) for channel in pixels], -1)
    shown = np.round(shown).astype(np.uint8)
    return _data_uri(shown[..., 0] if shown.shape[-1] == 1 else shown)


def _reduced(values: np.ndarray) -> np.ndarray:
    """Values (h, w) float32, averaged over equal areas if a side is longer than `SIDE`."""
    height, width = values.shape
    factor = SIDE / max(height, width)
    if factor >= 1:
        return values
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BOX))


def _data_uri(pixels: np.ndarray) -> Markup:
    """Colours (h, w, 3) or greys (h, w), uint8."""
    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", optimize=True)
    return Markup(f"data:image/png;base64,{b64encode(file.getvalue()).decode('ascii')}")
