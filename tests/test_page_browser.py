"""The page in a real browser: it needs nothing but itself, and what can be switched, sorted and picked does what it says."""

from collections.abc import Iterator
from pathlib import Path

import browser
import pytest
import report_once
from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.skipif(browser.EXECUTABLE is None, reason="no chromium on the PATH (apt-get install chromium)")

WIDTHS = (390, 1024, 1600)
MARKS = 19  # radii at which a row has a mark under the search, in both norms, 0 among them
SECURITY, SCATTER, ROWS = "#fig6_security", "#fig7_networks", 9
# What stands out of a selection of marks is opaque, the others are faint.
BRIGHT = f"[...document.querySelectorAll('{SCATTER} .mark-symbol path[aria-label]')]"
BRIGHT += ".filter(p => +p.getAttribute('opacity') === 1).map(p => p.ariaLabel)"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser.started() as started:
        yield started


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> Path:
    """The page of a grid with known answers."""
    return report_once.made(tmp_path_factory) / "report/index.html"


@pytest.fixture(scope="module")
def page(chromium, index) -> Iterator[Page]:
    """The page, opened once for the tests that leave it as they found it."""
    with browser.opened(chromium, index) as opened:
        yield opened.page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_asks_for_nothing_complains_of_nothing_and_fits_every_width(chromium, index, scheme):
    with browser.opened(chromium, index, WIDTHS[0], scheme) as opened:
        for width in WIDTHS:
            opened.page.set_viewport_size({"width": width, "height": 900})
            opened.page.wait_for_timeout(300)
            assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        charts = opened.page.locator(".chart").count()
        assert opened.page.locator(".chart svg.marks").count() == charts > 8
        assert opened.page.locator(".chart.failed").count() == 0
        assert opened.errors == []
        assert [address for address in opened.requests if not address.startswith("data:")] == [index.as_uri()]


def test_charts_change_their_colours_with_the_page(chromium, index):
    with browser.opened(chromium, index, scheme="light") as opened:
        before = strokes(opened.page)
        opened.page.emulate_media(color_scheme="dark")
        browser.wait_until_drawn(opened.page, "dark")
        after = strokes(opened.page)
        assert len(before) == len(after) == 2 * ROWS and set(before).isdisjoint(after)


def strokes(page: Page) -> list[str]:
    """The colours of the security curves in both norms."""
    return page.eval_on_selector_all(f"{SECURITY} .mark-line path", "all => all.map(p => p.getAttribute('stroke'))")


def test_a_row_that_is_switched_off_leaves_every_chart_and_comes_back(page):
    place = page.locator(f"{SECURITY} .role-legend-label text").all_text_contents().index(legend_of(page, "JR"))
    symbol = page.locator(f"{SECURITY} .role-legend-symbol path").nth(place)
    named = f"{SECURITY} .mark-symbol path[aria-label][aria-label^='JR, ']"
    assert page.locator(named).count() == MARKS
    symbol.click(force=True)
    page.wait_for_function(f"document.querySelectorAll(`{named}`).length === 0")
    symbol.click(force=True)
    page.wait_for_function(f"document.querySelectorAll(`{named}`).length === {MARKS}")


def legend_of(page: Page, row: str) -> str:
    """The row's name in the legend, with its mean radii behind it."""
    return next(text for text in page.locator(f"{SECURITY} .role-legend-label text").all_text_contents() if text.startswith(f"{row} "))


def test_another_attack_shows_its_own_curves(page):
    mark = f"{SECURITY} path[aria-label^='JR, '][aria-label*='L∞ radius 0.2:']"
    assert ": 45.0 %," in page.locator(mark).get_attribute("aria-label")
    page.locator(f"{SECURITY} select").select_option("paper pgd40")
    page.wait_for_function(f"document.querySelector(`{mark}`)?.ariaLabel.includes(': 57.0 %,')")
    page.locator(f"{SECURITY} select").select_option("strict search")
    page.wait_for_function(f"document.querySelector(`{mark}`)?.ariaLabel.includes(': 45.0 %,')")


def test_pointing_at_a_mark_says_its_images_and_its_interval(page):
    mark = page.locator(f"{SECURITY} path[aria-label^='JR, '][aria-label*='L∞ radius 0.2:']")
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2 + 3, box["y"] + box["height"] / 2)
    tip = page.locator("#vg-tooltip-element.visible")
    tip.wait_for()
    text = tip.inner_text()
    assert "45.0 %" in text and "35.6 to 54.8 %" in text and "100" in text


def test_what_is_selected_in_one_scatter_plot_stands_out_in_the_other(page):
    marks = page.locator(f"{SCATTER} path[aria-label*='JR, seed 1']")
    marks.nth(1).dispatch_event("click")
    page.wait_for_function(f"{BRIGHT}.length === 2")
    assert all("JR, seed 1" in said for said in page.evaluate(BRIGHT))
    marks.nth(1).dispatch_event("click")
    page.wait_for_function(f"{BRIGHT}.length === 48")


