"""Make docs/reference from docstrings: a page per package of lib, and one each for the commands in stages and tools with their --help.

The modules of lib are read, not imported. With --check nothing is written, and a page that is out of date is an error.
"""

import ast
import importlib
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from lib.base.command import command
from lib.base.errors import require

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs/reference"
NOTE = "<!-- Made from the docstrings by `python -m tools.reference`. Edit those, not this page. -->"
WIDTH = 100

Definition = ast.FunctionDef | ast.ClassDef


@command(__doc__)
@click.option("--check", is_flag=True, help="Compare the pages that are there with those that would be made, and write nothing.")
def main(check: bool) -> None:
    made = pages()
    old = {path.name: path.read_text(encoding="utf-8") for path in PAGES.glob("*.md")}
    stale = sorted(name for name in made | old if made.get(name) != old.get(name))
    if check:
        require(not stale, f"docs/reference must be what `python -m tools.reference` makes, got something else in {', '.join(stale)}")
        return
    PAGES.mkdir(parents=True, exist_ok=True)
    for name in stale:
        if name in made:
            (PAGES / name).write_text(made[name], encoding="utf-8")
        else:
            (PAGES / name).unlink()
    click.echo(f"{len(made)} pages in docs/reference, {len(stale)} of them changed")


def pages() -> dict[str, str]:
    """The text of every page by its file name; README.md lists the others."""
    found = {f"{package}.md": _package_page(package, modules) for package, modules in packages().items()}
    found |= {f"{folder}.md": _command_page(folder) for folder in ("stages", "tools")}
    return {"README.md": _index(found)} | found


def packages() -> dict[str, list[Path]]:
    """Dotted name of lib and of each package in it, and the files of its modules."""
    folders = [ROOT / "lib", *sorted(path for path in (ROOT / "lib").rglob("*") if path.is_dir())]
    files = {_dotted(folder): _modules(folder) for folder in folders}
    return {package: modules for package, modules in files.items() if modules}


def public(tree: ast.Module | ast.ClassDef) -> list[Definition]:
    """Functions and classes that are defined directly in `tree` and whose name does not begin with an underscore."""
    return [node for node in tree.body if isinstance(node, Definition) and not node.name.startswith("_")]


def signature(node: Definition) -> str:
    """How a function is called and what it returns; of a class, its fields if it has some, otherwise what `__init__` takes.

    >>> signature(ast.parse("def mean(values: list[float], *, weight: float = 1.0) -> float: ...").body[0])
    'mean(values: list[float], *, weight: float=1.0) -> float'
    >>> signature(ast.parse("class Ball(Shape):\\n    radius: float = 1.0").body[0])
    'class Ball(Shape): radius: float = 1.0'
    >>> signature(ast.parse("class Layer(nn.Module):\\n    def __init__(self, width: int) -> None: ...").body[0])
    'class Layer(nn.Module): (width: int)'
    """
    if isinstance(node, ast.FunctionDef):
        result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        return f"{node.name}({ast.unparse(node.args)}){result}"
    bases = f"({', '.join(map(ast.unparse, node.bases))})" if node.bases else ""
    takes = "; ".join(_fields(node)) or _initial(node)
    return f"class {node.name}{bases}" + (f": {takes}" if takes else "")


def markdown(text: str, indent: str = "") -> str:
    """A docstring as Markdown: examples in fences, and outside of code nothing that Markdown would swallow.

    >>> print(markdown("Of <row> and `a*b`.\\n\\nArgs:\\n    a: the first,\\n        which is *.\\n    b: the second."))
    Of \\<row> and `a*b`.
    <BLANKLINE>
    Args:
    - a: the first,
      which is \\*.
    - b: the second.
    """
    blocks = [_block(block) for block in re.split(r"\n\s*\n", text.strip("\n"))]
    return "\n".join(f"{indent}{line}".rstrip() for line in "\n\n".join(blocks).splitlines())


