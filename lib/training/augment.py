"""Random changes of training images, which their target maps follow."""

import torch
import torch.nn.functional as F
from torch import Tensor


def crop_and_flip(images: Tensor, targets: Tensor | None, generator: torch.Generator, padding: int = 4) -> tuple[Tensor, Tensor | None]:
    """Crop each image at random after zero padding and mirror half of them; each target follows its image (Sec. 4.3).

    Args:
        images: (N, C, H, W).
        targets: (N, C', H, W) of the same type and on the same device, or None.
        generator: on the device of `images`.
        padding: zeros added on every side; each of the (2·padding + 1)² shifts is equally likely, drawn once per image.

    Returns:
        The changed images and targets, of the shapes given.
    """
    stack = images if targets is None else torch.cat([images, targets], 1)
    padded = F.pad(stack, [padding] * 4)
    pixels = _windows(len(stack), stack.shape[2], stack.shape[3], padding, generator)
    moved = padded.flatten(2).gather(2, pixels[:, None].expand(-1, stack.shape[1], -1)).view_as(stack)
    channels = images.shape[1]
    return moved[:, :channels], None if targets is None else moved[:, channels:]


def thresholded(maps: Tensor, phi: float | None, ddof: int) -> Tensor:
    """Zero every value inside [mean - phi std, mean + phi std] of its own map, over all channels (Sec. 3.1), as
    `lib.targets.transforms.threshold` does once and for all; here for maps that were cropped and flipped first, whose padding enters mean
    and deviation.

    Args:
        maps: (N, C, H, W).
        phi: number of standard deviations; None leaves the maps as they are.
        ddof: squared deviations are divided by the number of values minus this.

    >>> thresholded(torch.tensor([[[[0.0, 0.0, 0.0, 1.0]]]]), 1.0, ddof=1)
    tensor([[[[0., 0., 0., 1.]]]])
    """
    if phi is None:
        return maps
    flat = maps.flatten(1).double()
    kept = (flat - flat.mean(1, keepdim=True)).abs() > phi * flat.std(1, correction=ddof, keepdim=True)
    return torch.where(kept.view_as(maps), maps, 0)


def _windows(count: int, height: int, width: int, padding: int, generator: torch.Generator) -> Tensor:
    """For each image a random window of the padded one, mirrored with probability 1/2: the places (N, H·W) of its pixels in it."""
    device = generator.device
    tops, lefts = torch.randint(2 * padding + 1, (2, count, 1), generator=generator, device=device)
    mirrored = torch.rand(count, 1, generator=generator, device=device) < 0.5
    rows = tops + torch.arange(height, device=device)
    columns = lefts + torch.arange(width, device=device)
    columns = torch.where(mirrored, columns.flip(1), columns)
    return (rows[:, :, None] * (width + 2 * padding) + columns[:, None, :]).flatten(1)
