"""SHA-256 of files, as 64 hexadecimal digits."""

import hashlib
import sys
from pathlib import Path


def of_file(path: Path) -> str:
    """The digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_code() -> dict[str, str]:
    """The digests of all loaded modules of this project, by name: the code that a result may depend on."""
    loaded = {name: getattr(module, "__file__", None) for name, module in sys.modules.items() if name.partition(".")[0] == "lib"}
    return {name: of_file(Path(file)) for name, file in loaded.items() if file is not None}
