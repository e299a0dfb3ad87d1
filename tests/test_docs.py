"""What the documentation says to type exists, its links lead somewhere, and its code runs."""

import ast
import contextlib
import doctest
import importlib
import io
import re
from pathlib import Path
from types import ModuleType

import click
import numpy as np
import pages
import pytest
import torch
from dvc.cli import DvcParserError
from pages import ALL, PAGES, WRITTEN, Command, accepted, anchors, blocks, dvc_parser, has_parameter, is_target, made_in, of, prose
from project import ROOT, run
from torch import nn

from lib.attacks.best import distances
from lib.attacks.work import Work
from lib.network.batches import Batch

SHELL = {"cd", "cp", "export", "git", "mkdir", "python3", "ray", "sbatch", "source", "uv", "wait"}


def test_a_line_is_cut_into_its_commands() -> None:
    failed, tried = doctest.testmod(pages)
    assert tried > 0 and failed == 0


def test_every_command_is_one_that_is_checked_here_or_belongs_to_the_shell() -> None:
    others = {Path(command.words[0]).name for command in ALL} - SHELL - {"python", "dvc", "make"}
    assert others == set() and len(ALL) > 150


@pytest.mark.parametrize("command", of("make"), ids=str)
def test_make_has_the_target(command: Command) -> None:
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^\.PHONY: (.*)$", text, re.M)[0].split())
    given = dict(word.split("=", 1) for word in command.words[1:] if "=" in word)
    assert {word for word in command.words[1:] if "=" not in word} <= targets
    assert given.get("NAME", "quick") in {file.stem for file in ROOT.glob("scales/*.yaml")} | {"paper", "strict"}
    assert given.get("PRESET", "strict") in ("paper", "strict") and set(given) <= {"NAME", "PRESET"}


@pytest.mark.parametrize("command", of("python"), ids=str)
def test_python_has_the_module_and_the_module_the_options(command: Command) -> None:
    assert command.words[1] == "-m" or made_in(command.page, command.words[1])
    if command.words[1] != "-m":
        return
    module, *arguments = command.words[2:]
    if module == "pytest":
        assert all((ROOT / path).exists() or made_in(command.page, path) for path in arguments)
        return
    assert (ROOT / f"{module.replace('.', '/')}.py").exists() or made_in(command.page, f"{module.replace('.', '/')}.py")
    if (ROOT / f"{module.replace('.', '/')}.py").exists():
        accepted(importlib.import_module(module).main, arguments, command.whole)


@pytest.mark.parametrize("command", of("dvc"), ids=str)
def test_dvc_has_the_subcommand_the_options_the_stage_and_the_parameter(command: Command, caplog: pytest.LogCaptureFixture) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            parsed = dvc_parser().parse_args(list(command.words[1:]))
        except DvcParserError:
            abbreviated = re.search("arguments are required|expected one argument", caplog.text)
            assert abbreviated and not command.whole, caplog.text
            return
    for change in getattr(parsed, "set_param", None) or ():
        name = re.sub(r"^[+~]", "", change.partition("=")[0])
        assert name == "key" or has_parameter(name) or made_in(command.page, name.split(".")[-2]), f"no parameter {name}"
    if parsed.cmd in ("repro", "pull", "push", "status", "commit", "unprotect", "get", "import"):
        targets = [*(getattr(parsed, "targets", None) or ()), *([parsed.path] if hasattr(parsed, "path") else ())]
        assert all(is_target(target) or made_in(command.page, target) for target in targets), targets


WRONG = [
    "dvc reproo",
    "dvc repro --alow-missing",
    "dvc repro train-ir@R_simple-9",
    "dvc exp run -S ir.R_simple.lambda=3",
    "python -m tools.nothing",
    "python -m tools.targets inspekt a.h5",
    "python -m tools.targets inspect --galery b.png a.h5",
    "python -m stages.train_ir R_simple 0",
    "make scale NAME=huge",
]


@pytest.mark.parametrize("line", WRONG)
def test_a_command_that_would_fail_is_noticed(line: str, caplog: pytest.LogCaptureFixture) -> None:
    command = Command(ROOT / "README.md", tuple(line.split()), True)
    with pytest.raises((AssertionError, KeyError, click.ClickException)):
        if command.words[0] == "dvc":
            test_dvc_has_the_subcommand_the_options_the_stage_and_the_parameter(command, caplog)
        elif command.words[0] == "python":
            test_python_has_the_module_and_the_module_the_options(command)
        else:
            test_make_has_the_target(command)


def test_a_parameter_is_found_by_its_path_and_by_nothing_else() -> None:
    assert has_parameter("ir.R_simple.lambda_d") and has_parameter("threats.table.0.epsilon")
    assert not has_parameter("ir.R_simple.lambda") and not has_parameter("threats.table.first")


