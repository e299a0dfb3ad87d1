"""A small project with a remote, ways to damage it, and what a page tells its people to type."""

import hashlib
from pathlib import Path

import pytest
from members import Member, typed

from lib.targets import target_file

PAGE = "docs/how-to/when-something-is-wrong.md"
SET = "data/targets/0/R_smoothgrad.h5"
WEIGHTS = "models/0/R/weights.safetensors"
WHOLE = "every one of them fits its name"


class Team:
    """An owner who has computed and pushed, their files, and what a page tells them to type."""

    def __init__(self, owner: Member, patch: pytest.MonkeyPatch) -> None:
        self.owner, self.patch = owner, patch
        self.top = owner.folder.parent
        self.right = {path: (owner.folder / path).read_bytes() for path in (SET, WEIGHTS)}

    def mate(self, name: str = "mate") -> Member:
        member = Member(self.top / f"{name}_home", self.top / name)
        member.clone(self.owner.folder)
        return member

    def stored(self, path: str, store: Path | None = None) -> Path:
        """Where the remote, or the given cache, has the content of a file."""
        oid = hashlib.md5(self.right[path]).hexdigest()
        return (store or self.top / "store") / "files/md5" / oid[:2] / oid[2:]

    def verify(self, member: Member, words: str = "") -> list[str]:
        """The lines that `verify` prints."""
        code, printed = member.tool(f"verify {words}", self.patch)
        lines = printed.strip().splitlines()
        assert code == (0 if WHOLE in lines[-1] else 1)
        return lines

    def follow(self, member: Member, heading: str) -> str:
        """Type what the page says; `verify` may end with 1, because it found what is wrong."""
        printed = ""
        for line in typed(PAGE, heading):
            tool = line.partition("python -m tools.store ")[2]
            printed += member.tool(tool, self.patch)[1] if tool else member.do(line)
        return printed


def flip(path: Path) -> None:
    """Another byte in the middle, everything else as it was, as on a failing disk."""
    mode, data = path.stat().st_mode, bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(mode)


def read(path: Path) -> None:
    with target_file.opened(path) as (_, maps):
        assert len(maps[:]) > 0
