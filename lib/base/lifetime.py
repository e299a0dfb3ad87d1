"""A process ends with whoever it works for: a stage whose `dvc` was killed would write its result beside its successor.

A companion process waits for that end and kills; a thread cannot while C code holds the interpreter's lock, as the import of torch does for
seconds. Imported before whatever takes long. Linux; elsewhere processes are left alone.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

ENDS_WITH = "ENDS_WITH"  # by this variable a process tells those that it starts that they end with it
SECONDS_OF_WRITING = 1.0


def begin() -> None:
    """End with the `dvc` that runs this process and with the process that ENDS_WITH names, if there are such."""
    named = [int(os.environ[ENDS_WITH])] if ENDS_WITH in os.environ else []
    noted = _noted(Path.cwd()) if "DVC_STAGE" in os.environ else None
    runner = [pid for pid in (*named, *(parent.pid for parent in psutil.Process().parents())) if pid in (noted or ())][:1]
    if noted is not None and not runner:
        sys.exit("Error: the dvc that began this stage has ended")
    end_with(*dict.fromkeys([*named, *runner]))


def end_with(*pids: int) -> None:
    """Kill this process as soon as one of the processes `pids` has ended."""
    if not pids or not hasattr(os, "pidfd_open"):
        return
    try:
        watched = [os.pidfd_open(pid) for pid in (os.getpid(), *pids)]
    except ProcessLookupError:
        os.kill(os.getpid(), signal.SIGKILL)
    except OSError:
        return  # a container may forbid it
    companion(["-I", "-S", "-c", KILLER, *map(str, watched)], watched)


def companion(words: list[str], descriptors: list[int]) -> None:
    """Start a Python process that takes these descriptors with it; it has no part in this one's terminal, output and process group."""
    nowhere = subprocess.DEVNULL
    process = subprocess.Popen(
        [sys.executable, *words], pass_fds=descriptors, start_new_session=True, stdin=nowhere, stdout=nowhere, stderr=nowhere
    )
    process.returncode = 0  # nobody waits for it
    for descriptor in descriptors:
        os.close(descriptor)


# Given descriptors of the process to kill and of those that it ends with.
KILLER = """
import select, signal, sys
own, *others = map(int, sys.argv[1:])
if own not in select.select([own, *others], [], [])[0]:
    signal.pidfd_send_signal(own, signal.SIGKILL)
"""


def _noted(folder: Path) -> set[int] | None:
    """The processes at work in the project around `folder`; DVC notes its own there while it runs a stage (.dvc/tmp/rwlock).

    None where it has never noted any, or left the file half written; at this moment it may be writing.
    """
    root = next((place for place in (folder, *folder.parents) if (place / ".dvc").is_dir()), folder)
    end = time.monotonic() + SECONDS_OF_WRITING
    while time.monotonic() < end:
        try:
            text = (root / ".dvc/tmp/rwlock").read_text(encoding="utf-8")
            json.loads(text)
            return {int(pid) for pid in re.findall(r'"pid": (\d+)', text)}
        except FileNotFoundError:
            return None
        except ValueError:
            time.sleep(0.01)
    return None
