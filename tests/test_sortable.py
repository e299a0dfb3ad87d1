"""The sortable tables: what the markup of Table 1 says, and what clicks do in a real browser."""

import re
from contextlib import ExitStack
from html.parser import HTMLParser

import browser
import pytest
from playwright.sync_api import Page

from lib.report import sortable, table_formats
from lib.report.tables import Cell, Line, Table
from lib.statistics.columns import CLEAN, Column

L2 = Column("paper", "pgd40", "l2", 1.5)
STRICT = Column("strict", "pgd40", "l2", 1.5)
ABC = """<!doctype html><html lang="en"><meta charset="utf-8"><title>sorting</title><div class="scroll"><table class="sortable">
<thead><tr><td></td><th scope="colgroup" colspan="2">group</th></tr>
<tr><th scope="col">Name</th><th scope="col" data-name="the number">Number</th><th scope="col">Text</th></tr></thead>
<tbody><tr><th scope="row">first</th><td data-value="2.5">10</td><td>x</td></tr>
<tr><th scope="row">third</th><td data-value="10">2</td><td>y</td></tr>
<tr><th scope="row">empty</th><td data-value="">–</td><td>z</td></tr>
<tr><th scope="row">second</th><td data-value="2.5">9</td><td>z</td></tr></tbody>
<tbody><tr><th scope="rowgroup" colspan="3">head of a group</th></tr>
<tr><th scope="row">b</th><td data-value="-1">1</td><td>w</td></tr>
<tr><th scope="row">a</th><td data-value="3">2</td><td>v</td></tr></tbody></table></div>"""
ORIGINAL = ["first", "third", "empty", "second", "head of a group", "b", "a"]


