"""Device, seed and determinism of one process."""

import os
import zlib

import numpy as np
import torch

from lib.base.errors import InputError


def start(seed: int, role: str) -> torch.device:
    """Make this process deterministic and return its device: CUDA where there is one, else the CPU; DEVICE=cpu overrides.

    The random state depends on `seed` and on `role` ("teacher", "student", "analysis"), so that a student never starts from the
    initial weights of the teacher whose gradients it is asked to resemble, while all students of one seed start alike.

    On the CPU it computes with one thread, or as many as OMP_NUM_THREADS says: sums over several threads round differently, and results
    should not depend on how many cores a machine has. Several stages side by side use more cores than one stage does (tools/parallel.py).
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    torch.manual_seed(derived_seed(seed, role))
    chosen = device()
    if chosen.type == "cuda":  # on a CPU nothing here is random in its order, and the switch costs a second of imports
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with it
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.allow_tf32 = False  # float32 means float32, as it does for matrix products
    return chosen


def derived_seed(seed: int, role: str) -> int:
    """A 63-bit seed for one role of one replication."""
    return int(np.random.SeedSequence([seed, zlib.crc32(role.encode())]).generate_state(1, np.uint64)[0] >> 1)


def wanted() -> str:
    """What DEVICE names, or else CUDA where there is one and the CPU where not."""
    return os.environ.get("DEVICE", "cuda" if torch.cuda.is_available() else "cpu")


def device() -> torch.device:
    """The device to compute on."""
    name = wanted()
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"DEVICE={name} is not usable here: {str(error).splitlines()[0]}") from error
    return torch.device(name)
