"""What the templates of pages have in common: where they are found, and two filters."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

FOLDER = Path(__file__).parent / "templates"


def rendered(template: str, **values: object) -> Markup:
    """A `template` of the report, filled in; see `environment`."""
    return Markup(environment().get_template(template).render(**values))


def environment(*folders: Path) -> Environment:
    """Templates in `folders` and of the report. In those of HTML everything that is not markup is escaped.

    Filters: `breakable`, a name that may be broken behind commas; `look`, a verdict's class in the style sheet.
    """
    found = Environment(
        loader=FileSystemLoader([*folders, FOLDER]),
        autoescape=lambda name: name is None or name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"breakable": breakable, "look": look}
    return found


def look(verdict: str) -> str:
    """A verdict's class in the style sheet.

    >>> look("cannot tell")
    'cannot'
    """
    return verdict.split(" ")[0]


def breakable(name: str) -> Markup:
    """A name of a row, which a narrow page breaks behind its commas and nowhere else.

    >>> breakable("IR(R,SmG)")
    Markup('IR(R,<wbr>SmG)')
    """
    return Markup(",<wbr>").join(name.split(","))
