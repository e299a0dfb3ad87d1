"""Sorting of tables by their columns: one short script and its style for the whole page."""

from markupsafe import Markup

from lib.report.templates import rendered


def script() -> Markup:
    """What makes every `<table class="sortable">` of the page sortable; it goes once before `</body>` and loads nothing.

    A cell's value is its `data-value`, else its text. The head's last row gets the buttons; every tbody is sorted by itself.
    """
    return rendered("sortable.html.j2")
