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
BRIGHT = "[...document.querySelectorAll('{} .mark-symbol path')].filter(p => +p.getAttribute('opacity') === 1).map(p => p.ariaLabel)"


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
            assert opened.page.evaluate(overflowing()) == []
        assert opened.page.locator("figure.chart svg.marks").count() == 9
        assert opened.page.locator("figure.chart.failed").count() == 0
        assert opened.errors == []
        assert [address for address in opened.requests if not address.startswith("data:")] == [index.as_uri()]


def overflowing() -> str:
    """The ids of charts that are wider than their place."""
    return "[...document.querySelectorAll('.vega')].filter(v => v.querySelector('svg').clientWidth > v.clientWidth + 1).map(v => v.id)"


def test_charts_change_their_colours_with_the_page(chromium, index):
    with browser.opened(chromium, index, scheme="light") as opened:
        before = strokes(opened.page)
        opened.page.emulate_media(color_scheme="dark")
        browser.wait_until_drawn(opened.page, "dark")
        after = strokes(opened.page)
        assert len(before) == len(after) == ROWS and set(before).isdisjoint(after)


def strokes(page: Page) -> list[str]:
    """The colours of the curves up to the break of one security chart."""
    return page.eval_on_selector_all(
        "#security_linf .security_linf_near_marks path",
        "all => all.map(p => p.getAttribute('stroke'))",
    )


def test_a_row_that_is_switched_off_leaves_every_chart_and_comes_back(page):
    box = page.locator(f"{SECURITY} .rows").get_by_label("JR L2")
    named = f"{SECURITY} .mark-symbol path[aria-label][aria-label^='JR, ']"
    assert page.locator(named).count() == MARKS
    box.uncheck()
    page.wait_for_function(f"document.querySelectorAll(`{named}`).length === 0")
    page.locator(f"{SECURITY} [data-all='']").click()
    page.wait_for_function(f"document.querySelectorAll('{SECURITY} .mark-symbol path[aria-label]').length === 0")
    page.locator(f"{SECURITY} [data-all='true']").click()
    page.wait_for_function(f"document.querySelectorAll(`{named}`).length === {MARKS}")


def test_another_attack_shows_its_own_curves(page):
    mark = f"{SECURITY} #security_linf path[aria-label^='JR, '][aria-label*='radius 0.2:']"
    assert ": 45.0%," in page.locator(mark).get_attribute("aria-label")
    page.locator(f"{SECURITY} select").select_option("paper pgd40")
    page.wait_for_function(f"document.querySelector(`{mark}`)?.ariaLabel.includes(': 57.0%,')")
    page.locator(f"{SECURITY} select").select_option("strict search")
    page.wait_for_function(f"document.querySelector(`{mark}`)?.ariaLabel.includes(': 45.0%,')")


def test_pointing_at_a_mark_says_its_images_and_its_interval(page):
    mark = page.locator("#security_linf path[aria-label^='JR, '][aria-label*='radius 0.2:']")
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2 + 3, box["y"] + box["height"] / 2)
    tip = page.locator("#vg-tooltip-element.visible")
    tip.wait_for()
    text = tip.inner_text()
    assert "45.0%" in text and "35.6 to 54.8 %" in text and "100" in text


def test_what_is_selected_in_one_scatter_plot_stands_out_in_the_other(page):
    page.locator("#networks_label_norm path[aria-label*='JR, seed 1']").click()
    for chart in ("#networks_label_norm", "#networks_cosine_reference"):
        page.wait_for_function(f"{BRIGHT.format(chart)}.length === 1")
        assert "JR, seed 1" in page.evaluate(BRIGHT.format(chart))[0]
    page.locator("#networks_cosine_reference path[aria-label*='JR, seed 1']").click()
    page.wait_for_function(f"{BRIGHT.format('#networks_label_norm')}.length === 24")


