"""Make `dvc plots` work without a network: a page with Vega inside it, which DVC fills from then on in place of its own.

DVC's own page loads Vega from a server. Here the scripts come from the installed package vl-convert-python. The page, and the setting that
names it (plots.html_template in .dvc/config.local), belong to this checkout and are not in Git.
"""

import os
from pathlib import Path

import click
import vl_convert
from dvc.repo import Repo

from lib.base import files
from lib.base.command import command
from lib.sharing import remote_store

PAGE = "plots/page.html"  # below .dvc, as DVC reads the setting
STYLE = """
body { font-family: system-ui, sans-serif; color: #1f2430; background: white; margin: 1.5rem; }
body > div { margin: 0 0 2.5rem; overflow-x: auto; }
img { max-width: 100%; height: auto; }
table { border-spacing: 15px; }
"""


@command(__doc__)
def main() -> None:
    with remote_store.project(Path()) as repo:
        target = Path(repo.dvc_dir) / PAGE
        write(target)
        configure(repo)
        click.echo(f"dvc plots show, diff: pages need no network now ({os.path.relpath(target)})")


def page() -> str:
    """The template. DVC puts the plots in place of {plot_divs}; without a {scripts} it puts its own scripts nowhere."""
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").replace("</script", "<\\/script")
    head = '<meta charset="utf-8"><title>Plots</title><link rel="icon" href="data:,">{refresh_tag}'
    script = f"<script>(() => {{{bundle}}})();</script>"  # a function of its own: the names in it are nobody else's
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}<style>{STYLE}</style>{script}</head>\n<body>\n{{plot_divs}}\n</body></html>\n'


def write(target: Path) -> None:
    """The template at `target`, complete or not at all."""
    files.write(target, page())


def configure(repo: Repo) -> None:
    """Name the template in the settings of this checkout."""
    with repo.config.edit("local") as settings:
        settings.setdefault("plots", {})["html_template"] = PAGE


if __name__ == "__main__":
    main()
