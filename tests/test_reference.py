"""The reference is what the docstrings say, and every public name has one."""

import ast
import doctest
from pathlib import Path

import pytest
from click.testing import CliRunner
from project import ROOT

from tools import reference


def test_the_reference_is_what_the_docstrings_say() -> None:
    result = CliRunner().invoke(reference.main, ["--check"])
    assert result.exit_code == 0, result.output


def test_a_changed_page_of_the_reference_is_named_and_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "PAGES", tmp_path)
    monkeypatch.setattr(reference, "pages", lambda: {"a.md": "right", "b.md": "right"})
    (tmp_path / "a.md").write_text("right")
    (tmp_path / "b.md").write_text("edited")
    (tmp_path / "gone.md").write_text("of a package that is gone")
    result = CliRunner().invoke(reference.main, ["--check"])
    assert result.exit_code == 1 and result.output.rstrip().endswith("got something else in b.md, gone.md")
    assert (tmp_path / "b.md").read_text() == "edited"
    assert CliRunner().invoke(reference.main).exit_code == 0
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.md": "right", "b.md": "right"}


def test_the_examples_of_the_reference_hold() -> None:
    failed, tried = doctest.testmod(reference)
    assert tried >= 4 and failed == 0


def test_every_module_and_public_name_has_a_docstring() -> None:
    bare = []
    for file in sorted(path for folder in ("lib", "stages", "tools") for path in (ROOT / folder).rglob("*.py")):
        tree = ast.parse(file.read_text())
        bare += [str(file.relative_to(ROOT))] if file.name != "__init__.py" and not ast.get_docstring(tree) else []
        bare += [f"{file.relative_to(ROOT)}: {node.name}" for node in reference.public(tree) if not described(node)]
    assert bare == []


def described(node: ast.FunctionDef | ast.ClassDef) -> bool:
    """Whether a docstring says what `node` is; a command says it by its help, which is among its decorators."""
    return bool(ast.get_docstring(node)) or any(
        "command(" in ast.unparse(line) or "group(" in ast.unparse(line) for line in node.decorator_list
    )
