"""Write a column of presets.yaml into params.yaml: `paper` as the authors' code ran, `strict` as the text and good practice ask.

Values are changed in place, comments stay. --check changes nothing: it prints the keys that depart from the preset which params.yaml
names (or from NAME), and exits with 1 if there are any.
"""

import io
from pathlib import Path

import click
from ruamel.yaml import YAML, CommentedMap

from lib.base import files, params
from lib.base.command import command
from lib.base.errors import InputError, require
from lib.studies import presets

PARAMS = Path("params.yaml")


@command(__doc__)
@click.argument("name", required=False)
@click.option("--check", is_flag=True, help="Only say what departs from the preset.")
def main(name: str | None, check: bool) -> None:
    text = params.text(PARAMS)
    document = params.loaded(text, PARAMS)
    require(isinstance(document, dict), f"{PARAMS} must be a section with keys, got {document!r}")
    if check:
        return _check(document, name)
    require(name is not None, f"name a preset, {' or '.join(presets.NAMES)}, or ask for --check")
    assert name is not None
    changed = rendered(text, name)
    files.write(PARAMS.resolve(), changed)
    lines = changes(text, changed)
    click.echo("\n".join(lines) if lines else f"params.yaml already follows the preset {name}")


def rendered(text: str, name: str) -> str:
    """The text of a params.yaml with the preset `name` applied and everything else, comments too, as it was."""
    yaml = _yaml()
    document = presets.applied(yaml.load(text), name)
    for key, value in _leaves(document):
        if isinstance(value, dict) and not isinstance(value, CommentedMap):
            _set(document, key, _flow(value))
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def changes(before: str, after: str) -> list[str]:
    """One line per key whose value differs: the key, old value, new value, in columns."""
    old, new = (dict(_leaves(YAML(typ="safe").load(text))) for text in (before, after))
    rows = [(".".join(key), _shown(old, key), _shown(new, key)) for key in {**old, **new} if old.get(key, ...) != new.get(key, ...)]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    return [f"{key:{widths[0]}}  {was:{widths[1]}}  ->  {now}" for key, was, now in rows]


def _check(document: dict, name: str | None) -> None:
    found = presets.departures(document | ({} if name is None else {"preset": name}))
    for departure in found:
        click.echo(departure)
    if found:
        raise InputError(f"params.yaml departs from the preset {name or document['preset']} in {len(found)} of its keys")
    click.echo(f"params.yaml follows the preset {name or document['preset']}")


def _yaml() -> YAML:
    """Round trip that keeps the layout of our parameter files."""
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null"))
    return yaml


def _leaves(node: dict, place: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], object]]:
    """Keys with what they hold, down to the sections in braces and lists, which are taken as a whole."""
    found: list[tuple[tuple[str, ...], object]] = []
    for key, value in node.items():
        whole = not isinstance(value, dict) or key == "exceptions"
        found += [((*place, key), value)] if whole else _leaves(value, (*place, key))
    return found


def _shown(leaves: dict, key: tuple[str, ...]) -> str:
    return presets.written(leaves[key]) if key in leaves else "(none)"


def _set(document: dict, key: tuple[str, ...], value: object) -> None:
    for name in key[:-1]:
        document = document[name]
    document[key[-1]] = value


def _flow(value: dict) -> CommentedMap:
    """A section that is written in braces on one line."""
    section = CommentedMap(value)
    section.fa.set_flow_style()
    return section


if __name__ == "__main__":
    main()