def _block(block: str) -> str:
    """A paragraph as it is, an example in a fence, and lines of the form `name: what it is` as a list."""
    text, arrow, example = block.partition(">>>")
    head, _, rest = text.partition("\n")
    if head in ("Args:", "Returns:"):
        text = f"{head}\n{_listed(textwrap.dedent(rest))}"
    parts = [_escaped(_listed(text).rstrip())] if text.strip() else []
    return "\n\n".join([*parts, f"```python\n>>>{example}\n```"] if arrow else parts)


def _listed(text: str) -> str:
    """`text` as a list if each of its lines is `name: what it is` or continues one with a deeper indent."""
    lines = text.splitlines()
    if not lines or not all(re.match(r"\w+: |\s", line) for line in lines):
        return text
    return "\n".join(f"  {line.strip()}" if line[:1].isspace() else f"- {line}" for line in lines)


def _escaped(text: str) -> str:
    """Text with `<`, `*` and an underscore before a word escaped where they are not in a code span."""
    parts = re.split(r"(``[^`]+``|`[^`]+`)", text)
    return "".join(part if index % 2 else re.sub(r"([<*]|(?<!\w)_(?=\w))", r"\\\1", part) for index, part in enumerate(parts))


def _fields(node: ast.ClassDef) -> list[str]:
    return [ast.unparse(line) for line in node.body if isinstance(line, ast.AnnAssign)]


def _initial(node: ast.ClassDef) -> str:
    for line in node.body:
        if isinstance(line, ast.FunctionDef) and line.name == "__init__":
            return f"({ast.unparse(line.args).removeprefix('self').removeprefix(', ')})"
    return ""


def _package_page(package: str, modules: list[Path]) -> str:
    return "\n\n".join([f"# {package}", NOTE, *(part for module in modules for part in _module(module))]) + "\n"


def _module(path: Path) -> Iterator[str]:
    """Heading, docstring and public names of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    place = path.relative_to(ROOT)
    yield f"## {_dotted(path.with_suffix(''))}"
    yield f"{markdown(ast.get_docstring(tree) or '')}\n\n[{place}](../../{place})"
    for node in public(tree):
        yield "\n\n".join(_entry(node, ""))


def _entry(node: Definition, indent: str) -> Iterator[str]:
    """A list item of a function or class, with the methods of the class that have a docstring."""
    yield f"{indent}- `{signature(node)}`"
    if doc := ast.get_docstring(node):
        yield markdown(doc, f"{indent}  ")
    if isinstance(node, ast.ClassDef):
        for method in public(node):
            if ast.get_docstring(method):
                yield from _entry(method, f"{indent}  ")


def _command_page(folder: str) -> str:
    modules = _modules(ROOT / folder)
    return "\n\n".join([f"# {folder}", NOTE, *(part for module in modules for part in _program(module))]) + "\n"


def _program(path: Path) -> Iterator[str]:
    """The help of the command in a file and of its subcommands; a file without a command is described like a module of lib."""
    name = _dotted(path.with_suffix(""))
    main = getattr(importlib.import_module(name), "main", None)
    if not isinstance(main, click.Command):
        yield from _module(path)
        return
    yield f"## {name}"
    for text in _helps(main, click.Context(main, info_name=f"python -m {name}", terminal_width=WIDTH)):
        yield f"```text\n{text}\n```"


def _helps(program: click.Command, context: click.Context) -> Iterator[str]:
    yield program.get_help(context)
    for name, child in program.commands.items() if isinstance(program, click.Group) else ():
        yield from _helps(child, click.Context(child, info_name=name, parent=context, terminal_width=WIDTH))


def _index(found: dict[str, str]) -> str:
    about = "Modules with their public functions and classes, and the commands with their `--help`. What the folders are for:"
    lines = [f"- [{name.removesuffix('.md')}]({name}): {_contents(name, text)}" for name, text in found.items()]
    return "\n".join(["# Reference", "", NOTE, "", f"{about} [CONTRIBUTING](../../CONTRIBUTING.md#where-things-live).", "", *lines, ""])


def _contents(name: str, text: str) -> str:
    """Links to the modules of a page."""
    modules = re.findall(r"^## (\S+)$", text, re.M)
    return ", ".join(f"[{module.rpartition('.')[2]}]({name}#{module.replace('.', '')})" for module in modules)


def _modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).parts)


if __name__ == "__main__":
    main()