def test_a_row_of_the_list_stands_out_in_both_scatter_plots(page):
    page.get_by_label("Highlight").select_option("JR")
    page.wait_for_function(f"{BRIGHT}.length === 4")
    page.get_by_label("Highlight").select_option("")


def test_tables_sort_by_a_column_and_back(page):
    names = ".results tbody th[scope=row]"
    original = page.locator(names).all_inner_texts()
    head = page.locator(".results thead th[scope=col] button").nth(3)
    head.click()
    assert page.locator(names).first.inner_text() != original[0] and page.locator(".results [aria-sort=descending]").count() == 1
    head.click()
    head.click()
    assert page.locator(names).all_inner_texts() == original


@pytest.mark.parametrize(("kind", "box"), [("published", "#show-published"), ("interval", "#show-intervals")])
def test_published_values_and_intervals_are_shown_on_demand(page, kind, box):
    value, box = page.locator(f".results .{kind}").first, page.locator(box)
    assert not value.is_visible()
    box.check()
    assert value.is_visible()
    box.uncheck()


def test_picking_a_class_shows_its_maps_only(page):
    pictures = page.locator("#gallery image").count()
    page.locator("#gallery input[type=radio]").nth(2).check()
    page.locator("#gallery image[aria-label$=', class 2']").wait_for()
    assert page.locator("#gallery image").count() == pictures > 10
    assert page.locator("#gallery image[aria-label$=', class 0']").count() == 0


def test_a_light_says_its_verdict_and_one_that_is_not_green_opens_what_is_behind_it(chromium, index):
    with browser.opened(chromium, index) as opened:
        lights = opened.page.locator(".gate td .light")
        assert all(said.startswith("G") and "seed 0:" in said for said in lights.evaluate_all("all => all.map(light => light.ariaLabel)"))
        loud = opened.page.locator(".gate td a.light").first
        reason = opened.page.locator(loud.get_attribute("href"))
        assert not reason.is_visible()
        loud.focus()
        opened.page.keyboard.press("Enter")
        reason.wait_for(state="visible")


def test_the_question_is_on_the_first_screen_table_1_below_it_and_the_whole_is_short(chromium, index):
    with browser.opened(chromium, index, 1280) as opened:
        tops = opened.page.eval_on_selector_all("h2", "all => all.map(head => [head.id, head.getBoundingClientRect().top])")
        assert dict(tops)["table"] < 2000 and opened.page.locator("#contrasts").bounding_box()["y"] < 600
        assert opened.page.evaluate("document.documentElement.scrollHeight") < 12_000
        words = opened.page.evaluate("document.querySelectorAll('svg').forEach(chart => chart.remove()), document.body.innerText")
        assert len(words.split()) < 2500


def test_headings_are_in_order_pictures_have_words_and_heads_of_tables_a_scope(page):
    levels = page.eval_on_selector_all("h1, h2, h3, h4", "all => all.map(h => +h.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:]))
    assert page.locator("img:not([alt])").count() == 0 and page.locator("th:not([scope])").count() == 0
    assert page.locator(".chart svg.marks").count() == page.locator(".chart [aria-roledescription=visualization][aria-label]").count()
    identifiers = page.eval_on_selector_all("[id]", "all => all.map(e => e.id).filter(id => !/^(clip|gradient)/.test(id))")
    assert len(identifiers) == len(set(identifiers))
    links = page.eval_on_selector_all("a[href^='#']", "all => all.map(a => a.getAttribute('href').slice(1))")
    assert set(links) <= set(identifiers)


def test_without_scripts_every_figure_is_there_as_a_picture(chromium, index):
    with browser.opened(chromium, index, scripts=False) as opened:
        assert opened.page.locator(".chart img.still").count() == opened.page.locator(".chart").count()
        pictures = opened.page.locator(".chart img.still:not(details *)")
        assert pictures.count() > 8
        assert all(picture.is_visible() for picture in pictures.all())
        assert not opened.page.locator(".chart .drawn").first.is_visible()


def test_a_printed_page_has_the_pictures(chromium, index):
    with browser.opened(chromium, index) as opened:
        opened.page.emulate_media(media="print")
        assert opened.page.locator(f"{SCATTER} img.still").is_visible()
        assert not opened.page.locator(f"{SCATTER} .drawn").is_visible()


def test_linked_files_are_there_and_the_page_is_small(index, page):
    links = page.eval_on_selector_all("a[href]", "all => all.map(a => a.getAttribute('href'))")
    files = [link for link in links if not link.startswith("#")]
    assert {"networks.csv", "curves.csv", "figures/fig7_networks.svg", "figures/fig6_security.png"} <= set(files)
    assert [link for link in files if not (index.parent / link).is_file()] == []
    assert index.stat().st_size < 5e6
