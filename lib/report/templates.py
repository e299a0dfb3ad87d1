"""Parts of the page from templates of their own, and pictures inside the page."""

from base64 import b64encode
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lib.report.figures import Picture
from lib.report.wording import interval, p_value, signed


def rendered(template: str, **values: object) -> Markup:
    """The `template` beside this file, filled in; everything that is not markup is escaped.

    Filters: `points`, a signed difference; `interval`, a contrast; `p_value`; `percent`, a fraction without its sign; `breakable`, a name
    that may be broken behind commas.
    """
    return Markup(environment().get_template(template).render(**values))


def environment(*folders: Path) -> Environment:
    """Where templates are found: in `folders`, and beside this file."""
    loader = FileSystemLoader([*folders, Path(__file__).parent])
    found = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    found.filters |= {"points": signed, "breakable": breakable, "look": look, "interval": interval, "p_value": p_value}
    found.filters["percent"] = lambda fraction: (
        f"{round(100 * fraction, 6):.1f}"
    )  # equal shares are printed alike, however they were summed
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


def inlined(picture: Picture, folder: Path) -> Markup:
    """The picture's file in `folder` as a data URI."""
    suffix, kind = ("svg", "svg+xml") if picture.vector else ("png", "png")
    data = b64encode((folder / f"{picture.name}.{suffix}").read_bytes()).decode("ascii")
    return Markup(f"data:image/{kind};base64,{data}")
