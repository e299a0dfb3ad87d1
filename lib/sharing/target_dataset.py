"""Target interpretations for a torch DataLoader: one map at a time, each compared with its digest when it is read."""

import operator
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lib.base import image_file
from lib.base.errors import require
from lib.base.image_file import Opened
from lib.targets import target_file
from lib.targets.target_file import Header, Maps


class TargetMaps(Dataset):
    """`data[i]` is map i (C, H, W) float32, or with `images` (image, label, map): image (C, H, W) float32 in [0, 1], label an int.

    Row i belongs to train image i. The maps are those of the file: where its threshold is left to training (provenance,
    `threshold.when` "after"), they are not thresholded. The file is looked at once when the dataset is made, and opened when a map is
    asked for, in every worker process anew; `close`, or the end of a `with` block, closes what this process has opened.

    Attributes:
        header: what the file says of itself (lib/targets/target_file.py); `shape` (N, C, H, W); `digest` of the content.

    Raises:
        InputError: the file is damaged, a shard, or made from other images; when a map is read: it was changed since it was written.
    """

    def __init__(self, path: str | os.PathLike[str], images: str | os.PathLike[str] | None = None) -> None:
        self.path, self.images = Path(path), None if images is None else Path(images)
        self._open: tuple[int, ExitStack, Maps, Opened | None] | None = None
        self.header, self.shape, self.digest = self._look()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> Any:
        row = operator.index(index)
        if not -len(self) <= row < len(self):
            raise IndexError(f"{self.path} has {len(self)} maps, none is number {row}")
        row %= len(self)
        maps, train = self._opened()
        target = torch.from_numpy(maps[row : row + 1][0].astype(np.float32, copy=False))
        if train is None:
            return target
        part = train.rows(range(row, row + 1))
        return _pixels(part.images[0]), int(part.labels[0]), target

    def close(self) -> None:
        """Close the files that this process has opened; the next map that is asked for opens them again."""
        if self._open is not None and self._open[0] == os.getpid():
            self._open[1].close()
        self._open = None

    def __enter__(self) -> "TargetMaps":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_open": None}

    def _look(self) -> tuple[Header, tuple[int, ...], str]:
        with ExitStack() as stack:
            header, maps, _ = self._entered(stack)
            return header, maps.shape, target_file.content_digest(maps.shape, maps.digests)

    def _opened(self) -> tuple[Maps, Opened | None]:
        """The files as this process has opened them; a handle that came through a fork is its parent's and left alone."""
        if self._open is None or self._open[0] != os.getpid():
            with ExitStack() as stack:
                header, maps, train = self._entered(stack)
                found = (header, maps.shape, target_file.content_digest(maps.shape, maps.digests))
                require(found == (self.header, self.shape, self.digest), f"{self.path} was replaced by another file while it was in use")
                self._open = (os.getpid(), stack.pop_all(), maps, train)
        return self._open[2], self._open[3]

    def _entered(self, stack: ExitStack) -> tuple[Header, Maps, Opened | None]:
        header, maps = stack.enter_context(target_file.opened(self.path))
        if self.images is None:
            return header, maps, None
        train = stack.enter_context(image_file.opened(self.images, "train"))
        target_file.fit(self.path, header, maps, train)
        return header, maps, train


def _pixels(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image).float().div_(255)
