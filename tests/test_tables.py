"""Table 1 from outcomes whose accuracies are known."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import report_grid
from markupsafe import Markup

from lib.evaluation import outcome_file
from lib.report import published, table
from lib.report.rows import Row
from lib.statistics.columns import CLEAN, Column

SHARES = {"NR": 0.3, "R": 0.9, "AT25": 0.9, "JR": 0.7, "R_simple": 0.75, "R_smoothgrad": 0.85}
L2, WIDE = Column("paper", "pgd40", "l2", 1.5), Column("paper", "pgd40", "linf", 0.3)
STRICT = Column("strict", "search", "l2", 1.5)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("grid"))
        report_grid.make(SHARES)
        yield report_grid.read()


@pytest.fixture(scope="module")
def table1(evidence):
    return table.build(evidence)


def cell(table1: pd.DataFrame, technique: str, column: Column) -> pd.Series:
    """The line of a technique in a column."""
    lines = table1[(table1["technique"] == technique) & (table1["semantics"] == column.semantics)]
    return lines[(lines["norm"] == column.norm) & (lines["epsilon"].fillna(0) == column.epsilon)].iloc[0]


def accuracy(table1: pd.DataFrame, technique: str, column: Column) -> float:
    return float(cell(table1, technique, column)["accuracy_percent"])


def columns(table1: pd.DataFrame) -> list[tuple[str, str]]:
    """Attack and threat model of every column of the table as it is shown."""
    return list(table._wide(table1, table._value).columns)


def test_cells_are_means_over_seeds_in_percent(table1):
    assert accuracy(table1, "Standard", CLEAN) == 97 and accuracy(table1, "JR", L2) == 70 and accuracy(table1, "JR", STRICT) == 56


def test_there_is_one_column_group_per_attack_over_the_threat_models_of_the_paper(table1):
    threats = ["L2 1.5", "L∞ 0.1", "L∞ 0.2", "L∞ 0.25", "L∞ 0.3"]
    first = [("", "Clean"), (table.WORST, "L∞ 0.2")]
    assert columns(table1) == first + [(attack, threat) for attack in ("paper: pgd40", "strict: search") for threat in threats]


def test_an_attack_of_ones_own_gets_columns_behind_the_others_and_counts_in_the_worst_case(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_grid.make(seeds=[0], own_attacks={"momentum": {}})
    for place in list(Path("results/attacks/0").iterdir()):
        with report_grid.remembered():
            found = outcome_file.read(place)
        halved = {norm: replace(radius, radius=radius.radius / 2) for norm, radius in found.radii.items()}
        own = replace(found, radii=halved if place.stem == "JR" else found.radii, records=(), settings={"momentum": {}})
        outcome_file.write(place.with_suffix(".momentum.h5"), own)
    evidence = report_grid.read()
    table1 = table.build(evidence)
    assert list(dict.fromkeys(attack for attack, _ in columns(table1)))[2:] == ["paper: pgd40", "strict: search", "momentum"]
    assert accuracy(table1, "JR", Column("momentum", "momentum", "l2", 1.5)) == 0
    assert accuracy(table1, "JR", Column(table.WORST, "all", "linf", 0.2)) == 0
    assert evidence.radii["JR", "l2"].mean() == pytest.approx(evidence.radii["AT25", "l2"].mean() / 2)


def test_the_paper_column_counts_runs_and_the_strict_one_images_with_a_larger_radius(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_grid.make(seeds=[0])
    found = report_grid.outcomes(0, "JR", 0.5)
    for record in found.records:
        record.correct[0] &= record.semantics != "paper"
    outcome_file.write(Path("results/attacks/0/JR.h5"), found)
    table1 = table.build(report_grid.read())
    assert accuracy(table1, "JR", L2) == pytest.approx(33.3333, abs=1e-4) and accuracy(table1, "JR", STRICT) == 40


def test_rows_keep_the_order_of_the_parameters_and_leave_out_other_lists(table1):
    assert list(table1["technique"].unique())[:4] == ["Standard", "AT(L2,1.5)", "AT(L2,2.5)", "JR"]
    assert not table1["technique"].str.contains("perm25").any()


def test_equal_values_share_a_mark_the_next_value_takes_the_next_and_clean_accuracies_have_none(table1):
    marks = {technique: cell(table1, technique, L2)["rank"] for technique in table1["technique"].unique()}
    assert marks["AT(L2,1.5)"] == marks["AT(L2,2.5)"] == "best" and marks["IR(R,SmG)"] == "second"
    assert marks["IR(NR,simp)"] == marks["IR(NR,SmG)"] == marks["IR(R,perm,SmG)"] == "third"
    assert marks["IR(R,simp)"] == marks["Standard"] == ""
    assert set(table1[table1["attack"] == "clean"]["rank"]) == {""}


def test_published_values_stand_beside_the_same_technique_and_attack_only(table1):
    jacobian = cell(table1, "JR", L2)
    assert (jacobian["published_percent"], jacobian["difference"]) == (82.64, pytest.approx(-12.64))
    assert cell(table1, "IR(R,SmG)", L2)["published_percent"] == 85.25 and cell(table1, "AT(L2,1.5)", WIDE)["published_percent"] == 5.46
    assert math.isnan(cell(table1, "IR(R,SmG)", STRICT)["published_percent"])
    assert published.percent("mnist", Row("My own", "table", None), L2) is None
    assert published.percent("imagefolder", Row("JR", "table", None), L2) is None


def test_published_fractions_of_255_are_found_in_their_group():
    column = Column("paper", "pgd40", "linf", 8 / 255)
    assert published.percent("cifar10", Row("JR", "table", "320/255"), column) == 11.23
    assert published.percent("cifar10", Row("JR", "table", "80/255"), column) == 2.51
    assert published.percent("cifar10", Row("Standard", "table", None), column) == 0.01
    assert published.percent("cifar10", Row("Standard", "table", "none"), column) == 0.01


def test_the_frame_holds_what_the_strict_attack_takes_away(table1):
    assert cell(table1, "JR", STRICT)["paper_minus_strict"] == pytest.approx(70 - 56)
    filled = table1["paper_minus_strict"].notna().groupby(table1["semantics"]).all()
    assert filled.to_dict() == {"": False, table.WORST: False, "paper": False, "strict": True}
    assert table.taken(table1).loc["JR", "L2 1.5"] == "−14.0"


@pytest.mark.parametrize(
    ("values", "shown"), [([40.0], ""), ([40.0, 46.0], "40.0 / 46.0"), ([40.0, 42.0, 44.0], "±5.0"), ([41.0, 41.0, 41.0], "±0.0")]
)
def test_the_spread_is_nothing_a_range_or_a_t_interval(values, shown):
    low, high = table._spread(values)
    assert table._seeds({"low": low, "high": high, "n": 100, "seeds": len(values)}) == shown


def test_the_caption_counts_images_seeds_and_attacks_on_fewer_images(evidence):
    facts = table.caption(evidence)
    assert (facts["images"], facts["dataset"], facts["seeds"], facts["fewer"]) == (100, "mnist5k", 2, {})
    assert facts["half"] == pytest.approx(9.6, abs=0.05)


def test_markdown_marks_first_second_and_third(table1):
    text = table.markdown(table1, "Caption.")
    assert text.startswith("Caption.\n\n") and "**90.0**<br>" in text and "<u>85.0</u><br>" in text and "\\*80.0<br>" in text
    assert "<sub>paper 85.25</sub>" in text
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1


def test_latex_marks_and_escapes(table1):
    text = table.latex(table1, "5 % ± 1")
    assert r"\textbf{90.0}" in text and r"\underline{85.0}" in text and "80.0$^*$" in text
    assert r"\caption{5 \% $\pm$ 1}" in text and "%" not in text.replace(r"\%", "")
    assert not re.search(r"[^\x00-\x7f]", text)


def test_latex_has_a_block_per_attack_with_published_numbers_under_the_papers_own(table1):
    blocks = table.latex(table1, "").split(r"\par\smallskip ")[1:]
    lines = [next(line for line in block.splitlines() if line.startswith("JR &")) for block in blocks]
    assert [line.count("&") for line in lines] == [1, 1, 5, 5]
    assert [r"\tiny paper" in line for line in lines] == [True, False, True, False]


def test_latex_escapes_every_special_character():
    assert table.escape_latex(r"a_b & 5% #{x}~^\ $") == (r"a\_b \& 5\% \#\{x\}\textasciitilde{}\textasciicircum{}\textbackslash{} \$")


def test_cifar_is_table_2_ranked_within_groups_with_their_headers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_grid.make({"R320": 0.5, "R80": 0.9, "R80_smoothgrad": 0.85}, "cifar10", seeds=[0])
    evidence = report_grid.read()
    table1 = table.build(evidence)
    chosen = table1[(table1["semantics"] == "paper") & (table1["norm"] == "l2") & (table1["epsilon"] == 80 / 255)]
    marks = {(group, technique): rank for group, technique, rank in zip(chosen["group"], chosen["technique"], chosen["rank"])}
    assert table.number_of(table1) == 2
    bodies = re.findall(r"<tbody>(.*?)</tbody>", table.html(table1, "Table 2"), re.DOTALL)
    assert [re.findall(r'scope="rowgroup">([^<]*)', body) for body in bodies] == [[], ["320/255"], ["80/255"]]
    assert marks["none", "Standard"] == ""
    assert marks["320/255", "JR"] == "best" and marks["320/255", "AT(L2,320/255)"] == "second"
    assert marks["80/255", "AT(L2,80/255)"] == "best" and marks["80/255", "IR(R,SmG)"] == "second"
    assert {"JR [320/255]", "JR [80/255]", "Standard"} <= set(evidence.accuracies["technique"])


def test_any_frame_becomes_a_table_whose_heads_have_a_scope_and_whose_words_are_escaped():
    frame = pd.DataFrame({("attack", "a<b"): ["1", Markup("<b>2</b>")], ("attack", "c"): ["3", "4"]}, pd.Index(["x&y", "z"], name="row"))
    html = table.frame_html(frame, "A table", ["", "late"])
    assert "a&lt;b" in html and "x&amp;y" in html and "<td><b>2</b></td>" in html and 'aria-label="A table"' in html
    assert '<th scope="colgroup" colspan="2">attack</th>' in html and html.count("<tbody>") == 2
    assert re.findall(r"<th\b(?! scope| colspan)", html) == []
