"""What an instance of a stage takes of a machine: one small table, resources.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.base import params
from lib.base.errors import require

GIB = 2**30


@dataclass(frozen=True)
class Resources:
    """`cpus` cores (and threads), `gpus` GPUs or a fraction of one, `memory` GiB of main memory."""

    cpus: int
    gpus: float
    memory: float

    def __post_init__(self) -> None:
        require(self.cpus >= 1, f"cpus must be at least 1, got {self.cpus}")
        whole = self.gpus >= 0 and (self.gpus < 1 or self.gpus == int(self.gpus))
        require(whole, f"gpus must be a fraction below 1 or a whole number, got {self.gpus}")
        require(self.memory >= 0, f"memory must not be negative, got {self.memory}")

    def within(self, machine: Mapping[str, float]) -> "Resources":
        """These, or all that the largest node of a cluster has if that is less; without GPUs none are asked for.

        >>> Resources(8, 0.5, 1.0).within({"CPU": 2.0, "memory": 4.0 * GIB})
        Resources(cpus=2, gpus=0.0, memory=1.0)
        """
        cpus = min(self.cpus, max(1, int(machine.get("CPU", 1))))
        return Resources(cpus, min(self.gpus, machine.get("GPU", 0.0)), min(self.memory, machine.get("memory", 0.0) / GIB))

    def environment(self) -> dict[str, str]:
        """As many threads as cores; a training that has several GPUs takes a process for each (lib/training/launch.py)."""
        processes = {"PROCESSES": str(int(self.gpus))} if self.gpus > 1 else {}
        return {"OMP_NUM_THREADS": str(self.cpus)} | processes

    def options(self) -> dict[str, Any]:
        """The same as options of a Ray task."""
        return {"num_cpus": self.cpus, "num_gpus": self.gpus, "memory": int(self.memory * GIB)}


class Table:
    """The resources of every kind of stage."""

    def __init__(self, path: Path) -> None:
        """Raises `InputError` for a file that is not such a table."""
        entries = params.parsed(path)
        require(isinstance(entries, dict) and "default" in entries, f"expected an entry `default` in {path}")
        self._kinds = {kind: params.parse(Resources, values, f"{path.name}: {kind}") for kind, values in entries.items()}

    def of(self, stage: str) -> Resources:
        """What the instance `stage` takes, "train-ir@NR_simple-0" or "studies/audit/dvc.yaml:run@jr"."""
        return self._kinds.get(kind_of(stage), self._kinds["default"])


def kind_of(stage: str) -> str:
    """The stage that an instance belongs to.

    >>> kind_of("studies/audit/dvc.yaml:run@jr"), kind_of("report")
    ('run', 'report')
    """
    return stage.rpartition(":")[2].partition("@")[0]
