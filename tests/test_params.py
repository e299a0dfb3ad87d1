"""params.yaml is read strictly, and what is wrong is said in one sentence that names the section."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from lib.base import params
from lib.base.errors import InputError, require
from lib.evaluation.threats import Threat, threats
from lib.report import rows
from lib.report.rows import Row


@dataclass(frozen=True)
class Sample:
    rate: float
    count: int
    kind: Literal["l2", "linf"]
    flag: bool
    limit: float | None
    names: list[Literal["a", "b"]]

    def __post_init__(self) -> None:
        require(self.count > 0, f"count must be positive, got {self.count}")


GOOD = {"rate": "1e-3", "count": "3", "kind": "l2", "flag": "true", "limit": "null", "names": "[a, b]"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sample(folder: Path, **changes: str | None) -> Sample:
    """Section outer.inner with some of its values changed, or left out where None."""
    lines = [f"    {key}: {value}" for key, value in {**GOOD, **changes}.items() if value is not None]
    (folder / "params.yaml").write_text("outer:\n  inner:\n" + "\n".join(lines) + "\n")
    return params.section(Sample, "outer", "inner")


def test_a_section_becomes_its_dataclass(folder):
    assert sample(folder) == Sample(0.001, 3, "l2", True, None, ["a", "b"])


@pytest.mark.parametrize("text, value", [("1e-3", 0.001), ("1E5", 1e5), ("2", 2.0), ("-0.5", -0.5), ("1.5e-07", 1.5e-7)])
def test_numbers_are_numbers_however_they_are_written(folder, text, value):
    found = sample(folder, rate=text, limit=text)
    assert found.rate == value and found.limit == value and type(found.rate) is float and type(found.limit) is float


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"more": "1"}, r"params.yaml: outer.inner has unknown keys more; known are rate, count, kind, flag, limit, names"),
        ({"rate": None}, r"params.yaml: outer.inner lacks the key rate"),
        ({"rate": "fast"}, r"params.yaml: outer.inner.rate must be a number, got 'fast'"),
        ({"rate": "null"}, r"params.yaml: outer.inner.rate must be a number, got None"),
        ({"rate": "true"}, r"params.yaml: outer.inner.*number, got True"),
        ({"limit": "true"}, r"params.yaml: outer.inner.limit must be a number or null, got True"),
        ({"count": "true"}, r"params.yaml: outer.inner.count must be an integer, got True"),
        ({"count": "1.5"}, r"params.yaml: outer.inner.count must be an integer, got 1.5"),
        ({"count": "'3'"}, r"params.yaml: outer.inner.count must be an integer, got '3'"),
        ({"kind": "l1"}, r"params.yaml: outer.inner.kind must be one of 'l2', 'linf', got 'l1'"),
        ({"flag": "yes"}, r"params.yaml: outer.inner.flag must be true or false, got 'yes'"),
        ({"flag": "1"}, r"params.yaml: outer.inner.flag must be true or false, got 1"),
        ({"names": "a"}, r"params.yaml: outer.inner.names must be .*, got 'a'"),
        ({"names": "[a, c]"}, r"params.yaml: outer.inner.names.*'c'"),
        ({"count": "-3"}, r"params.yaml: outer.inner: count must be positive, got -3"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(folder, changes, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        sample(folder, **changes)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused_with_the_folder(folder):
    with pytest.raises(InputError, match=f"expected .*params.yaml in the current folder {folder}, found nothing there"):
        params.value("seeds")


@pytest.mark.parametrize("text", ["a: [1, 2", "a: 1\na: 2\n", "a:\n\t- 1"])
def test_what_is_not_yaml_is_refused(folder, text):
    (folder / "params.yaml").write_text(text)
    with pytest.raises(InputError, match="params.yaml is not valid YAML") as caught:
        params.value("a")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[1, 2]", "word"])
def test_a_file_without_sections_is_refused(folder, text):
    (folder / "params.yaml").write_text(text)
    with pytest.raises(InputError, match="params.yaml has no key 'seeds', it has no keys"):
        params.value("seeds")


def test_values_are_found_by_their_keys_and_missing_keys_name_the_known_ones(folder):
    (folder / "params.yaml").write_text("attacks: {pgd: {steps: 40}, square: {}}\n")
    assert params.value("attacks", "pgd", "steps") == 40
    with pytest.raises(InputError, match="params.yaml: attacks has no key 'fgsm', it has pgd, square"):
        params.value("attacks", "fgsm")
    with pytest.raises(InputError, match="params.yaml: attacks.pgd.steps has no key 'more', it has no keys"):
        params.value("attacks", "pgd", "steps", "more")


@pytest.mark.parametrize("text", ["outer: null", "outer: 3", "outer: [1]"])
def test_a_section_that_is_none_is_refused(folder, text):
    (folder / "params.yaml").write_text(text)
    with pytest.raises(InputError, match="params.yaml: outer must be a section with keys"):
        params.section(Sample, "outer")


@pytest.mark.parametrize("name", ["AT-1.5", "a b", "x/y", "'..'", "''", "ä"])
def test_names_are_letters_digits_and_underscores_only(folder, name):
    (folder / "params.yaml").write_text(f"rows: {{{name}: {{technique: a, threats: table, group: null}}}}\n")
    with pytest.raises(InputError, match="params.yaml: rows: names use letters, digits and underscores only, got"):
        params.sections(Row, "rows")


# Rows

TABLE = """
seeds: [0, 1]
rows:
  NR: {technique: Standard, threats: table, group: null}
  R: {technique: "AT(L2,1.5)", threats: table, group: small}
  JR: {technique: JR, threats: table, group: small}
  R_simple: {technique: "IR(R,simp)", threats: few, group: null}
