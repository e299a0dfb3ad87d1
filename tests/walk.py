"""Pages of the documentation as people follow them: code is written where the page says, settings go into params.yaml, commands are typed.

Everything happens in one process: torch is imported once, and stages that DVC runs are called, not started.
"""

import importlib
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any

import click
import dvc.stage.run
import pytest
from dvc.cli import main as type_dvc
from dvc.stage.exceptions import StageCmdFailedError
from project import ENVIRONMENT, ROOT
from ruamel.yaml import YAML

OURS = ("lib", "stages", "tools")
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.M | re.S)
NOT_TYPED = ("", "text", "json", "sh")  # what commands print, and the lines for two machines that run-on-several-gpus has


@dataclass(frozen=True)
class Block:
    """A fenced block and the text between it and the one before."""

    language: str
    content: str
    before: str


def blocks(page: str) -> Iterator[Block]:
    text, end = (ROOT / page).read_text(), 0
    for found in FENCE.finditer(text):
        lines = found[3].splitlines(keepends=True)
        yield Block(found[2], "".join(line.removeprefix(found[1]) for line in lines), text[end : found.start()])
        end = found.end()


@contextmanager
def project(folder: Path) -> Iterator[None]:
    """Inside, `import lib` gives that of the project in `folder`, and DVC's stages run in this process."""
    own = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in OURS}
    with pytest.MonkeyPatch.context() as patch, chdir(folder):
        for name in own:
            patch.delitem(sys.modules, name)
        patch.syspath_prepend(str(folder))
        for name, value in (ENVIRONMENT | {"DVC_NO_ANALYTICS": "1", "REPOSITORY": str(folder), "PWD": str(folder)}).items():
            patch.setenv(name, value)
        patch.setattr(dvc.stage.run, "_run", lambda _, command, **settings: run_stage(command, settings["cwd"]))
        yield
        forget()


def run_stage(command: str, folder: str) -> None:
    with chdir(folder):
        try:
            python(shlex.split(command)[1:])
        except click.ClickException as error:
            print(error.format_message())
            raise StageCmdFailedError(command, error.exit_code) from error


def python(words: list[str]) -> bool:
    """`python -m module …` or `python file.py`, as a new process sees settings and files; returns whether it failed without an error."""
    importlib.invalidate_caches()
    words = words[1:] if words[0] == "-P" else words
    if words[0] != "-m":
        runpy.run_path(words[0], run_name="__main__")
        return False
    if "lib.base.params" in sys.modules:
        sys.modules["lib.base.params"].parsed.cache_clear()
    try:
        importlib.import_module(words[1]).main.main(words[2:], standalone_mode=False)
    except SystemExit as end:
        return bool(end.code)
    return False


def forget() -> None:
    """Modules of the project are imported anew, as after an edit."""
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]


@dataclass
class Walk:
    """Somebody who follows pages in `folder`.

    instead: what is typed in place of a command of the page, an empty list for nothing. put: texts in place of others in code and settings.
    by_hand: what is done where a block begins with this line. names: what the page's code takes for given. fails: commands with status 1.
    """

    folder: Path
    instead: dict[str, list[str]] = field(default_factory=dict)
    put: dict[str, str] = field(default_factory=dict)
    by_hand: dict[str, Callable[[Block], None]] = field(default_factory=dict)
    names: dict[str, Any] = field(default_factory=dict)
    fails: tuple[str, ...] = ()

    def follow(self, page: str) -> None:
        for block in blocks(page):
            first = block.content.partition("\n")[0]
            if first in self.by_hand:
                self.by_hand[first](block)
            elif block.language == "bash":
                for line in re.sub(r"\\\n\s*", "", block.content).splitlines():
                    self.type(line)
            elif block.language in ("python", "yaml"):
                content = reduce(lambda text, pair: text.replace(*pair), self.put.items(), block.content)
                (self.write if block.language == "python" else self.set)(replace(block, content=content))
            else:
                assert block.language in NOT_TYPED, block

    def write(self, block: Block) -> None:
        """Code for a file that the text before it names goes there; other code is run."""
        named = [path for path in re.findall(r"`([\w/]+\.py)`", block.before) if not (self.folder / path).exists()]
        if named:
            (self.folder / named[-1]).write_text(block.content)
            forget()
        else:
            exec(compile(block.content, "page", "exec"), {"__name__": "page"} | self.names)

    def set(self, block: Block) -> None:
        """Entries are added to those of params.yaml; stages and artifacts to those of dvc.yaml."""
        new = YAML(typ="safe").load(block.content)
        path = self.folder / ("dvc.yaml" if "artifacts" in new or any("cmd" in entry for entry in new.values() if isinstance(entry, dict))
                              else "params.yaml")  # fmt: skip
        yaml = YAML()
        yaml.width = 1000
        document = yaml.load(path.read_text())
        merge(document, {"stages": new} if path.name == "dvc.yaml" and "artifacts" not in new else new)
        yaml.dump(document, path)

    def type(self, line: str) -> None:
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        for command in re.split(r"\s+&&\s+", line) if line else []:
            for one in self.instead.get(command, [command]):
                self.do(one)

    def do(self, command: str) -> None:
        words = shlex.split(os.path.expandvars(command))
        with pytest.MonkeyPatch.context() as patch:
            while re.match(r"[A-Z_]+=", words[0]):
                patch.setenv(*words.pop(0).split("=", 1))
            if words[0] == "python" and words[:3] != ["python", "-m", "pytest"]:
                assert python(words[1:]) == command.startswith(self.fails), command
            elif words[0] == "dvc":
                self.dvc(words[1:])
            else:
                command = re.sub(r"^make ", "make -o env ", command)  # the environment is that of this test
                done = subprocess.run(command, shell=True, cwd=self.folder, capture_output=True, text=True)
                assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"

    def dvc(self, words: list[str]) -> None:
        printed, place = io.StringIO(), words.index(">") if ">" in words else len(words)
        with redirect_stdout(printed), warnings.catch_warnings():
            warnings.simplefilter("default")  # an error in tests, not where it is typed
            status = type_dvc(words[:place])
        for path in words[place + 1 :]:
            Path(path).write_text(printed.getvalue())
        assert status == 0, f"dvc {' '.join(words)}\n{printed.getvalue()[-3000:]}"


def merge(document: Any, new: dict) -> None:
    """Add the entries of `new`; an ellipsis stands for what is there already."""
    for key, value in new.items():
        if value == "...":
            assert key in document
        elif isinstance(value, dict) and isinstance(document.get(key), dict) and value:
            merge(document[key], value)
        else:
            document[key] = value
