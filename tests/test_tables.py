"""Table 1 from outcomes whose accuracies are known."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import report_grid

from lib.evaluation import outcome_file
from lib.report import published, table_formats, tables
from lib.report.rows import Row
from lib.report.tables import Table
from lib.statistics.columns import CLEAN, Column

SHARES = {"NR": 0.3, "R": 0.9, "AT25": 0.9, "JR": 0.7, "R_simple": 0.75, "R_smoothgrad": 0.85}
L2, WIDE = Column("paper", "pgd40", "l2", 1.5), Column("paper", "pgd40", "linf", 0.3)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("grid"))
        report_grid.make(SHARES)
        yield report_grid.read()


@pytest.fixture(scope="module")
def table(evidence):
    return tables.build(evidence)


def cell(table: Table, technique: str, column: Column) -> tables.Cell:
    line = next(line for line in table.lines if line.technique == technique)
    return line.cells[table.columns.index(column)]


def test_cells_are_means_over_seeds_in_percent(table):
    assert cell(table, "Standard", CLEAN).shown == "97.0"
    assert cell(table, "JR", L2).shown == "70.0"
    assert cell(table, "JR", Column("strict", "search", "l2", 1.5)).shown == "56.0"


def test_there_is_one_column_group_per_attack_over_the_threat_models_of_the_paper(table):
    threats = ["L2 1.5", "L∞ 0.1", "L∞ 0.2", "L∞ 0.25", "L∞ 0.3"]
    assert table.column_groups == [("paper: pgd40", 5), ("strict: search", 5)]
    assert [column.threat for column in table.columns[1:]] == 2 * threats


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
    table = tables.build(evidence)
    assert [name for name, _ in table.column_groups] == ["paper: pgd40", "strict: search", "momentum"]
    assert cell(table, "JR", Column("momentum", "momentum", "l2", 1.5)).shown == "0.0"
    assert next(line for line in table.lines if line.technique == "JR").worst.shown == "0.0"
    assert evidence.radii["JR", "l2"].mean() == pytest.approx(evidence.radii["AT25", "l2"].mean() / 2)


def test_the_paper_column_counts_runs_and_the_strict_one_images_with_a_larger_radius(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_grid.make(seeds=[0])
    found = report_grid.outcomes(0, "JR", 0.5)
    for record in found.records:
        record.correct[0] &= record.semantics != "paper"
    outcome_file.write(Path("results/attacks/0/JR.h5"), found)
    table = tables.build(report_grid.read())
    assert cell(table, "JR", L2).shown == "33.3" and cell(table, "JR", Column("strict", "search", "l2", 1.5)).shown == "40.0"


def test_rows_keep_the_order_of_the_parameters_and_leave_out_other_lists(table):
    assert [line.technique for line in table.lines[:4]] == ["Standard", "AT(L2,1.5)", "AT(L2,2.5)", "JR"]
    assert not any("perm25" in line.technique for line in table.lines)


def test_equal_values_share_a_mark_and_the_next_value_takes_the_next(table):
    marks = {line.technique: line.cells[table.columns.index(L2)].mark for line in table.lines}
    assert marks["AT(L2,1.5)"] == marks["AT(L2,2.5)"] == "best"
    assert marks["IR(R,SmG)"] == "second"
    assert marks["IR(NR,simp)"] == marks["IR(NR,SmG)"] == marks["IR(R,perm,SmG)"] == "third"
    assert marks["IR(R,simp)"] == marks["Standard"] == ""


def test_clean_accuracies_are_not_ranked(table):
    assert {line.cells[0].mark for line in table.lines} == {""}


def test_published_values_stand_beside_the_same_technique_and_attack_only(table):
    assert cell(table, "IR(R,SmG)", L2).published == 85.25
    assert cell(table, "AT(L2,1.5)", WIDE).published == 5.46
    assert cell(table, "IR(R,SmG)", Column("strict", "search", "l2", 1.5)).published is None
    assert published.percent("mnist", Row("My own", "table", None), L2) is None
    assert published.percent("imagefolder", Row("JR", "table", None), L2) is None


def test_published_fractions_of_255_are_found_in_their_group():
    column = Column("paper", "pgd40", "linf", 8 / 255)
    assert published.percent("cifar10", Row("JR", "table", "320/255"), column) == 11.23
    assert published.percent("cifar10", Row("JR", "table", "80/255"), column) == 2.51
    assert published.percent("cifar10", Row("Standard", "table", None), column) == 0.01
    assert published.percent("cifar10", Row("Standard", "table", "none"), column) == 0.01


def test_the_csv_holds_differences_to_the_paper(table):
    frame = tables.to_frame(table).set_index(["technique", "semantics", "norm", "epsilon"])
    entry = frame.loc[("JR", "paper", "l2", 1.5)]
    assert entry["accuracy_percent"] == 70.0
    assert entry["published_percent"] == 82.64
    assert entry["difference"] == pytest.approx(-12.64)


def test_the_csv_holds_what_the_strict_attack_takes_away(table):
    frame = tables.to_frame(table).set_index(["technique", "semantics", "norm", "epsilon"])
    assert frame.loc[("JR", "strict", "l2", 1.5)]["paper_minus_strict"] == pytest.approx(70 - 56)
    filled = frame["paper_minus_strict"].notna().groupby(level="semantics").all()
    assert filled.to_dict() == {"": False, "paper": False, "strict": True}
    assert [table.columns[place].semantics for place in table.ladder[0][1]] == ["strict"]


@pytest.mark.parametrize(
    ("values", "spread"), [([40.0], ""), ([40.0, 46.0], "40.0 / 46.0"), ([40.0, 42.0, 44.0], "±5.0"), ([41.0, 41.0, 41.0], "±0.0")]
)
def test_the_spread_is_nothing_a_range_or_a_t_interval(values, spread):
    assert tables._spread(values, 1)[2] == spread


def test_the_caption_states_images_and_seeds(table):
    assert "100 test images of mnist5k: mean over 2 seeds" in table.caption
    assert "±9.6 points" in table.caption


def test_markdown_marks_first_second_and_third(table):
    text = table_formats.to_markdown(table)
    assert "**90.0**<br>" in text and "<u>85.0</u><br>" in text and "\\*80.0<br>" in text
    assert "<sub>paper 85.25</sub>" in text
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1


def test_latex_marks_and_escapes(table):
    text = table_formats.to_latex(table)
    assert r"\textbf{90.0}" in text and r"\underline{85.0}" in text and "80.0$^*$" in text
    assert r"95 \%" in text and "%" not in text.replace(r"\%", "")
    assert not re.search(r"[^\x00-\x7f]", text)
    rows = [line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert {line.count("&") for line in rows} == {1 + 5} and r"\begin{tabular}{lrrrrrr}" in text


def test_latex_has_a_block_per_attack_and_clean_and_published_numbers_in_the_first_only(table):
    names = [name for name, _ in table.column_groups]
    parts = re.split("|".join(map(re.escape, names)), table_formats.to_latex(table))
    assert len(parts) == 1 + len(names)
    lines = [next(line for line in part.splitlines() if line.startswith("JR &")) for part in parts[1:]]
    assert [line.split(" & ")[1] for line in lines] == ["97.0", ""]
    assert [r"\tiny paper" in part for part in parts[1:]] == [True, False]


def test_latex_escapes_every_special_character():
    assert table_formats.escape_latex(r"a_b & 5% #{x}~^\ $") == (
        r"a\_b \& 5\% \#\{x\}\textasciitilde{}\textasciicircum{}\textbackslash{} \$"
    )


def test_cifar_is_table_2_ranked_within_groups_with_their_headers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_grid.make({"R320": 0.5, "R80": 0.9, "R80_smoothgrad": 0.85}, "cifar10", seeds=[0])
    evidence = report_grid.read()
    table = tables.build(evidence)
    column = Column("paper", "pgd40", "l2", 80 / 255)
    marks = {(line.group, line.technique): line.cells[table.columns.index(column)].mark for line in table.lines}
    assert table.number == 2
    assert [line.header for line in table.lines if line.header] == ["320/255", "80/255"]
    assert marks["none", "Standard"] == ""
    assert marks["320/255", "JR"] == "best" and marks["320/255", "AT(L2,320/255)"] == "second"
    assert marks["80/255", "AT(L2,80/255)"] == "best" and marks["80/255", "IR(R,SmG)"] == "second"
    assert {"JR [320/255]", "JR [80/255]", "Standard"} <= set(evidence.accuracies["technique"])
