"""dvc.yaml tells the truth: what each stage lists is what its code imports and reads."""

import ast
import math
import re
from collections.abc import Callable, Iterable
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from dvc.stage import PipelineStage
from dvc.utils.hydra import apply_overrides
from project import ROOT, SHIPPED, all_stages, parameters
from ruamel.yaml import YAML

from lib.base import environment

CHECK = "check@params"  # the first stage, which holds all parameters against all code that they configure


@cache
def stages() -> dict[str, PipelineStage]:
    return {stage.name: stage for stage in all_stages() if stage.path_in_repo == "dvc.yaml"}


def one_of_each() -> list[str]:
    """The first instance of every kind of stage and, where one choice is one file, of every choice."""
    chosen: dict[tuple, str] = {}
    for name, stage in stages().items():
        choices = [path for path in listed(stage) if any(part in path for part in ("saliency/", "own_attacks/", "objectives/"))]
        chosen.setdefault((name.partition("@")[0], *choices), name)
    return list(chosen.values())


def listed(stage: PipelineStage) -> list[str]:
    """The Python files in the stage's deps, folders expanded."""
    paths = [ROOT / dep.def_path for dep in stage.deps if dep.def_path.startswith(("lib", "stages"))]
    files = [file for path in paths for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    return [str(file.relative_to(ROOT)) for file in files if file.name != "__init__.py"]


def closure(stage: PipelineStage) -> set[str]:
    """The stage's own file and everything of the project that it imports, directly or not, at whatever depth of the code."""
    return reachable(stage, lambda text: [module for family in families(text) for module in found_by_name(family, stage)])


def reachable(stage: PipelineStage, named: Callable[[str], Iterable[str]]) -> set[str]:
    """The stage's own file, what it imports, and the modules that `named` finds in the text of each of these files, and so on."""
    module = re.search(r"python -m (stages\.\w+)", stage.cmd)
    assert module is not None
    found: set[str] = set()
    waiting = [module.group(1)]
    while waiting:
        file = ROOT / (waiting.pop().replace(".", "/") + ".py")
        name = str(file.relative_to(ROOT))
        if not file.is_file() or name in found:
            continue
        found.add(name)
        waiting += imported(file)
        waiting += named(file.read_text())
    return found


@cache
def imported(file: Path) -> tuple[str, ...]:
    """What a file imports, at whatever depth of its code."""
    found: list[str] = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names]
        if isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
    return tuple(found)


def families(source: str) -> set[str]:
    """Folders out of which a file is chosen by name: `choice("lib.saliency", name, ...)`, `partial(chosen, "lib.saliency", ...)`."""
    return set(re.findall(r"cho(?:ice\(|sen, )\"(lib[.\w]+)\", ", source))


def found_by_name(family: str, stage: PipelineStage) -> list[str]:
    """The module of `family` that this instance uses, from its command line or, for the architecture, params.yaml; the check uses all."""
    choices = {file.stem for file in (ROOT / family.replace(".", "/")).glob("*.py")} - {"__init__"}
    if stage.name == CHECK:
        return [f"{family}.{choice}" for choice in choices]
    if family == "lib.models":
        return [f"{family}.{params()['model']['architecture']}"]
    named = [word for word in stage.cmd.split() if word in choices]
    assert len(named) == 1, f"{stage.name} names {named} of {family}"
    return [f"{family}.{named[0]}"]


def params() -> dict:
    return parameters()


