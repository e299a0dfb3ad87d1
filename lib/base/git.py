"""What Git says, or one sentence about why it says nothing."""

import os
import subprocess
from pathlib import Path

from lib.base.errors import InputError, require


def git(*words: str, folder: Path | str = ".") -> str:
    """What `git …` prints in `folder`, without spaces at its end; takes no lock that it can do without, so that it disturbs nobody.

    Raises:
        InputError: it is not installed or it refuses, with what it says. In a repository that belongs to another user, as in a
            container, it says so and what to type.
    """
    call, speech = ["git", "--no-optional-locks", *words], os.environ | {"LC_ALL": "C"}
    try:
        done = subprocess.run(call, cwd=folder, env=speech, capture_output=True, encoding="utf-8", errors="replace")
    except FileNotFoundError as error:
        raise InputError("expected the program git, found none on this machine") from error
    require(done.returncode == 0, f"git {words[0]} failed: {' '.join(done.stderr.split())[:400]}")
    return done.stdout.rstrip()
