"""Random phases (Theiler et al. 1992; in two dimensions): a map keeps its amplitude spectrum and loses where anything is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.base import per_image_rng


@dataclass(frozen=True)
class Settings:
    """Nothing to choose."""


def changed(maps: np.ndarray, rows: Sequence[int], settings: Settings, seed: int) -> np.ndarray:
    """Each of `maps` (N, C, H, W) with random numbers, drawn from (`seed`, row), added to the phases of its Fourier transform.

    The numbers are the phases of a white-noise image, so opposite frequencies get opposite ones and the result is real. All
    channels of a map get the same, which keeps the spectra between them too. A map keeps the amplitude of every frequency, so its
    autocorrelation, norm, mean and deviation; its values change, and a map that was zero in most places is no longer.
    """
    noise = np.fft.rfft2(per_image_rng.normal(seed, "null phase", rows, (1, *maps.shape[2:])).astype(np.float64))
    turn = noise / np.abs(noise)
    turn[:, :, 0, 0] = 1  # the mean: its phase is a sign, and it keeps it
    return np.fft.irfft2(np.fft.rfft2(maps.astype(np.float64)) * turn, s=maps.shape[2:]).astype(maps.dtype)
