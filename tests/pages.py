"""The pages of the documentation, the commands that they name, and what of the project these may name."""

import re
import shlex
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click
from dvc.cli.parser import get_main_parser
from project import ROOT, SHIPPED
from ruamel.yaml import YAML

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "data/README.md", ROOT / "results/published/README.md"])
WRITTEN = [page for page in PAGES if page.name != "CHANGELOG.md"]
OPEN = re.compile(r"<[^>]+>|\.\.\.|…|\$\w+")  # what the reader fills in


@dataclass(frozen=True)
class Command:
    """A command as words. `whole`: it stands in a block of commands, not abbreviated in a sentence."""

    page: Path
    words: tuple[str, ...]
    whole: bool

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {' '.join(self.words)}"


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", page.read_text(), re.M | re.S)


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^( *)```.*?^\1```", "", page.read_text(), flags=re.M | re.S)


def commands(page: Path) -> Iterator[Command]:
    for block in blocks(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            yield from (Command(page, words, True) for words in simple_commands(line))
    for span in re.findall(r"`((?:python -m|dvc|make) [^`]+)`", prose(page)):
        yield from (Command(page, words, False) for words in simple_commands(" ".join(span.split())))


def simple_commands(line: str) -> list[tuple[str, ...]]:
    """The commands of a line, without comments, variables set for them and redirections.

    >>> simple_commands("A=1 dvc repro && git push > log  # both")
    [('dvc', 'repro'), ('git', 'push')]
    """
    lexer = shlex.shlex(OPEN.sub("open", line), posix=True, punctuation_chars=";&|>")
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set(";&|"):
            found.append([])
        else:
            found[-1].append(word)
    kept = (words[: words.index(">")] if ">" in words else words for words in found)
    bare = (words[next((i for i, word in enumerate(words) if not re.match(r"\w+=", word)), len(words)) :] for words in kept)
    return [tuple(words) for words in bare if words]


ALL = [command for page in WRITTEN for command in commands(page)]


def of(*start: str) -> list[Command]:
    return [command for command in ALL if command.words[: len(start)] == start]


def accepted(program: click.Command, arguments: list[str], whole: bool) -> None:
    """Raise unless `program` knows the options, and, in a whole command, gets everything that it requires."""
    context = click.Context(program, info_name=program.name)
    if isinstance(program, click.Group):
        if arguments and arguments[0] != "open":
            accepted(program.commands[arguments[0]], arguments[1:], whole)
        return
    if not whole:
        known = {option for parameter in program.params for option in parameter.opts} | {"--help"}
        assert {word for word in arguments if word.startswith("--")} <= known
        return
    values, rest, _ = program.make_parser(context).parse_args(list(arguments))
    missing = [parameter.name for parameter in program.params if parameter.required and not values.get(parameter.name)]
    assert not missing and not rest


@cache
def dvc_parser() -> ArgumentParser:
    return get_main_parser()


@cache
def parameters() -> dict:
    return YAML(typ="safe").load(SHIPPED.read_text())


def has_parameter(name: str) -> bool:
    """Whether the dotted `name` stands in params.yaml; entries of a list by their number."""
    value = parameters()
    for part in name.split("."):
        if isinstance(value, list) and part.isdigit():
            part = int(part)
        elif not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return True


@cache
def pipeline() -> dict:
    return YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]


def is_target(name: str) -> bool:
    """Whether `name` is a stage, one of its instances, a result of one, or a file of the project."""
    stage, _, item = name.partition("@")
    if stage in pipeline() and (not item or instance(stage, item)):
        return True
    return bool(re.fullmatch(r"(data|models|results)/.*|.*\bopen\b.*", name)) or (ROOT / name).exists()


def instance(stage: str, item: str) -> bool:
    """Whether a stage's matrix has the instance `item`: each of its names in params.yaml, joined by dashes."""
    axes = [re.findall(r"\w+", values) for values in pipeline()[stage].get("matrix", {}).values()]
    parts = item.split("-")
    if len(parts) != len(axes):
        return False
    for (_, *rest), part in zip([["", *axis] for axis in axes], parts):
        values: object = parameters()
        for key in rest:
            values = values[key]  # type: ignore[index]
        if part not in map(str, values):  # type: ignore[call-overload]
            return False
    return True


def made_in(page: Path, name: str) -> bool:
    """Whether the page itself makes what it names: a file that it shows, a stage or an entry of its YAML blocks."""
    if f"`{name}`" in prose(page):
        return True
    keys = set(re.findall(r"^\s*([\w-]+):", "\n".join(blocks(page, "yaml")), re.M))
    stage, _, item = name.partition("@")
    return stage in keys or bool(item and stage in pipeline() and keys & set(item.split("-")))


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as Git hosts make them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in plain}
