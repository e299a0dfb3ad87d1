"""Choose a parameter set: copy scales/NAME.yaml to params.yaml, with the switches of a preset.

Refuses when params.yaml holds edits of yours that no file in scales/ has under any preset; --force overwrites them.
"""

from pathlib import Path

import click

from lib import presets
from lib.base import files
from lib.base.command import command
from lib.base.errors import require
from tools.preset import rendered

SCALES = Path("scales")
PARAMS = Path("params.yaml")


@command(__doc__)
@click.argument("name")
@click.option("--preset", "preset_name", default="strict", help="Column of presets.yaml: strict or paper.")
@click.option("--force", is_flag=True, help="Overwrite edits in params.yaml.")
def main(name: str, preset_name: str, force: bool) -> None:
    known = {path.stem: path.read_text(encoding="utf-8") for path in sorted(SCALES.glob("*.yaml"))}
    require(name in known, f"scale must be one of {', '.join(known)}, got {name!r}")
    shipped = force or not PARAMS.exists() or _is_shipped(PARAMS.read_text(encoding="utf-8"), list(known.values()))
    require(shipped, "params.yaml has edits that no file in scales/ has; save them there under a name, or use --force")
    text = rendered(known[name], preset_name)
    files.write(PARAMS.resolve(), text)
    click.echo(f"params.yaml is now scales/{name}.yaml with the preset {preset_name}; `dvc repro` rebuilds what differs")


def _is_shipped(text: str, scales: list[str]) -> bool:
    """Whether `text` is a scale as it stands or with a preset applied."""
    return text in scales or any(text == rendered(scale, preset) for scale in scales for preset in presets.NAMES)


if __name__ == "__main__":
    main()
