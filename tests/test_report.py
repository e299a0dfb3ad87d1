"""The report stage: it reads exactly what the parameters ask for, and what it writes follows from that."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import report_grid
from report_once import OPTIONS, SHARES, made, run

from lib.base.errors import InputError
from lib.evaluation import outcome_file
from lib.gradients import gradient_file
from lib.report import claims, comparisons, series
from lib.report.results import COLUMNS, Evidence
from lib.statistics.columns import CLEAN, Column


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


def edit(place: str, **changes: object) -> None:
    path = Path("results/attacks") / place
    outcome_file.write(path, replace(outcome_file.read(path), **changes))


def test_results_hold_one_line_per_accuracy(written):
    frame = pd.read_csv(written / "results.csv", keep_default_na=False)
    assert list(frame.columns) == [*COLUMNS, "environment"]
    table_rows, permutation_rows, seeds, threats, attacks = 9, 3, 2, 5, 2
    sources = 3  # rows of the table, which are not shown their own images
    each = attacks + sources
    assert len(frame) == seeds * (table_rows * (1 + each * threats) - 3 * threats + permutation_rows * (1 + each))
    clean = frame[frame["attack"] == "clean"]
    assert set(clean["semantics"]) == set(clean["norm"]) == set(clean["epsilon"]) == {""}
    found = frame.query("technique == 'JR' and semantics == 'strict' and attack == 'search' and epsilon == '1.5'")
    assert list(found["accuracy"]) == [0.56, 0.56]
    assert set(frame["semantics"]) == {"", "paper", "strict", "transfer"}
    assert set(frame[frame["semantics"] == "transfer"]["n"]) == {40}
    assert set(frame[frame["semantics"] != "transfer"]["n"]) == {100}


def test_the_summary_is_nested_by_row_with_keys_that_dvc_can_name(written):
    summary = json.loads((written / "summary.json").read_text())
    assert summary["JR"]["clean"] == 0.97
    assert summary["JR"]["paper"] == 0.57 and summary["JR"]["mean_radius"].keys() == {"l2", "linf"}
    assert len(list(numbers(summary))) == 9 * 4 + 5 * 2 * 3 and set(map(type, numbers(summary))) == {float}, "on one screen"
    assert len(summary["contrasts"]) == 5 and all(norms.keys() == {"l2", "linf"} for norms in summary["contrasts"].values())
    assert not re.search(r'"[^"]*[. ()/][^"]*":', json.dumps(summary))


def numbers(entries: dict) -> Iterator[object]:
    for entry in entries.values():
        yield from numbers(entry) if isinstance(entry, dict) else [entry]


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
    assert list(strict["epsilon"]) == [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35]
    assert list(strict["accuracy"].round(2)) == [0.97, 0.5, 0.5, 0.45, 0.45, 0.41, 0.37, 0]


def test_the_mean_radius_is_the_mean_of_what_was_written_and_the_area_under_the_curve(written):
    """Of 100 images 3 are wrong, 47 have the radius 0.05, 5 0.15, 4 0.225, 4 0.275 and 37 0.33."""
    frame = pd.read_csv(written / "auc.csv").query("technique == 'JR' and norm == 'linf'")
    counts, radii = np.array([47, 5, 4, 4, 37]), np.array([0.05, 0.15, 0.225, 0.275, 0.33])
    assert list(frame["mean_radius"]) == pytest.approx([counts @ radii / 100] * 2, abs=1e-6)
    standing, widths = np.array([0.97, 0.5, 0.45, 0.41, 0.37]), np.diff(radii, prepend=0)
    assert frame["mean_radius"].iloc[0] == pytest.approx(standing @ widths, abs=1e-6)


def test_every_part_of_the_evidence_is_printed_within_110_columns(project):
    output = (project / "printed").read_text()
    lines = output.splitlines()
    assert max(map(len, lines)) <= 110
    jacobian = [line.split() for line in lines if line.startswith("JR ")]
    assert jacobian[0] == ["JR", "97.0", "70.0/56.0", "63.0/50.0", "57.0/45.0", "51.0/41.0", "46.0/37.0"]
    assert len(jacobian[1]) == 1 + 14
    assert any(re.match(r"IR\(R,SmG\) over JR +L∞ +\+15.8 \[", line) for line in lines)
    assert any(line.split()[:2] == ["distillation", "not"] for line in lines)


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
    assert "a small replica" in page and "100 train images" in page and "60,000 train images" in page


def test_a_second_run_into_a_full_folder_writes_the_same_bytes_and_touches_nothing_else(project, tmp_path, monkeypatch):
    """The first run found an old table, an old figure and somebody's file."""
    monkeypatch.chdir(shutil.copytree(project, tmp_path / "project"))
    first = contents()
    assert len(first) > 40 and Path("report/README.md").read_text() == "mine" and not list(Path().glob(".report*"))
    assert run(*OPTIONS).exit_code == 0
    assert [name for name in first | contents() if first.get(name) != contents().get(name)] == []


def contents() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path("report").rglob("*") if path.is_file()}


def test_a_refused_report_leaves_the_old_one_alone(grid):
    Path("report").mkdir()
    Path("report/results.csv").write_text("old")
    Path("results/attacks/0/JR.h5").unlink()
    assert run().exit_code == 1
    assert [path.name for path in Path("report").iterdir()] == ["results.csv"]


