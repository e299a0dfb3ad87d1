"""The rule that a training had come to its end, on curves whose answer is known, and where it is written."""

import importlib
import shutil
from math import exp, inf
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from project import SHIPPED

from lib.base import params
from lib.base.errors import InputError
from lib.report import rows, training
from lib.report.templates import environment
from lib.statistics.trained_out import FELL, LATE, Course, course
from lib.training import recipe

GUESSING = 2.3026  # ln 10, what a network of ten classes begins with
WHOLE = st.integers(-1000, 1000)  # and sums and differences of them are exact


def test_a_training_that_never_left_its_plateau_misses():
    found = course(GUESSING, [2.303, 2.302, 2.300, 2.299])
    assert found.fell < 0.01 and not found.trained_out


def test_a_training_that_left_its_plateau_at_half_time_misses():
    found = course(2.0, [2.0, 2.0, 2.0, 2.0, 1.5, 1.0, 0.5, 0.5])
    assert found == Course(fell=0.75, late=1.0) and not found.trained_out


def test_a_training_that_was_done_at_half_time_meets_the_rule():
    found = course(2.0, [1.0, 0.5, 0.5, 0.5])
    assert found == Course(fell=0.75, late=0.0) and found.trained_out


@pytest.mark.parametrize("rate", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("epochs", [2, 8, 20])
def test_what_is_late_in_an_exponential_descent_is_known(rate, epochs):
    """From 1 at the start to exp(-rate E): the second half is 1 / (1 + exp(rate E / 2)) of it, so that more epochs leave less."""
    found = course(1.0, [exp(-rate * epoch) for epoch in range(1, epochs + 1)])
    assert found.late == pytest.approx(1 / (1 + exp(rate * epochs / 2)), rel=1e-9)


@pytest.mark.parametrize("late, expected", [(LATE, True), (LATE + 1e-9, False)])
def test_the_limits_are_met_by_what_lies_on_them(late, expected):
    assert Course(FELL, late).trained_out == expected and not Course(FELL - 1e-9, late).trained_out


def test_of_an_odd_number_of_epochs_the_middle_one_is_late():
    assert course(8.0, [4.0, 2.0, 0.0]) == Course(fell=1.0, late=0.5)


def test_one_epoch_is_late_as_a_whole():
    assert course(2.0, [1.0]) == Course(fell=0.5, late=1.0)


@given(start=WHOLE, losses=st.lists(WHOLE, min_size=1, max_size=9), factor=st.sampled_from([0.25, 2, 64]), constant=WHOLE)
def test_factors_change_nothing_and_constants_leave_what_is_late(start, losses, factor, constant):
    found = course(start, losses)
    assert course(start * factor, [loss * factor for loss in losses]) == found
    assert course(start + constant, [loss + constant for loss in losses]).late == found.late


@given(start=WHOLE, losses=st.lists(WHOLE, min_size=1, max_size=9))
def test_a_loss_that_did_not_fall_misses(start, losses):
    found = course(start, [*losses, start])
    assert found == Course(fell=0.0, late=inf) and not found.trained_out


def test_a_training_without_epochs_is_refused():
    with pytest.raises(InputError, match="expected the losses of at least one epoch, got none"):
        course(2.0, [])


# The table and the page

LEARNED, STUCK, LATE_LEARNER = [1.0, 0.5, 0.5, 0.5], [2.3, 2.3, 2.3, 2.3], [2.0, 1.7, 1.2, 0.7]


def histories(losses: dict[tuple[str, int], list[float]]) -> pd.DataFrame:
    lines = [
        {"technique": f"<{row}>", "row": row, "seed": seed, "epoch": epoch, "first_loss": 2.3, "loss": loss}
        for (row, seed), found in losses.items()
        for epoch, loss in enumerate(found, 1)
    ]
    return pd.DataFrame(lines, columns=["technique", "row", "seed", "epoch", "first_loss", "loss"])


def test_the_table_has_a_line_per_network_and_names_the_rows_that_miss():
    found = training.courses(histories({("NR", 0): LEARNED, ("NR", 1): LEARNED, ("AT", 0): LATE_LEARNER, ("AT", 1): LEARNED}))
    assert found["row"].tolist() == ["NR", "NR", "AT", "AT"] and found["seed"].tolist() == [0, 1, 0, 1]
    assert found["epochs"].tolist() == [4] * 4 and found["trained_out"].tolist() == [True, True, False, True]
    assert found["late"].tolist() == pytest.approx([0, 0, 1 / 1.6, 0], abs=1e-6)
    assert training.unfinished(found) == {"AT": [0]}


def said(courses: pd.DataFrame) -> str:
    """The page's notice."""
    macro = environment().from_string('{% from "macros.html.j2" import not_trained_out %}{{ not_trained_out(missed, limits) }}')
    return " ".join(macro.render(missed=training.missed(courses), limits={"fell": FELL, "late": LATE}).split())


def test_the_page_says_which_networks_miss_and_why_and_nothing_where_none_does():
    notice = said(training.courses(histories({("A", 3): STUCK, ("B", 4): LATE_LEARNER, ("C", 5): LEARNED})))
    assert "&lt;A&gt; (seed 3), &lt;B&gt; (seed 4)." in notice and "&lt;C&gt;" not in notice
    assert "&lt;A&gt;, seed 3, 4 epochs: its training loss has hardly left the value that it started from" in notice
    assert "&lt;B&gt;, seed 4, 4 epochs: 62.5 % of what its training loss fell" in notice
    assert said(training.courses(histories({("C", 5): LEARNED}))) == ""


def test_without_histories_nothing_is_said():
    courses = training.courses(training.frame(None))
    assert len(courses) == 0 and training.unfinished(courses) == {} and said(courses) == ""


# Epochs of a row


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copy(SHIPPED, tmp_path / "params.yaml")
    return tmp_path


def test_every_row_has_its_own_epochs_or_those_of_all(shipped):
    with params.changed({"training.epochs": 5, "at.AT25.epochs": 16, "jr.JR.epochs": None, "teachers.R.epochs": None}):
        found = rows.epochs()
    assert found["AT25"] == 16 and found["JR"] == found["R"] == 5 and list(found) == list(rows.rows())


@pytest.mark.parametrize("stage, row", [("teacher", "R"), ("at", "AT25"), ("jr", "JR"), ("ir", "R_simple")])
def test_a_stage_trains_its_row_for_the_epochs_of_its_entry(shipped, monkeypatch, stage, row):
    asked = []
    monkeypatch.setattr(recipe, "train", lambda *given, epochs, **rest: asked.append(epochs))
    (shipped / "file").touch()
    words = [row, "0", "--images", "file", "--out", "out", *(["--targets", "file"] if stage == "ir" else [])]
    section = "teachers" if stage == "teacher" else stage
    for epochs in (7, None):
        with params.changed({f"{section}.{row}.epochs": epochs}):
            CliRunner().invoke(importlib.import_module(f"stages.train_{stage}").main, words, catch_exceptions=False)
    assert asked == [7, None]
