"""The sections of the page on studies and larger runs: what they say follows from the published tables."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import report_once
import study_grid

from lib.base.errors import InputError
from lib.report import effect_table, further, grid_figures, larger_runs, published_folder, studies, study_figures
from lib.report.effects import Change, changes
from lib.report.published_folder import Published

PUBLISHED = study_grid.PUBLISHED


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def effects(study: str, formula: study_grid.Formula) -> list[Change]:
    return changes(study_grid.frame(study, formula))


def page(*names: str, notes: str = "") -> str:
    """The sections of these studies, made from luck."""
    for name in names:
        study_grid.publish(name, study_grid.frame(name, study_grid.drawn_from(3)), notes)
    found = published_folder.read(PUBLISHED if names else None)
    return str(further.section(found, studies.effects_of(found), Path("figures")))


def write_run(frame: pd.DataFrame, **about: object) -> Published:
    """A published run of the quick scale with these accuracies."""
    place = PUBLISHED / "some_run"
    place.mkdir(parents=True)
    frame.to_csv(place / "accuracies.csv", index=False)
    (place / "params.yaml").write_text((study_grid.ROOT / "scales/quick.yaml").read_text())
    described = {"kind": "run", "name": "some_run", "command": "dvc repro", "seeds": [0, 1]} | study_grid.ABOUT | about
    (place / "about.json").write_text(json.dumps(described))
    return published_folder.read(PUBLISHED)["some_run"]


def accuracy(row: str, seed: int, share: float, semantics: str = "paper", n: int = 100) -> dict[str, object]:
    """One line of accuracies.csv: PGD at L∞ 0.2."""
    described = {"dataset": "mnist5k", "row": row, "technique": row, "seed": seed, "semantics": semantics, "attack": "pgd40"}
    return described | {"norm": "linf", "epsilon": 0.2, "accuracy": share, "n": n}


def document(found: dict[str, Published]) -> str:
    return effect_table.document(found, studies.effects_of(found))


def test_the_table_in_git_has_each_base_and_then_the_largest_effect_first() -> None:
    raised = study_grid.raised("ir_nesterov", (1.5, 1.6, 1.7), "radius_linf")
    study_grid.publish("audit", study_grid.frame("audit", raised))
    lines = [line for line in document(published_folder.read(PUBLISHED)).splitlines() if line.startswith("| ")][2:]
    based = [bool(line.split(" | ")[2].strip("| ")) for line in lines]
    assert not any(based[: based.index(True)]) and all(based[based.index(True) :])
    assert lines[0].startswith("| strict<br><sub>IR(R,SmG)</sub> | 0.151 | ")
    moved, *cells = lines[based.index(True)].removeprefix("| ").split(" | ")
    assert moved == "Nesterov momentum, teacher and student<br><sub>IR(R,SmG), against: strict</sub>"
    assert cells[0] == "0.167" and cells[1].startswith("**+10.6 %**†<br><sub>[+")


def test_without_studies_the_table_in_git_says_how_to_make_them() -> None:
    assert "make audit" in document({})


def test_the_grid_takes_its_weights_from_the_published_parameters() -> None:
    """At λd 3 and λm 0.3 the accuracy is 90 %; the entry for it changes lambda_d and lambda_m."""
    frame = study_grid.frame("beyond", study_grid.raised("d3_m03", (50, 49, 48)))
    cells = grid_figures.cells(frame, study_grid.variants("beyond"))
    means = cells.groupby(["lambda_d", "lambda_m"])["robust"].mean()
    assert sorted(set(cells["lambda_d"])) == [0, 0.75, 3] and sorted(set(cells["lambda_m"])) == [0, 0.3, 1.0607, 3]
    assert len(means) == 12 and means[3, 0.3] == pytest.approx(0.9) and means[0, 0] == pytest.approx(0.41)
    assert grid_figures.grid_figure(cells, Path("figures")).alt.endswith("highest, 90%, at λd 3 and λm 0.3.")


def test_a_grid_with_holes_is_drawn_with_holes() -> None:
    frame = study_grid.frame("beyond", study_grid.drawn_from(0))
    cells = grid_figures.cells(frame[frame["variant"] != "d3_m03"], study_grid.variants("beyond"))
    assert grid_figures._table(cells.assign(shown=cells["robust"]), "mean").isna().sum().sum() == 1
    assert grid_figures.grid_figure(cells, Path("figures")).name == "beyond_grid"


def test_the_regression_finds_what_the_accuracies_were_made_from() -> None:
    """4 points less per doubled norm and 30 per unit of cosine went in, without noise; in seed 2 the norm counts the other way."""

    def formula(name: str, entry: dict, seed: int) -> dict[str, float]:
        doublings, cosine = np.random.default_rng([*name.encode()]).uniform(0, 1, 2)
        sign = -1 if seed < 2 else 1
        return {"label_norm": 2**doublings, "cosine_reference": cosine, "robust": 0.5 + sign * 0.04 * doublings + 0.3 * cosine}

    found = studies.regressions(study_grid.frame("beyond", formula))
    assert list(found) == ["all", "seed 0", "seed 1", "seed 2"]
    pairs = {name: tuple(one.value for one in fit.coefficients.values()) for name, fit in found.items()}
    assert pairs["seed 0"] == pytest.approx((-4, 30)) and pairs["seed 2"] == pytest.approx((4, 30))
    assert pairs["all"] == pytest.approx((-4 / 3, 30)) and found["all"].explained == pytest.approx(1)


def test_too_few_variants_give_no_regression_but_a_section() -> None:
    frame = study_grid.frame("beyond", study_grid.drawn_from(3))
    study_grid.publish("beyond", frame[frame["variant"].isin(["ir", "jr", "standard"])], complete=False, missing=["at", "edges"])
    found = published_folder.read(PUBLISHED)
    text = str(further.section(found, studies.effects_of(found), Path("figures")))
    assert "partial R²" not in text and "Not complete: at, edges are missing." in text and "Standard" in text


def test_a_method_that_no_strength_fits_is_told_from_the_others() -> None:
    def formula(name: str, entry: dict, seed: int) -> dict[str, float]:
        lost = {"matched": 0.0, "robust": 0.9 + seed / 50} if (name, seed) == ("jr", 1) else {}
        return study_grid.level(name, entry, seed) | lost

    study_grid.publish("matched", study_grid.frame("matched", formula))
    study = published_folder.read(PUBLISHED)["matched"]
    found = changes(study.table)
    lines = studies.matched(study, found)
    assert {name: line.fits for name, line in lines.items() if line.fits < 3} == {"jr": 2}
    assert lines["jr"].scale == "lambda_j" and lines["jr"].trials == 3
    assert '<td class="fails">2 of 3</td>' in str(studies.matched_section(study, found))


def test_wide_intervals_do_not_press_the_others_together() -> None:
    found = [change.effects["robust"] for change in effects("audit", study_grid.raised("ir_nesterov", (-60, 0, 60)))]
    low, high = study_figures.limits(found)
    assert low == -high and high < max(one.high for one in found)


def test_a_single_large_effect_does_not_press_the_others_together_either() -> None:
    found = [change.effects["robust"] for change in effects("audit", study_grid.raised("ir_nesterov", (-60, -61, -59)))]
    largest = max(found, key=lambda one: one.size)
    low, high = study_figures.limits(found)
    assert largest.mean < 2 * low
    assert sum(low <= one.mean <= high for one in found) == len(found) - 1


def test_without_anything_published_the_page_says_what_makes_it() -> None:
    text = page()
    assert "make audit" in text and "make beyond" in text and "make matched" in text and "publish-results.md" in text
    assert "<h2" not in text


def test_the_sections_load_nothing_and_escape_what_they_are_given() -> None:
    text = page("audit", "beyond", "matched", notes="Why <b>this</b>?\n\nSecond\nline.")
    assert "<p>Why &lt;b&gt;this&lt;/b&gt;?</p>" in text and "<p>Second line.</p>" in text
    assert re.findall(r'src="(.{5})', text) == ["data:"] * 3 and "http" not in re.sub(r'src="[^"]*"', "", text)


def test_a_cell_is_the_mean_over_its_seeds_beside_the_published_value() -> None:
    """The paper printed 60.58 for JR at L∞ 0.2; AT has one of two seeds; all else is missing."""
    lines = [accuracy("JR", 0, 0.4), accuracy("JR", 1, 0.5), accuracy("JR", 0, 0.3, "strict"), accuracy("R", 1, 0.72)]
    found = {line.technique: line for line in larger_runs.table(write_run(pd.DataFrame(lines)))}
    at = [cell.threat for cell in found["JR"].cells].index("L∞ 0.2")
    ours = found["JR"].cells[at]
    assert (ours.accuracy, ours.printed, ours.strict) == pytest.approx((45, 60.58, 30)) and (ours.seeds, ours.images) == (2, 100)
    assert ours.difference == pytest.approx(-15.58) and ours.clear
    assert found["AT(L2,1.5)"].cells[at].seeds == 1 and not found["AT(L2,1.5)"].cells[at].clear
    missing = [cell for line in found.values() for cell in line.cells if cell.missing]
    assert len(missing) == 9 * 6 - 2 and all(np.isnan(cell.difference) for cell in missing)


def test_the_largest_differences_come_first() -> None:
    lines = [accuracy("JR", 0, 0.4), accuracy("R", 0, 0.72), accuracy("NR", 0, 0.9)]
    found = larger_runs.table(write_run(pd.DataFrame(lines)))
    assert [text.partition(",")[0] for text in larger_runs.largest(found)] == ["Standard", "JR", "AT(L2"]
    assert larger_runs.largest(found)[0] == "Standard, L∞ 0.2: 90.0 here, 9.32 in the paper (+80.7)"
    assert larger_runs.words(found).startswith(
        "3 of 54 cells are measured, 3 of them have a published value: half of these lie within 20.6"
    )


def test_missing_cells_and_what_was_not_published_are_shown_as_such() -> None:
    run = write_run(pd.DataFrame([accuracy("JR", 0, 0.4)]), complete=False, missing=["1/JR.pgd.h5"], left_out=["single images"])
    text = str(larger_runs.section(run))
    assert text.count('<td class="missing">') == 6 - 1, "rows without any number and columns without any are left out, and named"
    assert "Not measured: Standard, AT(L2,1.5), " in text and "Gradients were not measured." in text and "gradient<br>norm" not in text
    assert "1 of 2 seeds" in text and "Not complete: JR (seed 1) is missing." in text and "Not published: single images." in text


def test_a_run_on_another_dataset_has_no_published_values() -> None:
    run = write_run(pd.DataFrame([accuracy("JR", 0, 0.4)]), dataset="flowers")
    found = larger_runs.table(run)
    assert [cell.threat for cell in found[0].cells] == ["clean", "L∞ 0.2"]
    assert larger_runs.words(found) == "1 of 18 cells are measured; none of them can be held against a published number."


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": "other"}, "should be about audit, it says other"),
        ({"kind": "run"}, "should be about a study, as its name is audit, it says run"),
        ({"seeds": "0"}, "seeds must be a list"),
    ],
)
def test_a_folder_that_contradicts_itself_is_refused(change, sentence) -> None:
    study_grid.publish("audit", study_grid.frame("audit", study_grid.level), **change)
    with pytest.raises(InputError, match=sentence):
        published_folder.read(PUBLISHED)


def test_a_folder_without_its_table_is_refused() -> None:
    (study_grid.publish("audit", study_grid.frame("audit", study_grid.level)) / "measures.csv").unlink()
    with pytest.raises(InputError, match="expected a table at .*measures.csv"):
        published_folder.read(PUBLISHED)


def test_the_report_stage_shows_what_is_published_names_the_rest_and_writes_the_effects(tmp_path_factory) -> None:
    written = report_once.made(tmp_path_factory) / "report"
    text = (written / "index.html").read_text()
    assert "Which unwritten choices matter" in text and "+11.0</span>" in text
    assert 'id="audit"' in text and "make beyond" in text and "(make audit)" not in text
    assert "Made by make audit on mnist5k, preset strict, seeds 0, 1, 2, with the code of commit 0123456 (2024-05-06)" in text
    frame = pd.read_csv(written / "effects.csv")
    mine = frame[(frame["variant"] == "ir_nesterov") & (frame["measure"] == "robust")]
    assert mine["effect"].item() == 11 and mine["excludes_none"].item() and set(frame["study"]) == {"audit"}
    assert (written / "figures/audit_effects.svg").is_file()