def test_an_instance_is_one_of_the_matrix_and_nothing_else() -> None:
    assert is_target("train-ir@R_simple-0") and is_target("evaluate-attacks@NR-1") and is_target("permute-targets")
    assert not is_target("train-ir@R_simple-7") and not is_target("train-it@R_simple-0") and not is_target("train-ir@R_simple")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "", prose(page))
    for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", text):
        if re.match(r"https?:|mailto:", target):
            continue
        place, _, anchor = target.partition("#")
        file = (page.parent / place).resolve() if place else page
        assert file.exists() and file.is_relative_to(ROOT), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(file), f"{page.name}: no heading for {target}"


def test_every_page_of_the_documentation_is_reached_from_its_front_page() -> None:
    seen, waiting = set(), [ROOT / "docs/README.md"]
    while waiting:
        page = waiting.pop()
        seen.add(page)
        links = re.findall(r"\]\(([^)#\s]+\.md)", page.read_text())
        waiting += [file for link in links if (file := (page.parent / link).resolve()).exists() and file not in seen]
    assert {page for page in PAGES if page.is_relative_to(ROOT / "docs")} <= seen


def test_every_page_with_commands_or_code_is_followed_by_a_test_or_says_which_other_one_does_it() -> None:
    followed = (ROOT / "tests/test_walks.py").read_text()
    with_blocks = [page.relative_to(ROOT) for page in WRITTEN if blocks(page, "bash") or blocks(page, "python")]
    assert [str(page) for page in with_blocks if f'"{page}"' not in followed] == []


def test_every_module_and_public_name_has_a_docstring() -> None:
    bare = []
    for file in sorted(path for folder in ("lib", "stages", "tools") for path in (ROOT / folder).rglob("*.py") if path.stat().st_size):
        tree = ast.parse(file.read_text())
        bare += [] if ast.get_docstring(tree) else [str(file)]
        public = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"))
        bare += [f"{file}: {node.name}" for node in public if not ast.get_docstring(node) and not is_command(node)]
    assert bare == []


def is_command(node: ast.FunctionDef | ast.ClassDef) -> bool:
    """Whether it is a command, which says by its help what it does."""
    return any("command(" in ast.unparse(line) or "group(" in ast.unparse(line) for line in node.decorator_list)


TUTORIAL = ROOT / "docs/tutorial.md"


def shown(page: Path, path: str) -> ModuleType:
    """The Python file `path` that a page shows in the first block after its name."""
    after = page.read_text().partition(f"`{path}`")[2]
    (source, *_) = re.findall(r"^```python\n(.*?)^```", after, re.M | re.S)
    module = ModuleType(Path(path).stem)
    exec(compile(source, path, "exec"), vars(module))
    return module


def linear() -> nn.Module:
    """Logits that are zero for class 0 and the mean of the 16 pixels minus a half for class 1."""
    layer = nn.Linear(16, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.stack([torch.zeros(16), torch.ones(16) / 16]))
        layer.bias.copy_(torch.tensor([0.0, -0.5]))
    return nn.Sequential(nn.Flatten(), layer)


def test_the_saliency_method_of_the_tutorial_averages_over_neighbours() -> None:
    method = shown(TUTORIAL, "lib/saliency/averaged.py")
    maps = method.maps(linear(), torch.rand(1, 1, 4, 4), torch.tensor([1]), method.Settings(pixels=3), lambda count: torch.zeros(0))
    assert maps.shape == (1, 1, 4, 4)
    torch.testing.assert_close(maps[0, 0, 1:3, 1:3], torch.full((2, 2), 1 / 16))
    torch.testing.assert_close(maps[0, 0, 0, 0], torch.tensor(4 / 9 / 16))


def test_the_attack_of_the_tutorial_fools_where_one_step_reaches_the_boundary() -> None:
    suite = shown(TUTORIAL, "lib/own_attacks/one_step.py")
    work = Work(Batch(torch.full((3, 1, 4, 4), 0.6), torch.ones(3, dtype=torch.int64)), np.arange(3), 2)
    settings = suite.Settings("margin", {"l2": 2.0, "linf": 0.4}, 12)
    for norm, distance in (("linf", 0.1), ("l2", 0.4)):
        found = suite.attack(linear(), work, norm, settings)
        np.testing.assert_allclose(distances(found, work.batch.images, norm), distance, rtol=2e-3)


def test_the_commands_that_only_look_run() -> None:
    assert all(name in run("make help", ROOT) for name in ("env", "repro", "scale"))
    assert "strict" in run("python -m tools.preset --check", ROOT)
