"""The page of a comparison: every part has what differs and nothing else, what is missing is said, and it needs nothing but itself."""

import csv
import html
import json
import re
from pathlib import Path

import browser
import compare_project
import pytest
from compare_project import compared
from project import run

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
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", section(page, place), re.S)
    return [[re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)] for row in rows]


def test_the_page_shows_parameters_and_results_that_differ_and_loads_nothing(page):
    assert "before after jr.JR.lambda_j 0.3 0.5" in words(page, "parameters")
    before, after = cells(page, "radii")
    assert before == ["0.195", "", "", ""] and after[0] == "0.235" and after[1].startswith("+20.5 [") and after[3] == "more robust"
    assert cells(page, "accuracies")[1][0] == "95.0same" and cells(page, "accuracies")[1][1].startswith("70.0+20.0[")
    assert "J&lt;R" in page and "J<R" not in markup(page)
    assert re.findall(r"(?:src|href)=\"(?!data:|#|(comparison|radii)\.csv\")[^\"]*", markup(page)) == []


def test_the_gates_verdicts_that_differ_stand_side_by_side_and_no_others(page):
    gate, said = section(page, "gate"), words(page, "gate")
    assert said.count("G7 restarts") == 1 and "G1" not in said and "1 of 4 verdicts is not the same everywhere." in said
    assert re.findall(r"class='light (\w+)'", gate) == ["warn", "fail"]
    told = re.findall(r"(warn|fail) (0\.\d) points why they break (0\.\d) & more", said)
    assert told == [("warn", "0.3", "0.3"), ("fail", "0.5", "0.5")]


def test_a_claim_whose_verdict_differs_is_there_with_both_numbers_and_no_other(page):
    claimed = words(page, "claims")
    assert re.search(r"JR beats NR\. *strict attack.*supported *\+0\.3 \[.*JR over NR.*contradicted *\+0\.5 \[.*JR over NR", claimed)
    assert "JR has smaller gradients" not in claimed and "1 of 2 verdicts" in claimed


def test_the_gradients_of_a_row_have_their_mean_their_range_and_their_difference_over_seeds(page):
    assert cells(page, "gradients") == [
        ["0.7500.600 to 0.900", "0.5000.500 to 0.500"],
        ["1.2501.000 to 1.500+0.500[−0.771, +1.771]", "0.5000.500 to 0.500same"],
    ]


def test_the_chart_holds_exactly_the_accuracies_of_both_curves(project, page):
    (spec,) = [json.loads(text) for text in re.findall(r'json">(\{.*?)</script>', page) if '"hconcat"' in text]
    points = [point for lines in spec["datasets"].values() for point in lines]
    found = [(one["revision"], one["row"], one["kind"], one["radius"], one["accuracy"]) for one in points]
    asked = [
        (revision, line["technique"], f"{line['semantics']} {line['attack']}", float(line["epsilon"]), float(line["accuracy"]))
        for revision in ("before", "after")
        for line in csv.DictReader(run(f"git show {revision}:report/curves.csv", project).splitlines())
    ]
    assert sorted(found) == sorted(asked) and len(asked) == 16
    (point,) = [
        one for one in points if (one["revision"], one["row"], one["kind"], one["radius"]) == ("after", "J<R", "strict search", 0.2)
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
    gate, claimed = words(page, "gate"), words(page, "claims")
    assert "Left out: workspace, where report/gate.json is missing, empty or of an older form." in gate
    assert "Left out: workspace, where report/claims.csv is missing" in claimed
    assert "1 of 4 verdicts" in gate and "1 of 2 verdicts" in claimed


def test_without_any_of_the_files_every_section_says_so(project):
    for name in ("gate.json", "claims.csv", "networks.csv", "curves.csv"):
        Path("report", name).write_text("[1" if name.endswith("json") else "")
    assert compared("before", "workspace").exit_code == 0
    page = Path("comparison/index.html").read_text()
    for place in ("gate", "claims", "gradients", "curves", "contrasts", "environments"):
        assert re.search(r"Left out: (before, )?workspace, where report/", words(page, place)), place
    assert "There is nothing to compare." in words(page, "gate") and "There are no curves that differ." in words(page, "curves")


def test_verdicts_that_agree_are_said_to(project):
    compared()
    page = Path("comparison/index.html").read_text()
    assert all("verdicts that can be compared are the same." in words(page, place) for place in ("gate", "claims"))


@pytest.mark.skipif(browser.EXECUTABLE is None, reason="no chromium on the PATH (apt-get install chromium)")
def test_the_page_asks_for_nothing_complains_of_nothing_and_its_chart_can_be_steered(index):
    with browser.started() as chromium, browser.opened(chromium, index, 390) as opened:
        for width in (390, 1280):
            opened.page.set_viewport_size({"width": width, "height": 900})
            opened.page.wait_for_timeout(300)
            assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        marks = "[...document.querySelectorAll('#security .mark-symbol path')].map(p => p.ariaLabel).filter(Boolean)"
        asked = [f"{revision}, L∞ radius {radius}" for revision in ("before", "after") for radius in ("0", "0.2")]
        assert [said.split(":")[0] for said in opened.page.evaluate(marks)] == asked
        opened.page.locator("#security .role-legend-symbol path").nth(1).click(force=True)
        opened.page.wait_for_function(f"{marks}.length === 2")
        opened.page.locator("#security select").first.select_option("Standard")
        opened.page.wait_for_function(f"{marks}.some(said => said.startsWith('before, L∞ radius 0.2: 10.0 %, 95 % over images'))")
        assert opened.errors == [] and [address for address in opened.requests if not address.startswith("data:")] == [index.as_uri()]
