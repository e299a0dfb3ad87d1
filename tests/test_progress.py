"""Progress is readable in a log and on a terminal, and changes nothing about the loop it reports on."""

import re
import sys

import pytest

from lib.network import progress as module
from lib.network.progress import progress

REPORT = re.compile(r"working: +\d+%? .*?(\d+)/(\d+) \[\d+:\d+<(\d+:\d+|\?), +[\d.?]+ ?(step/s|s/step)\]")


@pytest.fixture
def every_step(monkeypatch) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.0)


def test_every_item_comes_once_and_in_order(capsys):
    assert list(progress([3, 1, 2], "working")) == [3, 1, 2]
    assert list(progress(iter("abc"), "working", total=3)) == ["a", "b", "c"]
    assert list(progress([], "working")) == []


def test_off_a_terminal_it_prints_whole_lines_with_count_rate_and_time_left(capsys, every_step):
    list(progress(iter(range(5)), "working", 5, "step"))
    captured = capsys.readouterr()
    assert captured.out == "" and "\r" not in captured.err and "\x1b" not in captured.err
    lines = [line for line in captured.err.split("\n") if line]
    reports = [REPORT.search(line) for line in lines]
    assert all(reports), lines
    counts = [int(report[1]) for report in reports]
    assert counts == sorted(counts) and counts[0] == 0 and counts[-1] == 5 and set(counts) >= {1, 2, 3, 4}
    assert {report[2] for report in reports} == {"5"}


def test_a_note_stands_behind_the_figures_as_it_is_at_that_moment(capsys, every_step):
    seen = []
    for item in progress(range(4), "working", unit="step", note=lambda: f"last {seen[-1]}" if seen else ""):
        seen.append(item)
    lines = [line for line in capsys.readouterr().err.split("\n") if line]
    assert "last" not in lines[0] and any("last 0" in line for line in lines) and "last 2" in lines[-1]


def test_a_quick_loop_prints_its_beginning_and_its_end_only(capsys):
    list(progress(range(2000), "working", unit="step"))
    lines = [line for line in capsys.readouterr().err.split("\n") if line]
    assert len(lines) <= 2 and "2000/2000" in lines[-1]


def test_on_a_terminal_it_rewrites_one_line(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(progress(range(5), "working", unit="step")) == list(range(5))
    printed = capsys.readouterr().err
    assert "\r" in printed and "5/5" in printed and "step/s" in printed


def test_items_are_taken_as_they_are_needed(capsys):
    taken = []

    def source():
        for index in range(10):
            taken.append(index)
            yield index

    steps = progress(source(), "working", 10)
    next(steps)
    assert taken == [0]


def test_an_exception_in_the_loop_goes_through(capsys):
    with pytest.raises(ZeroDivisionError):
        for item in progress([1, 0], "working"):
            1 / item