def leaves(node: object, path: tuple = ()) -> Iterable[tuple[tuple, object]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else None
    if items is None:
        yield path, node
    else:
        for key, value in items:
            yield from leaves(value, (*path, key))


@pytest.mark.parametrize("name", one_of_each())
def test_a_stage_lists_exactly_the_code_that_it_imports(name: str) -> None:
    """Of the rooms that many stages share an instance may list more than it imports, and the check, which takes half a second and never has
    anything rerun, all of lib."""
    needed, found = closure(stages()[name]), set(listed(stages()[name]))
    assert needed <= found
    shared = ("lib/base/", "lib/network/", "lib/evaluation/", "lib/attacks/", *(("lib/",) if name == CHECK else ()))
    assert all(file.startswith(shared) for file in found - needed)


def test_no_import_climbs_from_one_room_of_lib_to_another_and_back() -> None:
    rooms: dict[str, set[str]] = {}
    for file in ROOT.glob("lib/*/**/*.py"):
        room = file.relative_to(ROOT / "lib").parts[0]
        rooms.setdefault(room, set()).update(name.split(".")[1] for name in imported(file) if name.startswith("lib."))
    below = TopologicalSorter({room: others - {room} for room, others in rooms.items()})
    assert next(iter(below.static_order())) == "base"  # raises CycleError where two rooms need each other


def test_every_module_of_lib_lies_in_a_room() -> None:
    assert [file.name for file in ROOT.glob("lib/*.py")] == ["__init__.py"]


def test_every_choice_is_listed_by_its_own_instances_only() -> None:
    for name, stage in stages().items():
        for method in ("simple", "smoothgrad"):
            own = name == CHECK or (name.startswith("extract-saliency") and f"-{method}-" in name)
            assert (f"lib/saliency/{method}.py" in listed(stage)) == own


def test_init_files_are_empty_and_tie_nothing_together() -> None:
    for file in [*ROOT.glob("lib/**/__init__.py"), ROOT / "stages/__init__.py"]:
        assert file.read_text() == "", file


def test_only_prepare_data_can_reach_torchvision() -> None:
    for name, stage in stages().items():
        reaches = any(module.partition(".")[0] == "torchvision" for file in closure(stage) for module in imported(ROOT / file))
        assert reaches == (name in (CHECK, "prepare-data")), name


@pytest.mark.parametrize("kind", ["prepare-data", "permute-targets", "report"])
def test_cheap_stages_do_not_import_torch(kind: str) -> None:
    stage = next(stage for name, stage in stages().items() if name.partition("@")[0] == kind)
    for file in closure(stage):
        assert not any(name.partition(".")[0] == "torch" for name in imported(ROOT / file)), file


def test_the_check_comes_before_everything_and_reads_all_parameters() -> None:
    graph = {name: {dep.def_path for dep in stage.deps} for name, stage in stages().items()}
    (checked,) = (out.def_path for out in stages()[CHECK].outs)
    assert checked in graph["prepare-data"]
    assert all(name == CHECK or any(path.startswith("data/") for path in deps) for name, deps in graph.items())
    assert {"params.yaml", "presets.yaml", "lib"} <= graph[CHECK]  # as files: by their values they would be most of dvc.lock


def test_names_hold_no_dash_because_dvc_joins_them_with_one() -> None:
    document = params()
    for section in ("rows", "teachers", "at", "jr", "ir", "own_attacks"):
        assert all(re.fullmatch(r"\w+", name) for name in document[section])
    for kind, sizes in {
        "train-teacher": ("teachers",), "train-at": ("at",), "train-jr": ("jr",), "train-ir": ("ir",),
        "evaluate-attacks": ("rows",), "own-attacks": ("own_attacks", "rows"),
    }.items():  # fmt: skip
        expected = math.prod(len(document[section]) for section in sizes) * len(document["seeds"])
        assert sum(name.startswith(f"{kind}@") for name in stages()) == expected, kind


def test_every_result_lies_beside_the_record_of_its_environment_which_only_the_report_reads() -> None:
    for name, stage in stages().items():
        outs, deps = ([entry.def_path for entry in group] for group in (stage.outs, stage.deps))
        if name == "report":
            assert "results/environments" in deps
        elif name != CHECK:  # it makes no result
            (out,) = (path for path in outs if not path.startswith("results/environments"))
            assert outs == [out, str(environment.place(Path(out)))]
            assert f"--out {out} --records results/environments" in stage.cmd
            assert not any(path.startswith("results/environments") for path in deps)


def test_results_that_git_keeps_are_only_the_summary_and_the_table() -> None:
    kept = {out.def_path for stage in stages().values() for out in stage.outs if not out.use_cache}
    assert kept == {"report/summary.json", "report/table1.md", "report/studies.md", "report/gate.json"}
    assert not any(out.persist for stage in stages().values() for out in stage.outs)


def test_dvc_reads_yaml_with_the_fast_parser() -> None:
    assert YAML(typ="safe").Parser.__name__ == "CParser"


def test_every_number_can_be_set_from_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(SHIPPED.read_text())
    document = YAML(typ="safe").load(file.read_text())
    numbers = [(path, value) for path, value in leaves(document) if isinstance(value, (int, float)) and not isinstance(value, bool)]
    assert len(numbers) > 60
    apply_overrides(file, [f"{'.'.join(map(str, path))}={value + 1}" for path, value in numbers])
    changed = dict(leaves(YAML(typ="safe").load(file.read_text())))
    assert all(changed[path] == pytest.approx(value + 1) for path, value in numbers)
    assert {path: value for path, value in changed.items() if path not in dict(numbers)} == {
        path: value for path, value in leaves(document) if path not in dict(numbers)
    }
