"""The report stage: it reads exactly what the parameters ask for, and what it writes follows from that."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import report_grid
from report_once import OPTIONS, SHARES, made, run

from lib import gradient_file
from lib.base.errors import InputError
from lib.columns import CLEAN, Column
from lib.evaluation import outcome_file
from lib.evaluation.outcome_file import Record
from lib.report import claims, contrasts, findings, series
from lib.report.results import COLUMNS, Evidence


@pytest.fixture
def grid(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_grid.make(SHARES)
    return tmp_path


@pytest.fixture
def project(tmp_path_factory):
    """A project whose report was made once and is only read."""
    return made(tmp_path_factory)


@pytest.fixture
def written(project):
    return project / "report"


def records(row: str) -> tuple[Record, ...]:
    return report_grid.outcomes(1, row, SHARES[row]).records


def moved(record: Record) -> Record:
    """A probe at another radius; anything else as it is."""
    return replace(record, epsilon=0.123) if record.semantics == "probe" else record


def edit(place: str, **changes: object) -> None:
    path = Path("results/attacks") / place
    outcome_file.write(path, replace(outcome_file.read(path), **changes))


def test_results_hold_one_line_per_accuracy(written):
    frame = pd.read_csv(written / "results.csv", keep_default_na=False)
    assert list(frame.columns) == [*COLUMNS, "environment"]
    table_rows, permutation_rows, seeds, threats, radii, sources = 9, 3, 2, 5, 12, 3
    attacks, single_steps = 2, 2  # paper and AutoAttack beside the strict one, which meets all radii
    each = attacks + single_steps + sources
    assert len(frame) == seeds * (table_rows * (1 + each * threats + radii) + permutation_rows * (1 + each + 1))
    clean = frame[frame["attack"] == "clean"]
    assert set(clean["semantics"]) == set(clean["norm"]) == set(clean["epsilon"]) == {""}
    found = frame.query("technique == 'JR' and semantics == 'strict' and attack == 'pgd40' and epsilon == '1.5'")
    assert list(found["accuracy"]) == [0.56, 0.56]
    assert set(frame["semantics"]) == {"", "paper", "strict", "autoattack", "transfer"}
    assert set(frame[frame["semantics"] == "transfer"]["n"]) == {40}
    assert set(frame[frame["semantics"] != "transfer"]["n"]) == {100}


def test_the_summary_is_nested_by_row_with_keys_that_dvc_can_name(written):
    summary = json.loads((written / "summary.json").read_text())
    assert summary["JR"]["clean"] == 0.97
    assert summary["JR"]["paper"] == {"linf_0_2": 0.57, "l2_1_5": 0.7}
    assert summary["JR"]["worst"] == summary["JR"]["autoattack"] == {"linf_0_2": 0.43, "l2_1_5": 0.52}
    assert summary["what_survives"]["over"]["standard"]["points"] == 40 and summary["what_survives"]["seeds"] == 2
    assert summary["NR"]["label_norm"] == 10.5 and "cosine" not in summary["NR"]
    assert summary["R_smoothgrad"]["cosine"] == 0.5
    assert not re.search(r'"[^"]*[. ()/][^"]*":', json.dumps(summary))


def test_the_permutation_series_starts_with_the_unpermuted_source(written):
    frame = pd.read_csv(written / "permutation.csv")
    assert list(frame["fraction"].unique()) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert list(frame[frame["fraction"] == 0]["accuracy"]) == [0.69, 0.69]
    assert list(frame[frame["fraction"] == 1]["label_norm"]) == [8.0, 9.0]


def test_curves_start_at_the_clean_accuracy(written):
    frame = pd.read_csv(written / "curves.csv").query("technique == 'JR' and norm == 'linf'")
    paper, strict = frame.query("semantics == 'paper'"), frame.query("semantics == 'strict'")
    assert list(paper["epsilon"]) == [0, 0.1, 0.2, 0.25, 0.3]
    assert list(paper["accuracy"].round(2)) == [0.97, 0.63, 0.57, 0.51, 0.46]
    assert list(strict["epsilon"]) == [0, 0.05, 0.1, 0.2, 0.25, 0.3, 0.5]
    assert list(strict["accuracy"].round(2)) == [0.97, 0.7, 0.5, 0.45, 0.41, 0.37, 0]


def test_the_area_under_a_curve_is_the_mean_accuracy_over_the_radius_by_the_trapezoid_rule(written):
    frame = pd.read_csv(written / "auc.csv").query("technique == 'JR' and norm == 'l2'")
    heights, widths = [0.97, 0.7, 0.56, 0, 0, 0], [0.75, 0.75, 1, 1, 10.5]
    area = sum(width * (left + right) / 2 for width, left, right in zip(widths, heights, heights[1:])) / 14
    assert list(frame["area"]) == pytest.approx([area, area], abs=1e-6)
    assert list(frame["low"]) == pytest.approx([0.75 * (0.7 + 0.56) / 14] * 2, abs=1e-6)
    assert list(frame["high"]) == pytest.approx([(0.75 * (0.97 + 0.7) + 0.56) / 14] * 2, abs=1e-6)


def test_every_part_of_the_evidence_is_printed_within_110_columns(project):
    output = (project / "printed").read_text()
    lines = output.splitlines()
    assert max(map(len, lines)) <= 110
    jacobian = [line.split() for line in lines if line.startswith("JR ")]
    assert jacobian[0] == ["JR", "97.0", "70.0/56.0/52.0", "63.0/50.0/47.0", "57.0/45.0/43.0", "51.0/41.0/38.0", "46.0/37.0/34.0"]
    assert jacobian[1] == ["JR", "-14.0/-4.0", "-13.0/-3.0", "-12.0/-2.0", "-10.0/-3.0", "-9.0/-3.0"]
    assert len(jacobian[2]) == 1 + 16
    assert any(line.split()[:2] == ["distillation", "not"] for line in lines)
    assert "Count an image only if no attack" in output


def test_the_page_needs_nothing_but_itself(written):
    """What its scripts do is asked in a browser (tests/test_page_browser.py); they are text like the rest."""
    page = re.sub(r"<script.*?</script>", "", (written / "index.html").read_text(), flags=re.DOTALL)
    loaded = re.findall(r'(?:src|href)="([^"]*)"', page)
    linked = {link for link in loaded if not link.startswith(("data:", "#"))}
    assert linked >= {"results.csv", "table1.csv", "table1.md", "table1.tex", "gate.json"}
    assert all((written / link).is_file() for link in linked)
    assert "default-src 'none'" in page and "@import" not in page and "url(" not in page
    assert page.count("<img") > 7 and re.findall(r"<img(?![^>]* alt=)", page) == []


def test_the_page_says_that_it_is_a_replica_and_of_what_size(written):
    page = (written / "index.html").read_text()
    assert "This is a small replica" in page and "100 train images instead of 60,000" in page


def test_a_second_run_into_a_full_folder_writes_the_same_bytes_and_touches_nothing_else(project, tmp_path, monkeypatch):
    """The first run found an old table, an old figure and somebody's file."""
    monkeypatch.chdir(shutil.copytree(project, tmp_path / "project"))
    first = contents()
    assert len(first) == 47 and Path("report/README.md").read_text() == "mine" and not list(Path().glob(".report*"))
    assert run(*OPTIONS).exit_code == 0
    assert [name for name in first | contents() if first.get(name) != contents().get(name)] == []