teachers: {NR: {}, R: {}}
at: {}
jr: {JR: {}}
ir: {R_simple: {}}
threats:
  table:
    - {norm: l2, epsilon: 1.5, step_size: 0.5}
    - {norm: linf, epsilon: 0.1, step_size: 625e-5}
  few: [{norm: linf, epsilon: 0.2, step_size: 0.0125}]
  none: []
"""


def table(folder: Path, *changes: tuple[str, str]) -> None:
    text = TABLE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "params.yaml").write_text(text)


def test_the_rows_keep_their_order_and_their_names(folder):
    table(folder)
    found = rows.rows()
    assert list(found) == ["NR", "R", "JR", "R_simple"]
    assert found["R"] == Row("AT(L2,1.5)", "table", "small") and found["R_simple"].threats == "few"


@pytest.mark.parametrize(
    "change, sentence",
    [
        (("ir: {R_simple: {}}", "ir: {}"), "params.yaml: rows R_simple are in none of the sections teachers, at, jr, ir"),
        (("at: {}", "at: {AT25: {}}"), "params.yaml: AT25 are trained but not listed under rows"),
        (("at: {}", "at: {R: {}}"), "params.yaml: R are trained by more than one section"),
        (("  R: {technique", "  R2: {technique"), "params.yaml: rows R2 are in none of"),
        (("group: small}\n  JR", "grp: small}\n  JR"), "params.yaml: rows.R has unknown keys grp"),
        (("at: {}\n", ""), "params.yaml has no key 'at'"),
    ],
)
def test_rows_and_what_is_trained_must_agree(folder, change, sentence):
    table(folder, change)
    with pytest.raises(InputError, match=sentence):
        rows.rows()


@pytest.mark.parametrize("change", [("at: {}", "at:"), ("at: {}", "at: 3")])
def test_a_section_of_rows_that_is_no_section_is_refused(folder, change):
    """Deleting the last entry of a section leaves nothing behind its colon."""
    table(folder, change)
    with pytest.raises(InputError, match="params.yaml: at must be a section with keys"):
        rows.rows()


def test_threats_keep_their_order(folder):
    table(folder)
    assert threats("table") == [Threat("l2", 1.5, 0.5), Threat("linf", 0.1, 0.00625)]


@pytest.mark.parametrize(
    "name, change, sentence",
    [
        ("none", None, "params.yaml: threats.none must be a non-empty list, got "),
        ("many", None, "params.yaml: threats has no key 'many', it has table, few, none"),
        ("table", ("epsilon: 1.5", "epsilon: 0"), "params.yaml: threats.table.0: epsilon must be positive, got 0"),
        ("table", ("625e-5", "-1"), "params.yaml: threats.table.1: step_size must be positive, got -1"),
        (
            "table",
            ("step_size: 625e-5", "step_size: null"),
            "params.yaml: threats.table.1 lacks the key step_size, that of the paper's attack",
        ),
        ("table", ("norm: l2", "norm: l3"), "params.yaml: threats.table.0.norm must be one of 'l2', 'linf', got 'l3'"),
    ],
)
def test_unusable_threats_are_refused(folder, name, change, sentence):
    table(folder, *([change] if change else []))
    with pytest.raises(InputError, match=sentence):
        threats(name)


def test_seeds_are_different_non_negative_integers(folder):
    table(folder)
    assert rows.seeds() == [0, 1]


@pytest.mark.parametrize("value", ["[]", "[0, 0]", "[-1]", "[0.5]", "[true]", "3", "null", "['0']"])
def test_other_seeds_are_refused(folder, value):
    table(folder, ("[0, 1]", value))
    with pytest.raises(InputError, match="params.yaml: seeds must be a list of different non-negative integers, got"):
        rows.seeds()


def test_the_parameters_of_the_project_and_of_every_scale_name_consistent_rows(monkeypatch):
    """Read where they stand; each must also have the threats that its rows ask for."""
    found = [Path("params.yaml"), *sorted(Path("scales").glob("*.yaml"))]
    assert len(found) >= 4
    for path in found:
        monkeypatch.setattr(params, "PATH", path)
        for row in rows.rows().values():
            assert threats(row.threats)
        assert rows.seeds()
