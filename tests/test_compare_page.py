"""The page of a comparison: every part has what differs and nothing else, what is missing is said, and it needs nothing but itself."""

import csv
import html
import json
import re
from pathlib import Path

import browser
import compare_project
import numpy as np
import pytest
from compare_project import compared
from project import run

from lib.compare import gradients
from lib.compare.looks import looks
from lib.report.charts.looks import DARK_CARD, LIGHT_CARD
from lib.statistics.intervals import wilson


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return compare_project.entered(tmp_path_factory, tmp_path / "project", monkeypatch)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of `before` and `after`."""
    out = tmp_path_factory.mktemp("comparison")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(compare_project.made(tmp_path_factory.getbasetemp() / "compared"))
        result = compared("before", "after", "--out", str(out))
        assert result.exit_code == 0, result.output
    return out / "index.html"


@pytest.fixture(scope="module")
def page(index: Path) -> str:
    return index.read_text()


def markup(page: str) -> str:
    """The page without its scripts and styles."""
    return re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.S)


def section(page: str, place: str) -> str:
    """What stands under a heading of the page."""
    return markup(page.partition(f'<h2 id="{place}">')[2].partition("<h2")[0])


def words(page: str, place: str) -> str:
    """The same without its tags."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", section(page, place))))


def cells(page: str, place: str) -> list[list[str]]:
    """The text of a section's table, without its heads."""
    rows = section(page, place).split("<tr>")[2:]
    return [[re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)] for row in rows]


def brightness(colour: str) -> float:
    """Relative luminance by WCAG 2."""
    parts = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_the_page_shows_parameters_and_results_that_differ_and_loads_nothing(page):
    assert "jr.JR.lambda_j before 0.3 after 0.5" in words(page, "parameters")
    assert cells(page, "measures") == [["25.0"], ["35.0+10.0"]]
    assert cells(page, "radii")[0] == ["–", "0.195"] and re.match(r"0\.235\+20\.5 %\** \[", cells(page, "radii")[1][1])
    assert "J&lt;R" in page and "J<R" not in markup(page)
    assert re.findall(r"(?:src|href)=\"(?!data:|#|(comparison|radii)\.csv\")[^\"]*", markup(page)) == []


def test_the_gates_verdicts_that_differ_stand_side_by_side_and_no_others(page):
    gate, said = section(page, "gate"), words(page, "gate")
    assert said.count("G7 restarts") == 1 and "G1" not in said and "1 of 4 verdicts is not the same everywhere." in said
    assert re.findall(r'class="light (\w+)"', gate) == ["warn", "fail"]
    assert 'title="they break 0.3 &amp; more"' in gate and 'title="they break 0.5 &amp; more"' in gate
    assert re.findall(r"(warn|fail) +(0\.\d points)", said) == [("warn", "0.3 points"), ("fail", "0.5 points")]


def test_a_claim_whose_verdict_differs_is_there_with_both_numbers_and_no_other(page):
    claimed = words(page, "claimed")
    assert re.search(r"JR beats NR\. *strict attack.*supported +by 0\.3.*contradicted +by 0\.5", claimed)
    assert "JR has smaller gradients" not in claimed and "1 of 2 verdicts" in claimed


def test_the_gradients_of_a_row_have_their_mean_their_range_and_their_difference_seed_by_seed(page):
    assert cells(page, "gradients") == [
        ["0.7500.600 to 0.900", "0.5000.500 to 0.500", "–"],
        ["1.2501.000 to 1.500+0.500 [+0.400, +0.600]", "0.5000.500 to 0.500same", "–"],
    ]


def test_the_chart_holds_exactly_the_accuracies_of_both_curves(project, page):
    (spec,) = [json.loads(text) for text in re.findall(r'json">(\{.*?)</script>', page) if '"layer"' in text]
    (points,) = spec["datasets"].values()
    found = [(one["row"], one["technique"], one["kind"], one["radius"], one["accuracy"]) for one in points]
    asked = [
        (revision, line["technique"], f"{line['semantics']} {line['attack']}", float(line["epsilon"]), float(line["accuracy"]))
        for revision in ("before", "after")
        for line in csv.DictReader(run(f"git show {revision}:report/curves.csv", project).splitlines())
    ]
    assert sorted(found) == sorted(asked) and len(asked) == 16
    (point,) = [
        one for one in points if (one["row"], one["technique"], one["kind"], one["radius"]) == ("after", "J<R", "strict search", 0.2)
    ]
    low, high = (100 * end for end in wilson(28 / 40, 40))
    assert (point["n"], point["interval"], point["seeds"]) == (40, f"{low:.1f} to {high:.1f} %", "70.0 / 70.0")
    unknown = [one for one in points if one["n"] is None]
    assert {(one["kind"], one["radius"], one["interval"]) for one in unknown} == {("paper pgd40", 0.2, "not known")}


