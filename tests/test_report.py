"""The report stage: it reads exactly what the parameters ask for, and what it writes follows from that."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import report_grid
from click.testing import CliRunner, Result

from lib import gradient_file, outcome_file
from lib.base.errors import InputError
from lib.report import checks, findings, series
from lib.report.results import COLUMNS
from stages import report

SHARES = {"NR": 0.2, "R_smoothgrad": 0.85, "R_simple": 0.84, "R_smoothgrad_perm100": 0.6, "NR_smoothgrad": 0.6, "NR_simple": 0.6, "JR": 0.7}


@pytest.fixture
def grid(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_grid.make(SHARES)
    return tmp_path


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A report that was made once and is only read."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("written")
        patch.chdir(folder)
        report_grid.make(SHARES)
        result = run()
        assert result.exit_code == 0, result.output
        yield folder / "report"


def run(out: str = "report") -> Result:
    return CliRunner().invoke(report.main, report_grid.command_line(out), catch_exceptions=False)


def edit(place: str, **changes: object) -> None:
    path = Path("results/attacks") / place
    outcome_file.write(path, replace(outcome_file.read(path), **changes))


def test_results_hold_one_line_per_accuracy(written):
    frame = pd.read_csv(written / "results.csv", keep_default_na=False)
    assert list(frame.columns) == COLUMNS
    table_rows, permutation_rows, seeds, semantics, threats = 9, 3, 2, 2, 5
    assert len(frame) == seeds * (table_rows * (1 + semantics * threats) + permutation_rows * (1 + semantics))
    clean = frame[frame["attack"] == "clean"]
    assert set(clean["semantics"]) == set(clean["norm"]) == set(clean["epsilon"]) == {""}
    found = frame[(frame["technique"] == "JR") & (frame["semantics"] == "strict") & (frame["epsilon"] == "1.5")]
    assert list(found["accuracy"]) == [0.56, 0.56]
    assert set(frame["n"]) == {100}


def test_the_summary_is_nested_by_row_with_keys_that_dvc_can_name(written):
    summary = json.loads((written / "summary.json").read_text())
    assert summary["JR"]["clean"] == 0.97
    assert summary["JR"]["paper"] == {"linf_0_2": 0.57, "l2_1_5": 0.7}
    assert summary["NR"]["label_norm"] == 10.5 and "cosine" not in summary["NR"]
    assert summary["R_smoothgrad"]["cosine"] == 0.5
    assert not re.search(r'"[^"]*[. ()/][^"]*":', json.dumps(summary))


def test_the_permutation_series_starts_with_the_unpermuted_source(written):
    frame = pd.read_csv(written / "permutation.csv")
    assert list(frame["fraction"].unique()) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert list(frame[frame["fraction"] == 0]["accuracy"]) == [0.69, 0.69]
    assert list(frame[frame["fraction"] == 1]["label_norm"]) == [8.0, 9.0]


def test_curves_start_at_the_clean_accuracy(written):
    frame = pd.read_csv(written / "curves.csv").query("technique == 'JR' and norm == 'linf' and semantics == 'paper'")
    assert list(frame["epsilon"]) == [0, 0.1, 0.2, 0.25, 0.3]
    assert list(frame["accuracy"].round(2)) == [0.97, 0.63, 0.57, 0.51, 0.46]


def test_the_page_needs_nothing_but_itself(written):
    page = (written / "index.html").read_text()
    loaded = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert {link for link in loaded if not link.startswith("data:")} == {"results.csv", "table1.csv", "table1.md", "table1.tex"}
    assert "<script" not in page and "@import" not in page and "url(" not in page
    assert page.count("<img") == page.count(' alt="') == 6


def test_the_page_says_that_it_is_a_replica_and_of_what_size(written):
    page = (written / "index.html").read_text()
    assert "This is a small replica" in page and "100 train images instead of 60,000" in page


def test_a_second_run_into_a_full_folder_writes_the_same_bytes_and_touches_nothing_else(written, grid):
    Path("again/figures").mkdir(parents=True)
    Path("again/README.md").write_text("mine")
    Path("again/results.csv").write_text("old")
    Path("again/figures/old.png").write_text("stale")
    assert run("again").exit_code == 0
    files = {path.relative_to(written) for path in written.rglob("*") if path.is_file()}
    assert len(files) == 20
    assert {path.relative_to("again") for path in Path("again").rglob("*") if path.is_file()} == files | {Path("README.md")}
    assert [file for file in files if (written / file).read_bytes() != ("again" / file).read_bytes()] == []
    assert Path("again/README.md").read_text() == "mine"
    assert not list(Path(".").glob(".again*"))


def test_a_refused_report_leaves_the_old_one_alone(grid):
    Path("report").mkdir()
    Path("report/results.csv").write_text("old")
    Path("results/attacks/0/JR.pgd.h5").unlink()
    assert run().exit_code == 1
    assert [path.name for path in Path("report").iterdir()] == ["results.csv"]


def test_missing_and_left_over_files_are_refused_by_name_in_one_sentence(grid):
    Path("results/attacks/0/JR.pgd.h5").rename("results/attacks/0/GONE.pgd.h5")
    Path("results/gradients/1.h5").rename("results/gradients/7.h5")
    result = run()
    assert result.exit_code == 1
    assert "missing: results/attacks/0/JR.pgd.h5, results/gradients/1.h5" in result.output
    assert "left over: results/attacks/0/GONE.pgd.h5, results/gradients/7.h5" in result.output
    assert len(result.output.splitlines()) == 1


def test_rows_that_were_removed_from_the_parameters_do_not_reach_the_report(grid):
    document = json.loads(Path("params.yaml").read_text())
    del document["rows"]["JR"], document["jr"]["JR"]
    Path("params.yaml").write_text(json.dumps(document))
    report_grid.params._document.cache_clear()
    with pytest.raises(InputError, match=r"left over: results/attacks/0/JR.pgd.h5, results/attacks/1/JR.pgd.h5$"):
        report_grid.read()


@pytest.mark.parametrize(("field", "value"), [("row", "R"), ("seed", 1), ("suite", "other"), ("dataset", "mnist")])
def test_a_file_that_says_it_belongs_elsewhere_is_refused(grid, field, value):
    edit("0/JR.pgd.h5", **{field: value})
    with pytest.raises(InputError, match=r"0/JR.pgd.h5 should hold .*'JR', 'pgd', 'mnist5k'"):
        report_grid.read()


def test_other_threat_models_than_the_rows_list_are_refused(grid):
    edit("1/JR.pgd.h5", records=report_grid.outcomes(1, "JR", 0.7).records[2:])
    with pytest.raises(InputError, match=r"1/JR.pgd.h5 has paper pgd40 at .* but threats.table of params.yaml asks for"):
        report_grid.read()


def test_a_missing_semantics_is_refused(grid):
    edit("1/JR.pgd.h5", records=report_grid.outcomes(1, "JR", 0.7).records[::2])
    with pytest.raises(InputError, match=r"semantics \['paper'\], expected \['paper', 'strict'\]"):
        report_grid.read()


@pytest.mark.parametrize("change", [{"images_digest": "f" * 64}, {"rows": np.arange(1, 101)}])
def test_outcomes_on_other_test_images_are_refused(grid, change):
    edit("1/JR.pgd.h5", **change)
    with pytest.raises(InputError, match="same test images, those of 0/NR.pgd.h5 and 1/JR.pgd.h5 do not"):
        report_grid.read()


def test_gradients_of_another_seed_are_refused(grid):
    _, rows, models = gradient_file.read(Path("results/gradients/1.h5"))
    gradient_file.write(Path("results/gradients/1.h5"), 5, "R_smoothgrad", rows, models)
    with pytest.raises(InputError, match="1.h5 should hold seed 1, it says 5"):
        report_grid.read()


def test_a_figure_threat_that_nothing_was_attacked_in_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_grid.make(report__figure_threat={"norm": "linf", "epsilon": 0.25, "semantics": "paper"})
    with pytest.raises(InputError, match="linf 0.25 is not in threats.permutation"):
        series.headline()


def test_the_answer_follows_from_the_numbers(grid):
    text = " ".join(findings.answer(report_grid.read()))
    assert "IR(R,SmG), 69.0 %" in text
    assert "did make this network more robust: +53.0 points" in text
    assert "all are clear of sampling noise: what the targets show matters" in text
    assert "JR +12.0 / +10.0" in text
    assert "AT(L2,1.5)" in text and "is above it under the paper’s attack (+4.0 points" in text


def test_the_answer_turns_round_when_the_numbers_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_grid.make({"NR": 0.9, "R_smoothgrad": 0.3, "R_simple": 0.3})
    evidence = report_grid.read()
    text = " ".join(findings.answer(evidence))
    assert "is not shown: −49.0 points" in text
    assert "0 of 6 are clearly above zero and 6 clearly below" in text
    assert "is below it under the paper’s attack" in text
    assert checks.checks(evidence)[0].verdict == "does not hold"


def test_a_difference_that_few_images_make_is_called_noise(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_grid.make({"NR": 0.2, "R_smoothgrad": 0.82, "R_simple": 0.2})
    evidence = report_grid.read()
    assert "none is clear of sampling noise" in " ".join(findings.answer(evidence))
    noisy = next(check for check in checks.checks(evidence) if check.claim.startswith("Interpretation Regularization beats"))
    assert noisy.verdict == "holds, within sampling noise"


def test_rows_are_held_against_rows_of_their_own_group(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_grid.make({"R80_smoothgrad": 0.9, "JR320": 0.85}, "cifar10", seeds=[0])
    evidence = report_grid.read()
    assert {standing.row for standing in findings.standings(evidence).values()} >= {"NR", "R80", "JR80", "R80_smoothgrad"}
    numbers = [check.numbers for check in checks.checks(evidence) if check.claim.startswith(("A robust", "Interpretation"))]
    assert numbers and not any("320" in text for text in numbers)


def test_paired_differences_agree_with_the_accuracies(grid):
    evidence = report_grid.read()
    for semantics, column in series.headline_columns(evidence).items():
        found = findings.difference(evidence, "R_smoothgrad", "JR", column)
        shrunk = (found.first - found.second) * 100 / 102
        assert (found.low + found.high) / 2 == pytest.approx(shrunk), semantics


def test_checks_give_each_expectation_its_verdict(grid):
    verdicts = {(check.claim, check.where): check for check in checks.checks(report_grid.read())}
    defended = verdicts["Every defended network is above standard training at L∞ 0.2", "paper’s attack"]
    assert defended.numbers == "IR(R,perm,SmG) 49.0 % · Standard 16.0 %" and defended.verdict == "holds"
    strict = verdicts["The strict attack never leaves more images standing than the paper’s", "all cells"]
    assert strict.verdict == "holds"
    norms = verdicts["Every defended network has smaller label gradients than standard training", "gradients"]
    assert norms.numbers == "largest: AT(L2,1.5) 10.00 · Standard 10.50" and norms.verdict == "holds"
    alignment = verdicts["Gradients align less with their targets, the more of these is permuted", "gradients"]
    assert alignment.numbers == "0.50 → 0.45 → 0.40 → 0.35 → 0.70" and alignment.verdict == "does not hold"