def contents() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path("report").rglob("*") if path.is_file()}


def test_a_refused_report_leaves_the_old_one_alone(grid):
    Path("report").mkdir()
    Path("report/results.csv").write_text("old")
    Path("results/attacks/0/JR.together.h5").unlink()
    assert run().exit_code == 1
    assert [path.name for path in Path("report").iterdir()] == ["results.csv"]


def test_missing_and_left_over_files_are_refused_by_name_in_one_sentence(grid):
    Path("results/attacks/0/JR.together.h5").rename("results/attacks/0/GONE.together.h5")
    Path("results/gradients/1.h5").rename("results/gradients/7.h5")
    result = run()
    assert result.exit_code == 1
    assert "missing: results/attacks/0/JR.together.h5, results/gradients/1.h5" in result.output
    assert "left over: results/attacks/0/GONE.together.h5, results/gradients/7.h5" in result.output
    assert len(result.output.splitlines()) == 1


def test_rows_that_were_removed_from_the_parameters_do_not_reach_the_report(grid):
    document = json.loads(Path("params.yaml").read_text())
    del document["rows"]["JR"], document["jr"]["JR"]
    Path("params.yaml").write_text(json.dumps(document))
    report_grid.params.parsed.cache_clear()
    with pytest.raises(InputError, match=r"left over: (results/(attacks|transfer)/[01]/JR(.together)?.h5(, )?){4}$"):
        report_grid.read()


