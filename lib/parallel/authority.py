"""Ray's clusters let in who knows their token. `ray start` and a driver that starts its own cluster look for one; a driver that joins a
cluster by its address does not (Ray 2.60) unless it is told to, before Ray is imported.
"""

import os
from pathlib import Path

MODE = "RAY_AUTH_MODE"


def use_token() -> None:
    """Tell Ray to show a token, if there is one and nothing else was said."""
    known = "RAY_AUTH_TOKEN" in os.environ or Path(os.environ.get("RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token")).expanduser().is_file()
    if known:
        os.environ.setdefault(MODE, "token")
