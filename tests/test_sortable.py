"""The sortable tables: what the markup of Table 1 says, and what clicks do in a real browser."""

import re
from contextlib import ExitStack
from html.parser import HTMLParser

import browser
import pandas as pd
import pytest
from playwright.sync_api import Page

from lib.report import table
from lib.report.templates import rendered
from lib.statistics.columns import CLEAN, Column

L2 = Column("paper", "pgd40", "l2", 1.5)
STRICT = Column("strict", "pgd40", "l2", 1.5)
ABC = """<!doctype html><html lang="en"><meta charset="utf-8"><title>sorting</title><div class="scroll"><table class="sortable">
<thead><tr><td></td><th scope="colgroup" colspan="2">group</th></tr>
<tr><th scope="col">Name</th><th scope="col">Number</th><th scope="col">Text</th></tr></thead>
<tbody><tr><th scope="row">first</th><td>2.5</td><td>x</td></tr>
<tr><th scope="row">third</th><td>10</td><td>y</td></tr>
<tr><th scope="row">empty</th><td>–</td><td>z</td></tr>
<tr><th scope="row">second</th><td>2.5</td><td>z</td></tr></tbody>
<tbody><tr><th scope="rowgroup" colspan="3">head of a group</th></tr>
<tr><th scope="row">b</th><td>−1</td><td>w</td></tr>
<tr><th scope="row">a</th><td>3</td><td>v</td></tr></tbody></table></div>"""
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


@pytest.fixture
def markup():
    """Table 1 of three techniques in two groups, clean and under two attacks, on 100 images."""
    lines = []
    for group, technique, shares in (("none", "Standard", (97, 20, 10)), ("80/255", "JR", (96, 70, 50)), ("80/255", "IR", (95, 60.25, 40))):
        for column, share in zip((CLEAN, L2, STRICT), shares):
            mark = {70: "best", 60.25: "second", 20: "third"}.get(share, "")
            printed = {20: 78.41, 70: 82.64}.get(share, float("nan"))
            numbers = {"accuracy_percent": share, "published_percent": printed, "difference": share - printed, "n": 100, "seeds": 2}
            lines.append({"group": group, "technique": technique, "rank": mark, "low": share - 2, "high": share + 2} | numbers)
            lines[-1] |= table.place(column)
    return table.html(pd.DataFrame(lines, columns=table.COLUMNS), "Table 1")


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
            (tmp_path / "page.html").write_text(f"{html}{rendered('sort.html.j2')}", encoding="utf-8")
            pages.append(stack.enter_context(browser.opened(chromium, tmp_path / "page.html")))
            return pages[-1].page

        yield shown
        assert [(page.errors, len(page.requests)) for page in pages] == [([], 1)] * len(pages)


def order(page: Page) -> list[str]:
    return page.locator("tbody th").all_text_contents()


def test_every_header_has_a_scope_and_the_table_can_be_sorted(markup):
    found = Elements(markup)
    assert {entry["scope"] for entry in found.of("th")} == {"col", "row", "rowgroup"}
    assert "sortable" in found.of("table")[0]["class"].split() and len(found.of("td")) == 3 * 3 + 1


def test_cells_hold_both_intervals_and_the_published_value_with_the_difference(markup):
    # Wilson, by hand: (0.2 + z²/200 ± z √(0.2·0.8/100 + z²/40000)) / (1 + z²/100) with z = 1.95996
    assert (
        "<td>20.0<sup>*</sup><small class=spread>18.0 / 22.0</small><small class=interval>[13.3, 28.9]</small>"
        "<small class=published>78.41<br>−58.4</small></td>"
    ) in markup


def test_ranks_are_bold_underlined_and_an_asterisk(markup):
    assert "<strong>70.0</strong>" in markup and "<u>60.2</u>" in markup and "20.0<sup>*</sup>" in markup
    assert markup.count("<strong>") == markup.count("<u>") == markup.count("<sup>") == 1


def test_each_group_has_a_body_of_its_own_with_its_header_first(markup):
    bodies = re.findall(r"<tbody>(.*?)</tbody>", markup, re.DOTALL)
    assert [re.findall(r'<th [^>]*scope="row(?:group)?">([^<]*)</th>', body) for body in bodies] == [["Standard"], ["80/255", "JR", "IR"]]


def test_marked_cells_sort_by_their_number(show, markup):
    page = show(markup)
    page.get_by_role("button", name="L2 1.5").first.click()
    assert order(page) == ["Standard", "80/255", "JR", "IR"]
    page.get_by_role("button", name="L2 1.5").first.click()
    assert order(page) == ["Standard", "80/255", "IR", "JR"]


def test_numbers_start_with_the_largest_ties_keep_their_order_and_empty_cells_come_last(show):
    page = show(ABC)
    button, head = page.get_by_role("button", name="Number"), page.locator("th", has_text="Number")
    assert order(page) == ORIGINAL and head.get_attribute("aria-sort") is None
    button.click()
    assert order(page) == ["third", "first", "second", "empty", "head of a group", "a", "b"]
    assert head.get_attribute("aria-sort") == "descending"
    button.click()
    assert order(page) == ["first", "second", "third", "empty", "head of a group", "b", "a"]
    assert head.get_attribute("aria-sort") == "ascending"
    button.click()
    assert order(page) == ORIGINAL
    assert page.locator("[aria-sort]").count() == 0


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


def test_a_page_without_sortable_tables_stays_as_it_is(show):
    page = show(ABC.replace('class="sortable"', ""))
    assert page.get_by_role("button").count() == 0 and order(page) == ORIGINAL