@pytest.mark.parametrize(("field", "value"), [("row", "R"), ("seed", 1), ("suite", "other"), ("dataset", "mnist")])
def test_a_file_that_says_it_belongs_elsewhere_is_refused(grid, field, value):
    edit("0/JR.together.h5", **{field: value})
    with pytest.raises(InputError, match=r"0/JR.together.h5 should hold .*'JR', 'together', 'mnist5k'"):
        report_grid.read()


def test_other_threat_models_than_the_rows_list_are_refused(grid):
    edit("1/JR.together.h5", records=report_grid.outcomes(1, "JR", 0.7).records[2:])
    with pytest.raises(InputError, match=r"1/JR.together.h5 has paper pgd40 at .* but threats.table of params.yaml asks for"):
        report_grid.read()


@pytest.mark.parametrize("radius", [3.5, 1.5])
def test_an_attack_must_meet_all_radii_or_exactly_those_of_the_tables(grid, radius):
    kept = tuple(record for record in records("JR") if (record.semantics, record.epsilon) != ("strict", radius))
    edit("1/JR.together.h5", records=kept)
    with pytest.raises(InputError, match=r"1/JR.together.h5 has strict (pgd40|fgsm) at .* but threats.table of params.yaml asks for"):
        report_grid.read()


def test_probes_may_be_asked_at_radii_of_their_own(grid):
    edit("1/JR.together.h5", records=tuple(moved(record) for record in records("JR")))
    assert "probe" not in set(report_grid.read().accuracies["semantics"])


@pytest.mark.parametrize(
    ("semantics", "expected"), [("strict", "'autoattack', 'paper', 'probe'"), ("autoattack", "'paper', 'probe', 'strict'")]
)
def test_a_missing_semantics_is_refused(grid, semantics, expected):
    edit("1/JR.together.h5", records=tuple(record for record in records("JR") if record.semantics != semantics))
    with pytest.raises(InputError, match=rf"semantics \[{expected}\], expected \['autoattack', 'paper', 'probe', 'strict'\]"):
        report_grid.read()


def test_transfer_from_other_sources_than_the_parameters_name_is_refused(grid):
    path = Path("results/transfer/1/JR.h5")
    found = outcome_file.read(path)
    outcome_file.write(path, replace(found, records=tuple(record for record in found.records if record.attack != "from R")))
    with pytest.raises(
        InputError, match=r"transfer/1/JR.h5 has the attacks \['from AT25', 'from NR'\], but transfer.sources .* 'from R'\]"
    ):
        report_grid.read()


def test_transfer_on_other_images_than_asked_for_is_refused(grid):
    document = json.loads(Path("params.yaml").read_text())
    document["transfer"]["images"] = 30
    Path("params.yaml").write_text(json.dumps(document))
    report_grid.params.parsed.cache_clear()
    with pytest.raises(InputError, match="the outcomes are of 40 images, but transfer.images asks for 30"):
        report_grid.read()


def test_images_that_an_attack_was_not_tried_on_are_not_a_number_and_every_file_has_all_images(grid):
    evidence = report_grid.read()
    scores = evidence.per_seed["JR", Column("transfer", "from R", "l2", 1.5)]
    assert {seed: int((~np.isnan(score)).sum()) for seed, score in scores.items()} == {0: 40, 1: 40}
    assert {len(found.rows) for found in evidence.outcomes} == {100}
    assert [record.accuracy for found in evidence.outcomes for record in found.records if record.semantics == "transfer"][0] == 0.5
    assert evidence.per_image["JR", CLEAN].sum() == 97


def test_a_comparison_leaves_out_the_images_that_either_attack_was_not_tried_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_grid.make({"R_smoothgrad": 0.5, "JR": 0.3}, seeds=[0], attacks__together__autoattack__images=40)
    found = findings.difference(report_grid.read(), "R_smoothgrad", "JR", Column("autoattack", "lite", "l2", 1.5))
    assert (found.first, found.second) == (38 / 40, 22 / 40)


@pytest.mark.parametrize("change", [{"images_digest": "f" * 64}, {"rows": np.arange(1, 101)}])
def test_outcomes_on_other_test_images_are_refused(grid, change):
    edit("1/JR.together.h5", **change)
    with pytest.raises(InputError, match="same test images, those of 0/NR.together.h5 and 1/JR.together.h5 do not"):
        report_grid.read()