def test_what_a_revision_lacks_is_said_and_the_others_are_compared(project):
    Path("report/gate.json").unlink()
    Path("report/claims.csv").write_text("claim,said\nbeats,yes\n")
    assert compared("before", "after", "workspace").exit_code == 0
    page = Path("comparison/index.html").read_text()
    gate, claimed = words(page, "gate"), words(page, "claimed")
    assert "Left out: workspace, where report/gate.json is missing, empty or of an older form." in gate
    assert "Left out: workspace, where report/claims.csv is missing" in claimed
    assert "1 of 4 verdicts" in gate and "1 of 2 verdicts" in claimed


def test_without_any_of_the_files_every_section_says_so(project):
    for name in ("gate.json", "claims.csv", "networks.csv", "curves.csv", "summary.json"):
        Path("report", name).write_text("[1" if name.endswith("json") else "")
    assert compared("before", "workspace").exit_code == 0
    page = Path("comparison/index.html").read_text()
    for place in ("gate", "claimed", "gradients", "curves", "measures", "contrasts", "environments"):
        assert re.search(r"Left out: (before, )?workspace, where report/", words(page, place)), place
    assert "There is nothing to compare." in words(page, "gate") and "There are no curves that differ." in words(page, "curves")


def test_verdicts_that_agree_are_said_to(project):
    compared()
    page = Path("comparison/index.html").read_text()
    assert all("verdicts that can be compared are the same." in words(page, place) for place in ("gate", "claimed"))


@pytest.mark.skipif(browser.EXECUTABLE is None, reason="no chromium on the PATH (apt-get install chromium)")
def test_the_page_asks_for_nothing_complains_of_nothing_and_its_chart_can_be_steered(index):
    with browser.started() as chromium, browser.opened(chromium, index, 390) as opened:
        for width in (390, 1280):
            opened.page.set_viewport_size({"width": width, "height": 900})
            opened.page.wait_for_timeout(300)
            assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        marks = "[...document.querySelectorAll('#security_linf .mark-symbol path')].map(p => p.ariaLabel).filter(Boolean)"
        assert [one.split(":")[0] for one in opened.page.evaluate(marks)] == [
            f"{revision}, radius {radius}" for revision in ("before", "after") for radius in ("0", "0.2")
        ]
        assert opened.page.locator("#security_linf .security_linf_near_marks path").count() == 2
        opened.page.locator("input[value=after]").uncheck()
        opened.page.wait_for_function(f"{marks}.length === 2")
        opened.page.locator("select[data-parameter=technique]").select_option("Standard")
        opened.page.wait_for_function(f"{marks}.some(said => said.startsWith('before, radius 0.2: 10.0%, 95 % over images'))")
        assert opened.errors == [] and [address for address in opened.requests if not address.startswith("data:")] == [index.as_uri()]


def test_revisions_are_told_apart_without_colour_and_seen_on_both_pages():
    found = looks([f"r{place}" for place in range(8)])
    assert len({(look.shape, *look.dash) for look in found}) == 8 and len({look.light for look in found[:6]}) == 6
    for look in found:
        for colour, page in ((look.light, LIGHT_CARD), (look.dark, DARK_CARD)):
            lighter, darker = sorted((brightness(colour), brightness(page)), reverse=True)
            assert (lighter + 0.05) / (darker + 0.05) >= 3, look


@pytest.mark.parametrize(
    ("steps", "apart", "look"),
    [
        ([1.0], "", ""),
        ([1.0, 2.0], "[+1.000, +2.000]", ""),  # a range, not an interval
        ([1.0, 2.0, 3.0], "[−0.484, +4.484]", ""),  # t of 2 degrees of freedom 4.303, standard error 0.577
        ([2.0, 2.1, 2.2], "[+1.852, +2.348]", "clear"),
    ],
)
def test_a_difference_of_gradients_is_called_clear_by_an_interval_over_seeds_alone(steps, apart, look):
    found = gradients.cell({seed: 5 + step for seed, step in enumerate(steps)}, dict.fromkeys(range(len(steps)), 5.0))
    assert found is not None and (found.apart, found.look) == (apart, look)
