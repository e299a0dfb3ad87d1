"""The steps of a plan as Ray tasks, whose edges are the edges of DVC's graph. Ray decides what runs where and when, and tries again."""

import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import psutil

from lib.base.errors import InputError, require
from lib.parallel import authority, dvc_patches, lockfile, session, worker
from lib.parallel.plan import Step
from lib.parallel.resources import Resources, Table
from lib.parallel.run_state import Board
from lib.parallel.worker import Job, Outcome

os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "1")  # of 41 s each, to reach a cluster
authority.use_token()  # both before Ray reads its settings
import ray  # noqa: E402
from ray import cloudpickle  # noqa: E402
from ray._private import services  # noqa: E402
from ray.util.queue import Empty, Queue  # noqa: E402
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: E402

PARTS = ("gcs_server", "raylet")  # of Ray, without which nothing goes on
TRIES = 3  # of a step whose worker dies
SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_OF_CALLING = 10.0
# Workers need no other copy of it than the one that comes with the task.
cloudpickle.register_pickle_by_value(worker)


def connect(address: str | None, workers: int | None) -> str:
    """Join the Ray cluster at `address`, or start one on this machine that runs `workers` steps of one core at a time (None: all cores).

    Returns:
        Where its dashboard is; empty where none is installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    wanted = "Ray to start here" if address is None else f"a Ray cluster at {address}"
    try:
        if address is None:
            session.end_with_this()
            found = ray.init(address="local", num_cpus=workers, **quiet)
        else:
            _call(address)
            found = ray.init(address=address, **quiet)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # Ray's own ends in a dump of the stack
        return found.dashboard_url or ""
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise InputError(f"expected {wanted}: {' '.join(str(error).split())}") from error


def _call(address: str) -> None:
    """Raises an `OSError` if nobody is there: Ray itself would try for a quarter of an hour."""
    host, _, port = ((services.canonicalize_bootstrap_address(address) or "") if address == "auto" else address).rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), SECONDS_OF_CALLING).close()


def machine() -> dict[str, float]:
    """The most that one node of the cluster has of each resource."""
    largest: dict[str, float] = {}
    for node in _alive():
        for name, amount in node["Resources"].items():
            largest[name] = max(amount, largest.get(name, 0.0))
    return largest


def check_nodes(job: Job) -> bool:
    """Whether some node works in a clone of its own; raises `InputError` for the first node that cannot work at all."""
    probe = ray.remote(num_cpus=0)(worker.probe)
    nodes = [node["NodeID"] for node in _alive()]
    found = ray.get([probe.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(job) for node in nodes])
    for _, trouble in found:
        require(not trouble, trouble)
    return any(not shared for shared, _ in found)


def run(job: Job, steps: Sequence[Step], table: Table, given: lockfile.Entries, board: Board, look: Callable[[], None]) -> None:
    """Run all steps; `board` tells how they end. `look` is called every half second.

    Raises:
        InputError: Ray, started by this process, has ended.
    """
    ours = {process.pid: process.name() for process in psutil.Process().children() if process.name() in PARTS}
    queue = Queue(actor_options={"num_cpus": 0, "max_restarts": -1})
    tasks = _submit(job, steps, table, given, partial(worker.tell, queue))
    names = {task: name for name, task in tasks.items()}
    waiting = list(names)
    while waiting:
        gone = next((name for pid, name in ours.items() if not dvc_patches.lives(pid)), None)
        require(gone is None, f"Ray's {gone} was ended by somebody; the same command goes on where this one stood")
        ended, waiting = ray.wait(waiting, num_returns=1, timeout=SECONDS_BETWEEN_LOOKS)
        for stage, told in _heard(queue):
            board.heard(stage, told)
        for task in ended:
            board.end(_outcome(names[task], task))
        look()


def _submit(
    job: Job, steps: Sequence[Step], table: Table, given: lockfile.Entries, tell: Callable[[str, dict], None]
) -> dict[str, "ray.ObjectRef[Outcome]"]:
    """All steps at once, each with the outcomes of those that it needs as arguments."""
    task, largest, shared = ray.remote(max_retries=TRIES - 1)(worker.run), machine(), ray.put(given)
    at_home = {step.name for step in steps if not step.portable}
    found: dict[str, ray.ObjectRef[Outcome]] = {}
    for step in steps:
        takes = table.of(step.name).within(largest)
        options = takes.options() | (_here(takes) if job.remote and at_home & {step.name, *step.needs} else {})
        reads = (*step.needs, *step.given)
        needs = [found[name] for name in step.needs]
        found[step.name] = task.options(name=step.name, **options).remote(job, step.name, shared, reads, takes.environment(), tell, *needs)
    return found


def _here(takes: Resources) -> dict[str, Any]:
    """On the driver's node: what is not kept in DVC's cache cannot come from elsewhere."""
    here = ray.get_runtime_context().get_node_id()
    has = next(node["Resources"] for node in _alive() if node["NodeID"] == here)
    options = takes.within(has).options() | {"num_cpus": min(takes.cpus, has.get("CPU", 0.0))}
    return options | {"scheduling_strategy": NodeAffinitySchedulingStrategy(here, soft=False)}


def _heard(queue: Queue) -> list[tuple[str, dict]]:
    """What workers told since the last time; nothing where the queue's own process has just died."""
    try:
        return queue.get_nowait_batch(queue.qsize())
    except (Empty, ray.exceptions.RayError):
        return []


def _outcome(stage: str, task: "ray.ObjectRef[Outcome]") -> Outcome:
    """How a step ended, also where its worker did not live to tell."""
    try:
        return ray.get(task)
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()
        return Outcome(stage, "failed", because=f"its worker died {TRIES} times: {reason[0] if reason else type(error).__name__}")


def _alive() -> list[Mapping[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]