def test_missing_and_left_over_files_are_refused_by_name_in_one_sentence(grid):
    Path("results/attacks/0/JR.h5").rename("results/attacks/0/GONE.h5")
    Path("results/gradients/1.h5").rename("results/gradients/7.h5")
    result = run()
    assert result.exit_code == 1
    assert "missing: results/attacks/0/JR.h5, results/gradients/1.h5" in result.output
    assert "left over: results/attacks/0/GONE.h5, results/gradients/7.h5" in result.output
    assert len(result.output.splitlines()) == 1


def test_rows_that_were_removed_from_the_parameters_do_not_reach_the_report(grid):
    document = json.loads(Path("params.yaml").read_text())
    del document["rows"]["JR"], document["jr"]["JR"]
    Path("params.yaml").write_text(json.dumps(document))
    report_grid.params.parsed.cache_clear()
    with pytest.raises(InputError, match=r"left over: (results/(attacks|transfer)/[01]/JR.h5(, )?){4}$"):
        report_grid.read()


@pytest.mark.parametrize(("field", "value"), [("row", "R"), ("seed", 1), ("settings", {"other": {}}), ("dataset", "mnist")])
def test_a_file_that_says_it_belongs_elsewhere_is_refused(grid, field, value):
    edit("0/JR.h5", **{field: value})
    with pytest.raises(InputError, match=r"0/JR.h5 should hold .*'JR', 'search', 'mnist5k'"):
        report_grid.read()


def test_other_threat_models_than_the_rows_list_are_refused(grid):
    edit("1/JR.h5", records=report_grid.outcomes(1, "JR", 0.7).records[2:])
    with pytest.raises(InputError, match=r"1/JR.h5 has the paper's attack at .* but threats.table of params.yaml asks for"):
        report_grid.read()


def test_transfer_on_other_images_than_asked_for_is_refused(grid):
    document = json.loads(Path("params.yaml").read_text())
    document["transfer"]["images"] = 30
    Path("params.yaml").write_text(json.dumps(document))
    report_grid.params.parsed.cache_clear()
    with pytest.raises(InputError, match="the outcomes are of 40 images, but transfer.images asks for 30"):
        report_grid.read()


def test_images_that_an_attack_was_not_tried_on_are_not_a_number(grid):
    evidence = report_grid.read()
    scores = evidence.per_seed["JR", Column("transfer", "from R", "l2", 1.5)]
    assert {seed: (len(score), int((~np.isnan(score)).sum())) for seed, score in scores.items()} == {0: (100, 40), 1: (100, 40)}
    assert evidence.per_image["JR", CLEAN].sum() == 97 and evidence.radii["JR", "l2"].shape == (2, 100)


def test_every_row_has_the_radii_of_all_seeds_and_images(grid):
    """JR leaves 56 of 100 at L2 1.5: their radius is 1.1 times that, of 41 more half of that, 3 are misclassified."""
    evidence = report_grid.read()
    assert set(evidence.radii) == {(row, norm) for row in evidence.rows for norm in ("l2", "linf")}
    np.testing.assert_allclose(evidence.radii["JR", "l2"], [[1.65] * 56 + [0.75] * 41 + [0] * 3] * 2, rtol=1e-6)


def test_the_shortest_of_all_attacks_is_what_is_left_under_all_together(grid):
    path = Path("results/transfer/1/JR.h5")
    found = outcome_file.read(path)
    shorter = replace(found.radii["l2"], radius=np.where(found.clean, 0.25, 0).astype(np.float32))
    outcome_file.write(path, replace(found, radii=found.radii | {"l2": shorter}))
    radii = report_grid.read().radii["JR", "l2"]
    np.testing.assert_allclose(radii[1], [0.25] * 40 + [1.65] * 16 + [0.75] * 41 + [0] * 3, rtol=1e-6)
    np.testing.assert_allclose(radii[0, :40], 1.65, rtol=1e-6)


@pytest.mark.parametrize("change", [{"images_digest": "f" * 64}, {"rows": np.arange(1, 101)}])
def test_outcomes_on_other_test_images_are_refused(grid, change):
    edit("1/JR.h5", **change)
    with pytest.raises(InputError, match="same test images, those of 0/NR.h5 and 1/JR.h5 do not"):
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


def test_the_claims_get_their_verdicts_from_the_files_under_every_attack(grid):
    evidence = report_grid.read()
    paper, strict = verdicts(evidence, "paper"), verdicts(evidence, "strict")
    assert paper["defended"] == paper["content"] == "supported"
    assert paper["hardest"] == paper["smoothgrad"] == strict["hardest"] == "cannot tell"
    assert verdicts(evidence, "")["alignment"] == "cannot tell", "seeds that agree to the last digit show nothing"


def test_the_csv_of_claims_and_contrasts_and_the_gate_cover_every_attack_and_row(written):
    lines = pd.read_csv(written / "claims.csv", keep_default_na=False)
    assert {"paper", "strict"} <= set(lines["semantics"])
    assert {"experiment", "percent", "p_adjusted"} <= set(pd.read_csv(written / "contrasts.csv").columns)
    assert set(pd.read_csv(written / "accuracy_contrasts.csv")["semantics"]) == {"paper", "strict"}
    gate = json.loads((written / "gate.json").read_text())
    assert len(gate) == 12 and {len(checks) for row in gate.values() for checks in row["seeds"].values()} == {14}


def verdicts(evidence: Evidence, semantics: str) -> dict[str, str]:
    """Claim -> its verdict under one attack ("": about gradients)."""
    found = claims.claims(evidence, comparisons.of_run(evidence))
    return dict(zip(*(found[found["semantics"] == semantics][name] for name in ("claim", "verdict"))))