def test_a_row_of_the_list_stands_out_in_both_scatter_plots(page):
    page.get_by_label("Highlight").select_option("JR")
    for chart in ("#networks_label_norm", "#networks_cosine_reference"):
        page.wait_for_function(f"{BRIGHT.format(chart)}.length === 2")
    page.get_by_label("Highlight").select_option("")


def test_tables_sort_by_a_column_and_back(page):
    names = ".results tbody th[scope=row]"
    original = page.locator(names).all_inner_texts()
    head = page.locator(".results thead th[data-name*='strict'] button").first
    head.click()
    assert page.locator(names).first.inner_text() != original[0] and page.locator(".results [aria-sort=descending]").count() == 1
    head.click()
    head.click()
    assert page.locator(names).all_inner_texts() == original


def test_published_values_are_shown_on_demand(page):
    value = page.locator(".results .paper").first
    assert not value.is_visible()
    page.locator("#show-published").check()
    assert value.is_visible()
    page.locator("#show-published").uncheck()


def test_picking_a_class_shows_its_maps_only(page):
    assert page.locator(".picker .shown:visible").count() == 1
    page.locator(".picker input[type=radio]").nth(2).check(force=True)
    shown = page.locator(".picker .shown:visible")
    assert shown.count() == 1 and shown.get_attribute("aria-label").endswith("2")


def test_lights_give_their_reasons_to_the_pointer_and_to_the_keyboard(page):
    lights, tip = page.locator("#gate tbody button.light"), page.locator("#gate-tip")
    lights.nth(1).hover()
    assert tip.is_visible() and tip.inner_text() in lights.nth(1).get_attribute("aria-label")
    lights.first.focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.ariaLabel").startswith("AT(L2,1.5), ")
    assert tip.is_visible() and tip.inner_text() in page.evaluate("document.activeElement.ariaLabel")
    page.keyboard.press("Escape")
    assert tip.is_hidden()
    assert page.locator("#gate tbody button.light[tabindex='0']").count() == 1


def test_headings_are_in_order_pictures_have_words_and_heads_of_tables_a_scope(page):
    levels = page.eval_on_selector_all("h1, h2, h3, h4", "all => all.map(h => +h.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:]))
    assert page.locator("img:not([alt])").count() == 0 and page.locator("th:not([scope])").count() == 0
    assert page.locator("figure.chart .vega:not([aria-label])").count() == 0
    identifiers = page.eval_on_selector_all("[id]", "all => all.map(e => e.id).filter(id => !/^(clip|gradient)/.test(id))")
    assert len(identifiers) == len(set(identifiers))
    links = page.eval_on_selector_all("a[href^='#']", "all => all.map(a => a.getAttribute('href').slice(1))")
    assert set(links) <= set(identifiers)


def test_without_scripts_every_figure_is_there_as_a_picture(chromium, index):
    with browser.opened(chromium, index, scripts=False) as opened:
        pictures = opened.page.locator("figure.chart .still img")
        assert pictures.count() == 5
        assert all(pictures.nth(place).is_visible() for place in range(4))
        assert not opened.page.locator("figure.chart .drawn").first.is_visible()


def test_a_printed_page_has_the_pictures(chromium, index):
    with browser.opened(chromium, index) as opened:
        opened.page.emulate_media(media="print")
        assert opened.page.locator(f"{SCATTER} .still img").is_visible()
        assert not opened.page.locator(f"{SCATTER} .drawn").is_visible()


def test_linked_files_are_there_and_the_page_is_small(index, page):
    links = page.eval_on_selector_all("a[href]", "all => all.map(a => a.getAttribute('href'))")
    files = [link for link in links if not link.startswith("#")]
    assert {"networks.csv", "curves.csv", "figures/fig7_networks.svg", "figures/fig6_security.png"} <= set(files)
    assert [link for link in files if not (index.parent / link).is_file()] == []
    assert index.stat().st_size < 10e6