class Elements(HTMLParser):
    """All elements of a page as (tag, attributes)."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def of(self, *tags: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name in tags]


def cell(mean: float, spread: str = "", published: float | None = None, mark: str = "") -> Cell:
    return Cell(100, mean, f"{mean:.1f}", spread, None, None, published, None, mark)


@pytest.fixture
def table():
    """Three techniques in two groups, clean and under two attacks, on 100 images."""
    lines = (
        Line("Standard", "none", "", (cell(97), cell(20, "18.0–22.0", 78.41, "third"), cell(10)), cell(5)),
        Line("JR", "80/255", "80/255", (cell(96), cell(70, "", 82.64, "best"), cell(50)), cell(5)),
        Line("IR", "80/255", "", (cell(95), cell(60.25, "", None, "second"), cell(40)), cell(5)),
    )
    return Table(1, "Caption & more.", (CLEAN, L2, STRICT), lines, 100, 2)


@pytest.fixture(scope="module")
def chromium():
    if browser.EXECUTABLE is None:
        pytest.skip("no chromium on PATH")
    with browser.started() as started:
        yield started


@pytest.fixture
def show(chromium, tmp_path):
    """Opens markup with the script as a page of its own, which must neither complain nor ask for anything but itself."""
    with ExitStack() as stack:
        pages = []

        def shown(html: str) -> Page:
            (tmp_path / "page.html").write_text(f"{html}{sortable.script()}", encoding="utf-8")
            pages.append(stack.enter_context(browser.opened(chromium, tmp_path / "page.html")))
            return pages[-1].page

        yield shown
        assert [(page.errors, len(page.requests)) for page in pages] == [([], 1)] * len(pages)


def order(page: Page) -> list[str]:
    return page.locator("tbody th").all_text_contents()


def test_every_header_has_a_scope_every_checkbox_a_label_and_ids_are_different(table):
    found = Elements(table_formats.to_html(table))
    assert {entry["scope"] for entry in found.of("th")} == {"col", "colgroup", "row", "rowgroup"}
    boxes = [entry["id"] for entry in found.of("input")]
    assert boxes == ["show-published", "show-intervals"] == [entry["for"] for entry in found.of("label")]
    ids = [attributes["id"] for _, attributes in found.found if "id" in attributes]
    assert len(ids) == len(set(ids)) and found.of("table")[0]["aria-describedby"] in ids
    assert "sortable" in found.of("table")[0]["class"].split()


def test_cells_hold_their_values_and_tooltips_with_both_intervals_and_the_difference(table):
    cells = Elements(table_formats.to_html(table)).of("td")
    values = [entry for entry in cells if "data-value" in entry]
    assert [entry["data-value"] for entry in values[:4]] == ["97.0000", "5.0000", "20.0000", "10.0000"]
    assert values[10]["data-value"] == "60.2500"
    # Wilson, by hand: (0.2 + z²/200 ± z √(0.2·0.8/100 + z²/40000)) / (1 + z²/100) with z = 1.95996
    said = (
        "paper: pgd40, L2 1.5: 20.0 %; over 100 images [13.3, 28.9] (95 %, Wilson); over the seeds 18.0–22.0; paper 78.41, difference −58.4"
    )
    assert values[2]["title"] == said
    assert values[0]["title"].startswith("clean: 97.0 %; over 100 images")
    assert "seeds" not in values[3]["title"] and "paper 7" not in values[3]["title"]


def test_ranks_are_bold_underlined_and_an_asterisk_and_are_said(table):
    html = table_formats.to_html(table)
    assert '<strong>70.0</strong><span class="words"> highest</span>' in html
    assert '<u>60.2</u><span class="words"> second</span>' in html
    assert '<span aria-hidden="true">*</span>20.0<span class="words"> third</span>' in html
    assert html.count("<strong>") == 2 and html.count("<u>") == 1  # the other bold text is n in the caption


def test_the_caption_says_n_and_seeds_and_text_is_escaped(table):
    html = table_formats.to_html(table)
    assert "n = 100 test images, 2 seeds." in html
    assert "Caption &amp; more." in html and "Caption & more." not in html


def test_each_group_has_a_body_of_its_own_with_its_header_first(table):
    bodies = re.findall(r"<tbody>(.*?)</tbody>", table_formats.to_html(table), re.DOTALL)
    assert [re.findall(r'<th [^>]*scope="row(?:group)?">([^<]*)</th>', body) for body in bodies] == [["Standard"], ["80/255", "JR", "IR"]]


def test_without_published_values_there_is_no_checkbox_for_them(table):
    bare = Table(1, "", table.columns, tuple(Line(line.technique, "", "", (cell(1),) * 3, cell(1)) for line in table.lines), 100, 1)
    html = table_formats.to_html(bare)
    assert 'id="show-published"' not in html and 'id="show-intervals"' in html
    assert "1 seed.</strong>" in html


def test_numbers_start_with_the_largest_ties_keep_their_order_and_empty_cells_come_last(show):
    page = show(ABC)
    button, head = page.get_by_role("button", name="Number"), page.locator("th", has_text="Number")
    assert order(page) == ORIGINAL and head.get_attribute("aria-sort") is None
    button.click()
    assert order(page) == ["third", "first", "second", "empty", "head of a group", "a", "b"]
    assert head.get_attribute("aria-sort") == "descending"
    assert page.get_by_role("status").text_content() == "Sorted by the number, descending."
    button.click()
    assert order(page) == ["first", "second", "third", "empty", "head of a group", "b", "a"]
    assert head.get_attribute("aria-sort") == "ascending"
    button.click()
    assert order(page) == ORIGINAL
    assert page.locator("[aria-sort]").count() == 0
    assert page.get_by_role("status").text_content() == "In the original order."


def test_text_starts_with_a_by_keyboard_and_another_column_begins_anew(show):
    page = show(ABC)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert order(page) == ["empty", "first", "second", "third", "head of a group", "a", "b"]
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert order(page) == ["first", "third", "empty", "second", "head of a group", "a", "b"]
    assert page.locator("[aria-sort]").all_text_contents() == ["Text"]


def test_published_values_and_intervals_are_shown_on_demand(show, table):
    page = show(table_formats.to_html(table))
    paper, interval = page.locator(".paper").first, page.locator(".interval").first
    width = interval.bounding_box()["width"]
    assert not paper.is_visible() and width <= 1
    page.get_by_label("what the paper printed").check()
    page.get_by_label("intervals over the test images").check()
    assert paper.is_visible() and paper.inner_text().split() == ["paper", "78.41", "difference", "−58.4"]
    assert interval.bounding_box()["width"] > 20


def test_a_page_without_sortable_tables_stays_as_it_is(show):
    page = show(ABC.replace('class="sortable"', ""))
    assert page.get_by_role("button").count() == 0 and order(page) == ORIGINAL