def test_gradients_of_another_seed_are_refused(grid):
    _, rows, models = gradient_file.read(Path("results/gradients/1.h5"))
    gradient_file.write(Path("results/gradients/1.h5"), 5, "R_smoothgrad", "", rows, models)
    with pytest.raises(InputError, match="1.h5 should hold seed 1, it says 5"):
        report_grid.read()


def test_a_figure_threat_that_nothing_was_attacked_in_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_grid.make(seeds=[0], report__figure_threat={"norm": "linf", "epsilon": 0.25, "semantics": "paper"})
    with pytest.raises(InputError, match="linf 0.25 is not in threats.permutation"):
        series.headline()


def test_the_answer_follows_from_the_numbers(grid):
    text = " ".join(findings.answer(report_grid.read()))
    assert "IR(R,SmG), 69.0 / 55.0 / 52.0 %" in text
    assert "did make this network more robust: +53.0 / +42.0 / +40.0 points" in text
    assert "all are clear of sampling noise: what the targets show matters" in text
    assert "JR +12.0 / +10.0 / +9.0" in text
    assert "AT(L2,1.5)" in text
    assert "is above it under the paper’s attack, the strict attack and shortened AutoAttack (+4.0 / +3.0 / +3.0 points, within" in text


def test_the_answer_turns_round_when_the_numbers_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_grid.make({"NR": 0.9, "R_smoothgrad": 0.3, "R_simple": 0.3})
    evidence = report_grid.read()
    text = " ".join(findings.answer(evidence))
    assert "is not shown: −49.0 / −39.0 / −37.0 points" in text
    assert "0 of 9 are clearly above zero and 9 clearly below" in text
    assert "is below it under the paper’s attack" in text
    assert verdicts(evidence, "strict")["jacobian_mnist"] == "contradicted"


def test_a_difference_that_few_images_make_is_called_noise(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_grid.make({"NR": 0.2, "R_smoothgrad": 0.82, "R_simple": 0.2}, seeds=[0])
    evidence = report_grid.read()
    assert "none is clear of sampling noise" in " ".join(findings.answer(evidence))
    assert verdicts(evidence, "strict")["jacobian_mnist"] == "cannot tell"


def test_rows_are_held_against_rows_of_their_own_group(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_grid.make({"R320": 0.5, "R80": 0.9, "R80_smoothgrad": 0.85}, "cifar10", seeds=[0])
    evidence = report_grid.read()
    assert {standing.row for standing in findings.standings(evidence).values()} >= {"NR", "R80", "JR80", "R80_smoothgrad"}
    ours = [pair for pair in contrasts.pairs(evidence) if "R80_smoothgrad" in (pair.first, pair.second)]
    assert ours and not any("320" in pair.first + pair.second for pair in ours)


def test_paired_differences_agree_with_the_accuracies(grid):
    evidence = report_grid.read()
    for semantics, column in series.headline_columns(evidence).items():
        found = findings.difference(evidence, "R_smoothgrad", "JR", column)
        shrunk = (found.first - found.second) * 100 / 102
        assert (found.low + found.high) / 2 == pytest.approx(shrunk), semantics


def test_the_claims_get_their_verdicts_from_the_files_under_every_attack(grid):
    evidence = report_grid.read()
    for semantics in ("paper", "strict", "autoattack"):
        found = verdicts(evidence, semantics)
        assert found["defended"] == found["content"] == "supported", semantics
        assert found["hardest"] == found["smoothgrad"] == "cannot tell", semantics
    assert verdicts(evidence, "")["alignment"] == "contradicted"


def test_the_csv_of_claims_and_contrasts_and_the_gate_cover_every_attack_and_row(written):
    lines = pd.read_csv(written / "claims.csv", keep_default_na=False)
    assert {"paper", "strict", "autoattack"} <= set(lines["semantics"])
    assert set(pd.read_csv(written / "contrasts.csv")["semantics"]) == {"paper", "strict", "autoattack"}
    gate = json.loads((written / "gate.json").read_text())
    assert len(gate) == 12 and {len(checks) for row in gate.values() for checks in row["seeds"].values()} == {16}


def verdicts(evidence: Evidence, semantics: str) -> dict[str, str]:
    """Claim -> its verdict under one attack ("": about gradients)."""
    return {claim.key: claim.findings[semantics].verdict for claim in claims.claims(evidence) if semantics in claim.findings}
