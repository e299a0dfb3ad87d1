"""Which stages have to be looked at, and what each of them waits for: DVC's own graph, cut down to what is out of date."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import networkx as nx
from dvc.exceptions import DvcException
from dvc.repo import Repo, lock_repo
from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro
from dvc.stage import Stage

from lib.base.errors import InputError
from lib.parallel import dvc_patches


@dataclass(frozen=True)
class Step:
    """A stage that is out of date or follows from one that is.

    needs: the steps that it reads results of; it begins when all of them have ended well.
    given: up-to-date stages that it reads results of.
    portable: whether all its results are kept in DVC's cache, and so can travel through a remote.
    """

    name: str
    needs: tuple[str, ...]
    given: tuple[str, ...]
    portable: bool


@dataclass(frozen=True)
class Plan:
    """`steps` in the order of a serial `dvc repro`, `order`: all stages in that order, `unchanged`: those with nothing to do."""

    steps: tuple[Step, ...]
    order: tuple[str, ...]
    unchanged: tuple[str, ...]


def plan(root: Path, targets: Sequence[str] = (), force: bool = False) -> Plan:
    """What `dvc repro TARGETS` in the folder `root` would look at (no targets: dvc.yaml there).

    A step that follows from another may turn out to be up to date, if the other's results are what they were.

    Args:
        force: every stage is out of date.

    Raises:
        InputError: DVC cannot read the pipeline, or knows no such target.
    """
    dvc_patches.overlook_the_dead()
    try:
        return dvc_patches.patiently(lambda: _planned(root, targets, force))
    except DvcException as error:
        raise InputError(f"DVC cannot plan this: {error}") from error


def _planned(root: Path, targets: Sequence[str], force: bool) -> Plan:
    with Repo(str(root), _wait_for_lock=True) as repo, lock_repo(repo):
        stages = collect_stages(repo, targets or [str(root / "dvc.yaml")])
        graph = get_active_graph(repo.index.graph)
        ordered = plan_repro(graph, stages)
        changed = {stage for stage in ordered if force or stage.changed()}
        return _cut(graph, ordered, changed)


def _cut(graph: "nx.DiGraph", ordered: Sequence[Stage], changed: Iterable[Stage]) -> Plan:
    """An edge of DVC's graph leads from a stage to what it reads."""
    touched = set(changed).union(*(nx.ancestors(graph, stage) for stage in changed)) & set(ordered)
    steps = [_step(stage, list(graph.successors(stage)), touched) for stage in ordered if stage in touched]
    names = tuple(stage.addressing for stage in ordered)
    return Plan(tuple(steps), names, tuple(stage.addressing for stage in ordered if stage not in touched))


def _step(stage: Stage, reads: Sequence[Stage], touched: set[Stage]) -> Step:
    needs = tuple(other.addressing for other in reads if other in touched)
    given = tuple(other.addressing for other in reads if other not in touched)
    return Step(stage.addressing, needs, given, all(out.use_cache for out in stage.outs))
