"""A training's command in several processes: started by PROCESSES=K in its environment, or by torchrun, also on several machines.

How many there are belongs to the machine, not to the experiment, so it is no parameter.
"""

import datetime
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
import torch
import torch.distributed as dist

from lib.base import lifetime
from lib.base.errors import InputError, require
from lib.network import runtime

PATIENCE = datetime.timedelta(hours=2)  # how long the others wait while the first measures an epoch or reads a file


def run(main: click.Command) -> None:
    """Run the command of a training: in processes of its own where PROCESSES says so, as one of several under torchrun, else as it is."""
    if dist.is_torchelastic_launched():
        return _one_of_several(main)
    asked = _asked()
    if asked == 1:
        return main()
    sys.exit(_started(asked))


def _asked() -> int:
    """PROCESSES, checked; a sentence where they cannot be had."""
    told = os.environ.get("PROCESSES", "1")
    with _told():
        require(told.isascii() and told.isdigit() and int(told) > 0, f"PROCESSES must be a positive whole number, got {told!r}")
        if int(told) > 1:
            _require_devices(int(told))
    return int(told)


def _require_devices(processes: int) -> None:
    """One GPU for each process, or the CPU for all."""
    there, enough = torch.cuda.device_count(), f"{processes} processes need as many GPUs, this machine has"
    require(_kind() == "cpu" or processes <= there, f"{enough} {there}; DEVICE=cpu does without")


def _kind() -> str:
    """What the processes compute on."""
    name = runtime.wanted()
    require(name in ("cpu", "cuda"), f"DEVICE must be cpu or cuda for several processes, which take one GPU each, got {name}")
    return name


@contextmanager
def _told() -> Iterator[None]:
    """A sentence about bad input ends this process as it ends a command."""
    try:
        yield
    except InputError as error:
        click.ClickException(str(error)).show()
        sys.exit(1)


def _started(processes: int) -> int:
    """Start this very command `processes` times on this machine and wait; returns the exit status."""
    from torch.distributed import run as torchrun  # takes a second to import
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    os.environ[lifetime.ENDS_WITH] = str(os.getpid())
    logging.disable(logging.ERROR)  # a failure is told by the process that failed
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    specification = sys.modules["__main__"].__spec__
    assert specification is not None, "a stage is started as python -m stages.<name>"
    words = ["--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", str(processes), "-m", specification.name, *sys.argv[1:]]
    try:
        torchrun.run(torchrun.parse_args(words))
    except ChildFailedError as error:
        return _status(error.get_first_failure()[1].exitcode, processes)
    except SignalException as asked_to_end:
        return 128 + int(asked_to_end.sigval)
    return 0


def _status(code: int, processes: int) -> int:
    if code < 0:
        ended = f"one of the {processes} processes was ended by signal {-code}, the others were stopped"
        click.ClickException(ended).show()
    return code if code > 0 else 128 - code


def _one_of_several(main: click.Command) -> None:
    """Join the others and run the command; what it has to complain about is said by one of them."""
    lifetime.end_with(os.getppid())
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches all of them: none has anything to say
    store = _joined()
    try:
        main.main(standalone_mode=False)
    except click.ClickException as error:
        if _was_told(store):
            sys.exit(0)  # a failure would end the others before their sentence stands there
        error.show()
        sys.exit(error.exit_code)
    dist.destroy_process_group()


def _was_told(store: dist.Store) -> bool:
    """Whether another process has met bad input before."""
    try:
        return store.add("complaints", 1) > 1
    except dist.DistError:
        return True  # whoever kept the store has ended


def _joined() -> dist.Store:
    """Enter the group of processes that torchrun has started, each on a GPU of its own where there are any."""
    with _told():
        backend, place = {"cpu": "gloo", "cuda": "nccl"}[_kind()], int(os.environ["LOCAL_RANK"])
        _require_devices(int(os.environ["LOCAL_WORLD_SIZE"]))
    if backend == "nccl":
        torch.cuda.set_device(place)
        os.environ["DEVICE"] = f"cuda:{place}"
    store, rank, world = next(dist.rendezvous("env://", timeout=PATIENCE))
    dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=PATIENCE)
    return store
