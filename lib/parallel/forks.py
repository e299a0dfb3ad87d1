"""A process that stays beside a worker: it has loaded DVC and torch, and every step, and every stage's command, is a fork of it.

Given JSON objects on standard input, a line each (lib/parallel/step.py); answers each by its exit status on standard output. DVC runs
commands by the shell that SHELL names, here a program of a few lines that asks for a fork; what is more than `python -m MODULE WORDS` it
leaves to the real shell.

What is loaded belongs to others: the project's own modules are read anew in every fork, so that a step runs the code that DVC hashes.
A fork ends with this process, and a command with its step (Linux).
"""

import atexit
import ctypes
import importlib
import json
import os
import runpy
import select
import shlex
import shutil
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

from dvc.cli.parser import get_main_parser

from lib.base import lifetime
from lib.parallel import lockfile, step

LONGEST = 1 << 20  # bytes of a request
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
OURS = ("lib", "stages", "tools")
# What stages with a network import, and what DVC imports when it runs one.
STAGE = "numpy.random h5py click ruamel.yaml tqdm importlib.metadata torch torch.distributed safetensors.torch"
DVC = """
configobj diskcache pyparsing platformdirs.unix fsspec.implementations.memory
dvc._debug dvc.cachemgr dvc.data_cloud dvc.dirs dvc.lock dvc.scm dvc.stage.cache dvc.utils.strictyaml
dvc.repo.artifacts dvc.repo.datasets dvc.repo.open_repo dvc.repo.params dvc.repo.plots dvc.repo.reproduce dvc.repo.stage
dvc_data.hashfile.db.local dvc_data.hashfile.status dvc_data.index.checkout
scmrepo.git scmrepo.noscm dulwich.ignore dulwich.index dulwich.worktree pygit2
"""
NO_SCRIPTS = {"bash": ["--noprofile", "--norc"], "zsh": ["--no-rcs"]}  # as DVC calls these shells
SHELL = """#!{python} -IS
import json, os, re, socket, sys
command, real = sys.argv[-1], {real}
os.environ["SHELL"] = real[0]
if not re.fullmatch(r"python -m [\\w.]+( +[\\w./:=@%+,-]+)* *", command):
    os.execv(real[0], [*real, "-c", command])
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
    line.connect({place!r})
    asked = json.dumps([command, os.getcwd(), dict(os.environ), os.getppid()]).encode()
    socket.send_fds(line, [asked], [0, 1, 2])
    status = int(line.recv(8) or 255)
sys.exit(status if status >= 0 else 128 - status)
"""


class Hidden:
    """Packages that are loaded and look as if they were not, until somebody imports one of them: what a command has loaded is recorded."""

    def __init__(self, packages: tuple[str, ...]) -> None:
        names = [name for name in sys.modules if name.partition(".")[0] in packages]
        self._modules = {name: sys.modules.pop(name) for name in names}
        sys.meta_path.insert(0, self)

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Python's question whether this knows a module."""
        return ModuleSpec(name, self) if name in self._modules else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """With the first of them that is imported all come back."""
        sys.meta_path.remove(self)
        sys.modules.update(self._modules)
        self._spec = self._modules[spec.name].__spec__
        return self._modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """It has been run."""
        module.__spec__ = self._spec


class Forks:
    """Forks for `requests`, one after the other, and for the commands that these ask for on the socket `line`; answers go to `answers`.

    It ends, and they with it, when nobody can request anything any more.
    """

    def __init__(self, requests: BinaryIO, answers: int, line: socket.socket) -> None:
        self._requests, self._answers, self._line = requests, answers, line

    def serve(self) -> None:
        """Come back when there are no more requests."""
        for text in self._requests:
            asked = json.loads(text)
            with suppress(OSError):
                lockfile.remember(asked["stage"])
            fork = _forked(partial(step.main, asked))
            with _descriptor(fork) as ended:
                while self._first(self._line.fileno(), ended) != ended:
                    with self._line.accept()[0] as call:
                        self._command(call, ended)
            os.write(self._answers, f"{_status(fork)}\n".encode())

    def _command(self, call: socket.socket, step_ended: int) -> None:
        """Run what is asked in a fork; it is killed if its step has ended before it."""
        text, ends, _, _ = socket.recv_fds(call, LONGEST, 3)
        command, folder, environment, runner = json.loads(text)
        load(STAGE)
        fork = _forked(partial(_run, command, folder, environment | {lifetime.ENDS_WITH: str(runner)}, ends))
        for end in ends:
            os.close(end)
        with _descriptor(fork) as ended:
            if self._first(ended, step_ended) != ended:
                os.kill(fork, signal.SIGKILL)
        with suppress(OSError):
            call.send(str(_status(fork)).encode())

    def _first(self, *descriptors: int) -> int:
        """The first of these that can be read; exits where nobody is there to ask for more."""
        requests = self._requests.fileno()
        ready = select.select([*descriptors, requests], [], [])[0]
        if requests in ready:  # there is one request at a time
            sys.exit()
        return next(one for one in descriptors if one in ready)


def main() -> None:
    """Load, then fork for every request until there are no more."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    load(DVC)
    get_main_parser()  # DVC keeps it
    place = tempfile.mkdtemp(prefix="steps-")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
            line.bind(f"{place}/line")
            line.listen()
            os.environ["SHELL"] = str(_shell(Path(place)))
            Forks(requests, answers, line).serve()
    finally:
        shutil.rmtree(place)


def load(names: str) -> None:
    """Import all of these; what is not installed nobody will need."""
    for name in names.split():
        with suppress(ImportError):
            importlib.import_module(name)


def _run(command: str, folder: str, environment: dict[str, str], ends: list[int]) -> None:
    """Be `python -m MODULE WORDS`, in this folder, environment and with these open ends."""
    _, _, module, *words = shlex.split(command)
    for number, end in enumerate(ends):
        os.dup2(end, number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    Hidden(("torch", "functorch", "torchgen", "safetensors"))
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS and name != __name__]:
        del sys.modules[name]
    importlib.invalidate_caches()
    sys.path[0] = folder
    sys.argv = [module, *words]
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_NAME, module.encode())  # for `top` and its like
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _forked(action: Callable[[], object]) -> int:
    """The process that does it, and ends as a Python program does that has come to its end."""
    parent, fork = os.getpid(), os.fork()
    if fork:
        return fork
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    status = 1
    try:
        action()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)


def _status(process: int) -> int:
    """Its exit status; minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


@contextmanager
def _descriptor(process: int) -> Iterator[int]:
    """What becomes readable at the end of a process."""
    descriptor = os.pidfd_open(process)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _shell(place: Path) -> Path:
    """The program that DVC takes for the shell."""
    real = os.environ.get("SHELL") or "/bin/sh"
    path = place / "shell"
    words = [real, *NO_SCRIPTS.get(os.path.basename(real).lower(), [])]
    path.write_text(SHELL.format(python=sys.executable, real=words, place=f"{place}/line"), encoding="utf-8")
    path.chmod(0o700)
    return path


if __name__ == "__main__":
    main()
