"""Choose a parameter set: copy scales/NAME.yaml to params.yaml.

Refuses when params.yaml holds edits of yours that no file in scales/ has; --force overwrites them.
"""

from pathlib import Path

import click

SCALES = Path("scales")
PARAMS = Path("params.yaml")


@click.command(help=__doc__)
@click.argument("name")
@click.option("--force", is_flag=True, help="Overwrite edits in params.yaml.")
def main(name: str, force: bool) -> None:
    known = {path.stem: path.read_text() for path in sorted(SCALES.glob("*.yaml"))}
    if name not in known:
        raise click.ClickException(f"scale must be one of {', '.join(known)}, got {name!r}")
    if not force and PARAMS.exists() and PARAMS.read_text() not in known.values():
        raise click.ClickException("params.yaml has edits that no file in scales/ has; save them there under a name, or use --force")
    PARAMS.write_text(known[name])
    click.echo(f"params.yaml is now scales/{name}.yaml; `dvc repro` rebuilds what differs")


if __name__ == "__main__":
    main()
