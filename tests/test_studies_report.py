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
from lib.report import comparisons, larger_runs, published_folder, regression, studies, table
from lib.report.comparisons import Comparison
from lib.report.published_folder import Published

PUBLISHED = study_grid.PUBLISHED


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def compared(found: dict[str, Published]) -> list[Comparison]:
    return [line for part in found.values() for line in comparisons.of_published(part)]


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
    return studies.document(found, compared(found))


def test_the_table_in_git_has_each_base_and_then_the_largest_effect_first() -> None:
    raised = study_grid.raised("ir_nesterov", (1.5, 1.6, 1.7), "radius_linf")
    study_grid.publish("audit", study_grid.frame("audit", raised), notes="Why <b>this</b>?")
    text = document(published_folder.read(PUBLISHED))
    lines = [line for line in text.splitlines() if line.startswith("| ")][2:]
    based = ["against: " in line for line in lines]
    assert not any(based[: based.index(True)]) and all(based[based.index(True) :])
    assert lines[0].startswith("| strict<br><sub>IR(R,SmG)</sub> | 0.151 | ")
    moved, *cells = lines[based.index(True)].removeprefix("| ").split(" | ")
    assert moved == "Nesterov momentum, teacher and student<br><sub>IR(R,SmG), against: strict</sub>"
    assert re.fullmatch(r"0\.167<br><sub>\*\*\+10\.6 \[\+.*\] % †\*\*</sub>", cells[0])
    assert "with the code of commit 0123456 (2024-05-06)" in text


def test_without_studies_the_table_in_git_says_how_to_make_them() -> None:
    assert "make audit" in document({})


def test_the_regression_finds_what_the_accuracies_were_made_from() -> None:
    """4 points less per doubled norm and 30 per unit of cosine went in, without noise; in seed 2 the norm counts the other way."""

    def formula(name: str, entry: dict, seed: int) -> dict[str, float]:
        doublings, cosine = np.random.default_rng([*name.encode()]).uniform(0, 1, 2)
        sign = -1 if seed < 2 else 1
        return {"label_norm": 2**doublings, "cosine_reference": cosine, "robust": 0.5 + sign * 0.04 * doublings + 0.3 * cosine}

    found = regression.fits(study_grid.frame("beyond", formula))
    assert list(found) == ["all", "seed 0", "seed 1", "seed 2"]
    pairs = {name: fit["value"].tolist()[1:] for name, fit in found.items()}
    assert pairs["seed 0"] == pytest.approx([-4, 30]) and pairs["seed 2"] == pytest.approx([4, 30])
    assert pairs["all"] == pytest.approx([-4 / 3, 30]) and found["all"].attrs["explained"] == pytest.approx(1)
    assert len(regression.to_frame(found)) == 4 * 2


def test_too_few_variants_give_no_regression() -> None:
    frame = study_grid.frame("beyond", study_grid.drawn_from(3))
    few = frame[frame["variant"].isin(["ir", "jr", "standard"])]
    assert regression.fits(few) == {} and regression.to_frame({}).empty
    study_grid.publish("beyond", few, complete=False, missing=["at", "edges"])
    assert "Missing: at, edges." in document(published_folder.read(PUBLISHED))


def test_a_method_that_no_strength_fits_is_told_from_the_others() -> None:
    def formula(name: str, entry: dict, seed: int) -> dict[str, float]:
        lost = {"matched": 0.0, "robust": 0.9 + seed / 50} if (name, seed) == ("jr", 1) else {}
        return study_grid.level(name, entry, seed) | lost

    study_grid.publish("matched", study_grid.frame("matched", formula))
    found = published_folder.read(PUBLISHED)
    shown = studies.table(found["matched"], compared(found), studies.in_html)
    unfit = shown[(shown["matched"] != "3 of 3") & (shown["times"] != "")]
    assert list(unfit["matched"]) == ["2 of 3"] and list(unfit["times"]) == ["lambda_j"] and list(unfit["trainings"]) == ["3"]


def test_a_cell_is_the_mean_over_its_seeds_beside_the_published_value() -> None:
    """The paper printed 60.58 for JR at L∞ 0.2; AT has one of two seeds; all else is missing."""
    lines = [accuracy("JR", 0, 0.4), accuracy("JR", 1, 0.5), accuracy("JR", 0, 0.3, "strict"), accuracy("R", 1, 0.72)]
    found = larger_runs.frame(write_run(pd.DataFrame(lines)))
    here = found[(found["norm"] == "linf") & (found["epsilon"] == 0.2)].set_index(["technique", "semantics"])
    ours = here.loc["JR", "paper"]
    assert (ours["accuracy_percent"], ours["published_percent"], ours["seeds"], ours["n"]) == (45, 60.58, 2, 100)
    assert ours["difference"] == pytest.approx(-15.58) and here.loc[("JR", "strict"), "accuracy_percent"] == 30
    assert here.loc[("AT(L2,1.5)", "paper"), "seeds"] == 1
    paper = found[found["semantics"] != "strict"]
    assert paper["accuracy_percent"].isna().sum() == 9 * 6 - 2 and len(paper) == 9 * 6
    assert table.html(found, "run").count("<em>missing</em>") == 9 * 11 - 3


def test_the_distance_to_the_paper_is_counted_over_the_cells_that_both_have() -> None:
    lines = [accuracy("JR", 0, 0.4), accuracy("R", 0, 0.72), accuracy("NR", 0, 0.9)]
    facts = larger_runs.facts(write_run(pd.DataFrame(lines)))
    assert (facts["cells"], facts["measured"], facts["compared"], facts["unexplained"]) == (54, 3, 3, 2)
    assert facts["median"] == pytest.approx(20.58) and facts["farthest"] == pytest.approx(80.68)


def test_what_a_run_lacks_is_called_as_its_row() -> None:
    run = write_run(pd.DataFrame([accuracy("JR", 0, 0.4)]), complete=False, missing=["1/JR.pgd.h5", "edges"])
    assert published_folder.missing(run) == ["JR (seed 1)", "edges"] and larger_runs.gradients(run).empty


def test_a_run_on_another_dataset_has_no_published_values() -> None:
    run = write_run(pd.DataFrame([accuracy("JR", 0, 0.4)]), dataset="flowers")
    found = larger_runs.frame(run)
    assert len(found) == 9 * 2 and found["published_percent"].isna().all() and larger_runs.facts(run)["compared"] == 0


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
    assert (
        'id="audit"' in text and "make beyond" in text and "make audit" not in text.partition("Not published here")[2] and "+11.0 [" in text
    )
    assert "Made by make audit on mnist5k, preset strict, seeds 0, 1, 2; code of commit 0123456, 2024-05-06" in text
    frame = pd.read_csv(written / "effects.csv")
    mine = frame[(frame["variant"] == "ir_nesterov") & (frame["measure"] == "robust")]
    assert mine["effect"].item() == 11 and mine["excludes_none"].item() and set(frame["study"]) == {"audit"}
