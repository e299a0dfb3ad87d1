"""Choose a parameter set: copy scales/NAME.yaml to params.yaml, with the switches of a preset.

Refuses when params.yaml holds edits of yours that no file in scales/ has under any preset; --force overwrites them.
"""

from pathlib import Path

import click

from lib.base import files, params
from lib.base.command import command
from lib.base.errors import require
from lib.studies import presets
from tools.preset import rendered

SCALES = Path("scales")
PARAMS = Path("params.yaml")


@command(__doc__)
@click.argument("name")
@click.option("--preset", "preset_name", default="strict", help="Column of presets.yaml: strict or paper.")
@click.option("--force", is_flag=True, help="Overwrite edits in params.yaml.")
def main(name: str, preset_name: str, force: bool) -> None:
    known = {path.stem: params.text(path) for path in sorted(SCALES.glob("*.yaml"))}
    require(name in known, f"scale must be one of {', '.join(known)}, got {name!r}")
    shipped = force or not PARAMS.exists() or _is_shipped(params.loaded(params.text(PARAMS), PARAMS), list(known.values()))
    require(shipped, "params.yaml has edits that no file in scales/ has; save them there under a name, or use --force")
    text = rendered(known[name], preset_name)
    files.write(PARAMS.resolve(), text)
    click.echo(f"params.yaml is now scales/{name}.yaml with the preset {preset_name}; `dvc repro` rebuilds what differs")


def _is_shipped(document: dict, scales: list[str]) -> bool:
    """Whether the values are those of a scale as it stands or with a preset applied; DVC writes the same ones in other words."""
    plain = [params.loaded(scale, SCALES) for scale in scales]
    return any(document in (scale, *(presets.applied(scale, preset) for preset in presets.NAMES)) for scale in plain)


if __name__ == "__main__":
    main()
