"""Image files as arrays of 8 bits: what a file says without doubt is read, everything else is refused by its name."""

import os
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from lib.base.errors import InputError, require

GREY = ("1", "L", "LA")
DIRECT = (*GREY, "RGB", "RGBA", "RGBX", "P", "PA")  # modes that hold the values of grey or RGB themselves
CONVERTED = ("CMYK", "YCbCr")
ORIENTATION = 0x0112  # of EXIF; 1: as stored


def read(paths: list[Path], size: int | None) -> tuple[np.ndarray, list[str]]:
    """Images (N, C, H, W) uint8, and sentences on what was converted: C is 1 if all are greyscale, else 3.

    All must have one size, which `size` gives them; they are turned as their EXIF orientation says.

    Raises:
        InputError: a file is no image, has transparent pixels, several frames, more than 8 bits per channel, or another size.
    """
    converted: Counter[str] = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, on metadata that are not used and on images that are large, but not too large
        images = [_pixels(paths[0], size, converted)]
        height, width = images[0].shape[1:]
        needed = 2 * len(paths) * images[0].nbytes  # each by itself and all in one array
        told = f"{len(paths)} images of {width}x{height} pixels take {needed / 2**30:.0f} GiB of memory, this machine has less"
        require(needed < memory(), f"{told}; set data.image_size, or ask for fewer")
        for path in paths[1:]:
            images.append(_pixels(path, size, converted))
            differs = f"{path} is {images[-1].shape[2]}x{images[-1].shape[1]} pixels, {paths[0]} is {width}x{height}"
            same = images[-1].shape[1:] == (height, width)
            require(same, f"all images must have one size, but {differs}; set data.image_size to resize them")
    channels = max(len(image) for image in images)
    converted["grey images among colour ones have three equal channels"] = sum(len(image) < channels for image in images)
    stacked = np.stack([np.broadcast_to(image, (channels, *image.shape[1:])) for image in images])
    return stacked, [f"{what}: {count}" for what, count in converted.items() if count]


def memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _pixels(path: Path, size: int | None, converted: Counter[str]) -> np.ndarray:
    """One image (1 or 3, H, W) uint8; with `size`, the largest centred square, resized (bicubic) to `size` x `size`."""
    from PIL import ImageOps

    image, turned = _upright(path)
    converted["images turned as their EXIF orientation says"] += turned
    if image.mode in CONVERTED:
        converted[f"images converted from {image.mode} to RGB, without regard to colour profiles"] += 1
    plain = image.convert("L" if image.mode in GREY else "RGB")
    pixels = np.asarray(plain if size is None else ImageOps.fit(plain, (size, size)))
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _upright(path: Path) -> tuple[Any, bool]:
    """The decoded image, and whether it had to be turned."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with path.open("rb") as file, Image.open(file) as image:  # opened by its path, a turned TIFF comes out scrambled
            frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)  # MPO: a JPEG with its own small copies
            deep = _deep(image)
            turned = image.getexif().get(ORIENTATION, 1) in range(2, 9)
            image.load()
            upright = ImageOps.exif_transpose(image)
            opaque = not upright.has_transparency_data or upright.convert("RGBA").getchannel("A").getextrema()[0] == 255
    except UnidentifiedImageError as error:
        raise InputError(f"{path} is not a readable image: it has no format that Pillow knows") from error
    except Exception as error:  # on damaged files Pillow raises nearly everything
        raise InputError(f"{path} is not a readable image: {error or type(error).__name__}") from error
    require(frames == 1, f"expected one image in each file, {path} has {frames} frames")
    require(not deep, f"expected images of 8 bits per channel, {path} has the mode {deep}")
    require(upright.mode in DIRECT + CONVERTED, f"expected images in grey, RGB or CMYK, {path} has the mode {upright.mode}")
    hint = "what is behind them is not in the file; put it on a background of your choice and save it as RGB"
    require(opaque, f"{path} has transparent pixels: {hint}")
    return upright, turned


def _deep(image: Any) -> str | None:
    """The mode of an image that has more than 8 bits per channel, some of which Pillow would drop without a word."""
    if image.mode[0] in "IF":
        return str(image.mode)
    settings = [tile[3] for tile in image.tile]  # of its decoders: for PNG "RGB;16B", for PPM ("RGB", highest value)
    highest = settings[0][1] if image.format == "PPM" and isinstance(settings[0], tuple) else 255
    return f"{image.mode} of 16 bits" if highest > 255 or any(";16" in str(setting) for setting in settings) else None
