"""The shortest adversarial perturbation known of each image, whichever attack found it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lib.attacks.work import Work, right
from lib.base.errors import require
from lib.network.projections import Norm

LONGEST_NAME = 24


def distances(candidates: Tensor, images: Tensor, norm: Norm) -> Tensor:
    """L2 norm or largest change of each image's perturbation, (N,) float32; computed in float64, so that L2 is rounded once.

    >>> distances(torch.tensor([[[[0.3, 0.4]]]]), torch.zeros(1, 1, 1, 2), "l2")
    tensor([0.5000])
    """
    delta = (candidates.double() - images.double()).flatten(1)
    return (delta.norm(dim=1) if norm == "l2" else delta.abs().amax(1)).float()


@dataclass
class Best:
    """The shortest adversarial perturbation known of each of N images in one norm.

    images (N, C, H, W) and labels (N,): what is attacked. adversarial (N, C, H, W): the nearest adversarial images, the clean image where
    none is known. radius (N,) float32: their distances, inf where none is known. by (N,) str: which attack found each, "" where none did.
    batch_size: at most so many images are shown to a model at a time.
    """

    norm: Norm
    images: Tensor
    labels: Tensor
    adversarial: Tensor
    radius: Tensor
    by: np.ndarray
    batch_size: int

    def __len__(self) -> int:
        return len(self.labels)

    @staticmethod
    def unknown(work: Work, norm: Norm) -> "Best":
        """Of the images of `work` nothing is known yet."""
        images, labels = work.batch.images, work.batch.labels
        nothing = torch.full((len(work),), torch.inf, device=images.device)
        return Best(norm, images, labels, images.clone(), nothing, np.full(len(work), "", f"U{LONGEST_NAME}"), work.batch_size)

    def offer(self, model: nn.Module, candidates: Tensor, name: str, positions: np.ndarray | None = None) -> np.ndarray:
        """Enter those of `candidates` that are finite, inside [0, 1], shorter than what is known, and adversarial in a pass of their own.

        Args:
            model: in the state in which it is attacked.
            candidates: (m, C, H, W), of the images at `positions` (None: of all, in their order).
            name: of the attack, at most 24 characters.

        Returns:
            (m,) bool, which of them were entered.

        Raises:
            InputError: the name is longer, or the candidates are not as many or not of the images' shape.
        """
        require(len(name) <= LONGEST_NAME, f"an attack's name must have at most {LONGEST_NAME} characters, got {name!r}")
        positions = np.arange(len(self)) if positions is None else positions
        index = torch.from_numpy(positions).to(self.labels.device)
        expected, offered = (len(index), *self.images.shape[1:]), tuple(candidates.shape)
        require(offered == expected, f"candidates must have the shape {expected}, got {offered}")
        candidates = candidates.detach().to(self.images)
        radius = distances(candidates, self.images[index], self.norm)
        flat = candidates.flatten(1)
        entered = (flat.amin(1) >= 0) & (flat.amax(1) <= 1) & (radius < self.radius[index])  # all false where a pixel is not a number
        asked = entered.nonzero()[:, 0]
        for part in asked.split(self.batch_size) if len(asked) else ():  # some models cannot take an empty batch
            with torch.no_grad():
                entered[part] = ~right(model(candidates[part]), self.labels[index[part]])
        place = index[entered]
        self.adversarial[place], self.radius[place] = candidates[entered], radius[entered]
        improved: np.ndarray = entered.cpu().numpy()
        self.by[positions[improved]] = name
        return improved

    def put(self, positions: np.ndarray, part: "Best") -> None:
        """Enter what is known of the images at `positions`."""
        place = torch.from_numpy(positions).to(self.labels.device)
        self.adversarial[place], self.radius[place] = part.adversarial, part.radius
        self.by[positions] = part.by
