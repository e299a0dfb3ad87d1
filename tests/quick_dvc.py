"""`dvc` without the time in which a new Python imports DVC: a process that has imported it forks for every call.

What runs is DVC's own `main`, in a process of its own with the caller's words, folder, environment, umask and open ends. Only YAML is read
faster: dvc.lock by the C parser, where DVC takes a slow one that keeps comments, of which it has none; and params.yaml once, not for every
stage. A test that kills DVC, or limits it, runs the real command instead.
"""

import ctypes
import importlib
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from copy import deepcopy
from functools import cache, lru_cache
from pathlib import Path

CLIENT = """#!{python} -IS
import json, os, socket, sys
umask = os.umask(0)
asked = json.dumps([["dvc", *sys.argv[1:]], os.getcwd(), dict(os.environ), umask]).encode()
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
    line.connect("{place}")
    socket.send_fds(line, [asked], [0, 1, 2])
    sys.exit(int(line.recv(8) or 255))
"""
LONGEST = 1 << 20  # bytes of a call
PR_SET_PDEATHSIG = 1
# What its commands import when they are called.
IMPORTED = ("dvc.cli.parser", "dvc.repo.reproduce", "dvc.repo.stage", "dvc.repo.plots", "dvc.repo.datasets", "dvc.repo.metrics.show")
IMPORTED += ("dvc.repo.push", "dvc.repo.pull", "dvc.repo.open_repo", "dvc.repo.experiments.run", "dvc.cachemgr", "dvc.data_cloud")
IMPORTED += ("dvc.utils.strictyaml", "dvc.stage.cache", "dvc.fs.dvc", "dvc_data.index.checkout", "scmrepo.git", "pygit2", "dulwich.index")
IMPORTED += ("dvc_data.hashfile.db.local", "dvc.dirs", "dvc.lock", "dvc.daemon", "platformdirs.unix", "diskcache")


def first(environment: dict[str, str]) -> dict[str, str]:
    """The environment, whose PATH leads to this `dvc`."""
    return environment | {"PATH": f"{_folder()}{os.pathsep}{environment['PATH']}"}


@cache
def _folder() -> str:
    """Where the command is; the process behind it ends with this one."""
    place = Path(tempfile.mkdtemp(prefix="dvc-"))
    (place / "dvc").write_text(CLIENT.format(python=sys.executable, place=place / "line"))
    (place / "dvc").chmod(0o755)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
        line.bind(str(place / "line"))
        line.listen()
        line.set_inheritable(True)
        command = [sys.executable, __file__, str(line.fileno()), str(place)]
        quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
        os.posix_spawn(sys.executable, command, os.environ, file_actions=quiet, setsid=True)
    return str(place)


def serve(line: socket.socket, place: str) -> None:
    """Fork for every call, until the process that wants them has ended."""

    def end(*_: object) -> None:
        shutil.rmtree(place)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    for name in IMPORTED:
        importlib.import_module(name)
    read_yaml_fast()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        call = line.accept()[0]
        if os.fork() == 0:
            line.close()
            answer(call)
        call.close()


def read_yaml_fast() -> None:
    """In this process a text is parsed once, and dvc.lock by the C parser."""
    yaml = importlib.import_module("dvc.utils.serialize._yaml")
    slow, parsed = yaml.parse_yaml_for_update, lru_cache(8)(yaml.parse_yaml)
    yaml.parse_yaml = lambda text, path, typ="safe": deepcopy(parsed(text, path, typ))
    yaml.parse_yaml_for_update = lambda text, path: (yaml.parse_yaml if str(path).endswith("dvc.lock") else slow)(text, path)


def answer(call: socket.socket) -> None:
    """Do what is asked, say how it ended, and end."""
    from dvc.cli import main

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    asked, ends, _, _ = socket.recv_fds(call, LONGEST, 3)
    sys.argv, where, environment, umask = json.loads(asked)
    for number, end in enumerate(ends):
        os.dup2(end, number)
        os.close(end)
    os.environ.clear()
    os.environ.update(environment)
    os.umask(umask)
    os.chdir(where)
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    call.send(str(status).encode())
    os._exit(status)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
