"""The worst case of everything, and the paragraph on what survives of the paper's claim."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import report_grid
from hypothesis import given
from hypothesis import strategies as st
from report_once import SHARES

from lib.evaluation import outcome_file
from lib.evaluation.outcome_file import Record
from lib.report import survival, worst_case

HERE = ("linf", 0.2)


@pytest.fixture
def grid(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_grid.make(SHARES)


def lose(row: str, image: int, semantics: str, norm: str, epsilon: float, attack: str = "") -> None:
    """One image of one row falls, at seed 1, to one run of the attacks of this semantics at this radius."""
    folder = "transfer" if semantics == "transfer" else "attacks"
    path = Path(f"results/{folder}/1/{row}{'' if folder == 'transfer' else '.together'}.h5")
    found = outcome_file.read(path)
    for record in found.records:
        if (record.semantics, record.norm, record.epsilon) == (semantics, norm, epsilon) and attack in record.attack:
            record.correct[0, image] = False
    outcome_file.write(path, found)


@pytest.mark.parametrize(
    ("semantics", "attack"), [("paper", "pgd40"), ("paper", "fgsm"), ("strict", "pgd40"), ("autoattack", ""), ("transfer", "from NR")]
)
@pytest.mark.parametrize("epsilon", [0.1, 0.2])
def test_one_run_of_any_attack_at_this_radius_or_a_smaller_one_is_enough(grid, semantics, attack, epsilon):
    lose("JR", 7, semantics, "linf", epsilon, attack)
    first, second = worst_case.unbroken(report_grid.read(), "JR", *HERE)
    assert first[7] and not second[7]
    assert first.sum() == 43 and second.sum() == 42


@pytest.mark.parametrize(("norm", "epsilon"), [("l2", 1.5), ("linf", 0.25)])
def test_another_norm_or_a_larger_radius_changes_nothing(grid, norm, epsilon):
    lose("JR", 7, "strict", norm, epsilon)
    assert worst_case.unbroken(report_grid.read(), "JR", *HERE)[:, 7].all()


def test_probes_break_nothing(grid):
    lose("JR", 7, "probe", *HERE)
    assert worst_case.unbroken(report_grid.read(), "JR", *HERE)[:, 7].all()


def test_the_frame_has_every_row_at_the_threat_models_of_the_tables(grid):
    frame = worst_case.to_frame(report_grid.read())
    assert len(frame) == 2 * (9 * 5 + 3)
    found = frame[(frame["technique"] == "JR") & (frame["epsilon"] == 1.5)]
    assert list(found["accuracy"]) == [0.52, 0.52] and set(frame["n"]) == {100}


@given(st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=4), st.lists(st.booleans(), min_size=6, max_size=6))
def test_no_attack_adds_images_and_those_it_was_not_tried_on_stand(runs, asked):
    record = Record("strict", "pgd40", "linf", 0.2, "worst", np.array(runs), asked=np.array(asked))
    stands = worst_case.stands(record)
    assert (stands | np.array(asked)).all()
    assert (stands <= worst_case.stands(replace(record, correct=record.correct[:1]))).all()


def test_the_paragraph_names_what_survives_and_what_is_not_decided(grid):
    text = survival.paragraph(found := found_in_grid())
    assert "Of 100 test images, standard training then keeps 12.0 % [7.0, 19.8]" in text and "IR(R,SmG), 52.0 % [" in text
    assert "survives over standard training, +40.0 [" in text and "Not decided: against JR, +9.0 [" in text
    assert "It is behind" not in text and "none of the 36 orderings of two rows turns round" in text
    assert [lead.verdict for lead in found.leads] == ["survives", "survives", "survives", "not decided", "not decided"]


def test_the_paragraph_turns_round_when_the_numbers_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_grid.make({"NR": 0.9, "R_smoothgrad": 0.3, "R_simple": 0.3})
    text = survival.paragraph(found_in_grid())
    assert "It is behind standard training, −37.0 [" in text and "survives over" not in text


def test_intervals_hold_for_all_pairs_of_rows_that_could_have_been_chosen(grid):
    found = found_in_grid()
    assert found.choices == 2 * 7
    lead = found.leads[0].difference
    plain = survival.compared(np.arange(100) < 52, np.arange(100) < 12)
    assert lead.points == pytest.approx(plain.points)
    assert lead.low < plain.low < plain.high < lead.high


def test_orderings_that_turn_round_are_counted_and_named_the_former_leader_first(grid):
    for seed in (0, 1):
        path = Path(f"results/attacks/{seed}/R_smoothgrad.together.h5")
        found = outcome_file.read(path)
        for record in found.records:
            if record.semantics == "autoattack":
                record.correct[-1, 40:52] = False
        outcome_file.write(path, found)
    found = found_in_grid()
    assert {(flip.first, flip.second) for flip in found.flips} >= {("IR(R,SmG)", "IR(R,simp)")}
    text = survival.paragraph(found)
    assert f"{len(found.flips)} of the 36 orderings of two rows turn round, none of them beyond" in text
    assert "the largest: IR(R,SmG) against AT(L2,1.5) (+4.0 → −9.0)" in text
    assert survival.to_dict(found)["flipped"] == len(found.flips)


def test_without_a_row_of_ours_there_is_no_paragraph(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    document = report_grid.YAML(typ="safe").load((report_grid.ROOT / "scales/quick.yaml").read_text())
    kept = {
        part: {row: entry for row, entry in document[part].items() if row not in ("R_simple", "R_smoothgrad")} for part in ("rows", "ir")
    }
    report_grid.make(permute__source="NR_simple", permute__fractions={}, **kept)
    assert survival.survival(report_grid.read()) is None


def found_in_grid() -> survival.Survival:
    found = survival.survival(report_grid.read())
    assert found is not None
    return found
