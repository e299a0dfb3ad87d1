"""What results/published holds: small copies of studies and of larger runs, kept in Git, which the report reads and never makes.

Each folder has about.json, params.yaml and its tables, and may have notes.md. tools/publish.py writes them.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from lib.base import h5, json_text, params
from lib.base.errors import InputError, require
from lib.statistics.trained_out import Course

STUDIES = ("audit", "beyond", "matched")
ABOUT, PARAMS, NOTES = "about.json", "params.yaml", "notes.md"
MEASURES, ACCURACIES, GRADIENTS, COURSES = "measures.csv", "accuracies.csv", "gradients.csv", "trained_out.csv"
OUTCOMES, RADII = "outcomes.h5", "radii.h5"
OUTCOMES_KIND, RADII_KIND, NOT_ASKED = "published outcomes", "published radii", 255
TEXT = ("variant", "group", "label", "base", "dataset", "row", "technique", "semantics", "attack", "norm")  # other columns are numbers


@dataclass(frozen=True)
class About:
    """Where numbers come from. `missing` says what is not there of what params.yaml asks for, `left_out` what was not copied and why.

    commit, committed, edited: the last commit that changed code or parameters, its date, and whether there were edits beside it.
    measured: the dates of the oldest and the newest file of results. environment: of the machine that published.
    """

    kind: Literal["study", "run"]
    name: str
    command: str
    dataset: str
    preset: str
    seeds: list[int]
    complete: bool
    missing: list[str]
    left_out: list[str]
    commit: str
    committed: str
    edited: bool
    measured: list[str]
    environment: dict[str, Any]


@dataclass(frozen=True)
class Published:
    """One folder: `document` is its params.yaml, `table` measures.csv of a study or accuracies.csv of a run, `gradients` a run's, if there;
    `notes` paragraphs. `images`, of a run whose single images were published, is in what share of an attack's runs each image stands,
    (lines, n) with `line` of the table as first index, NaN where it was not tried. `radii`, where published: of a row or variant in a norm
    the robust radius of every image (seeds, n), finite. `courses`, of a run, is how each network's training loss came down, if there.
    """

    about: About
    document: dict
    table: pd.DataFrame
    gradients: pd.DataFrame
    notes: tuple[str, ...]
    images: np.ndarray | None = None
    radii: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    courses: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def unfinished(self) -> list[str]:
        """Rows or variants of which some network was not trained out; none where nothing was published of their training."""
        networks, name = (self.courses, "row") if self.about.kind == "run" else (self.table, "variant")
        if not {"fell", "late"} <= set(networks.columns):
            return []
        courses = zip(networks[name], map(Course, networks["fell"], networks["late"]))
        return list(dict.fromkeys(key for key, course in courses if not course.trained_out))


def read(folder: Path | None) -> dict[str, Published]:
    """Everything in the folder by name, in the order of the names; nothing without a folder."""
    if folder is None:
        return {}
    places = [path.parent for path in sorted(folder.glob(f"*/{ABOUT}")) if not path.parent.name.startswith(".")]
    return {place.name: _read(place) for place in places}


def runs(found: dict[str, Published]) -> list[Published]:
    """All that are runs of the whole pipeline."""
    return [one for one in found.values() if one.about.kind == "run"]


def paragraphs(text: str) -> tuple[str, ...]:
    """Blocks of text between empty lines, each on one line.

    >>> paragraphs("One\\nand more.\\n\\n\\nTwo.")
    ('One and more.', 'Two.')
    """
    return tuple(" ".join(block.split()) for block in re.split(r"\n\s*\n", text) if block.strip())


def missing(published: Published) -> list[str]:
    """What is not there of what params.yaml asks for; the file of a row is called as the row, and its seed."""
    rows = {key: entry["technique"] for key, entry in published.document.get("rows", {}).items()}
    parts = [(name, *name.partition("/")[::2]) for name in published.about.missing]
    return [f"{rows[file.partition('.')[0]]} (seed {seed})" if file.partition(".")[0] in rows else name for name, seed, file in parts]


def _read(folder: Path) -> Published:
    about = _about(folder / ABOUT)
    require(about.name == folder.name, f"{folder / ABOUT} should be about {folder.name}, it says {about.name}")
    kind = "study" if about.name in STUDIES else "run"
    require(about.kind == kind, f"{folder / ABOUT} should be about a {kind}, as its name is {about.name}, it says {about.kind}")
    table = _table(folder / (MEASURES if about.kind == "study" else ACCURACIES))
    gradients, courses = (_table(folder / name) if (folder / name).is_file() else pd.DataFrame() for name in (GRADIENTS, COURSES))
    require((folder / PARAMS).is_file(), f"expected the parameters at {folder / PARAMS}, found nothing there")
    document = params.parsed((folder / PARAMS).resolve())
    notes = paragraphs((folder / NOTES).read_text(encoding="utf-8")) if (folder / NOTES).is_file() else ()
    return Published(about, document, table, gradients, notes, _images(folder / OUTCOMES), _radii(folder / RADII), courses)


def write_radii(path: Path, radii: dict[tuple[str, str], np.ndarray]) -> None:
    """Write the robust radii (seeds, n) of rows or variants, by norm, for `Published.radii`."""
    with h5.writing(path, RADII_KIND) as file:
        for (name, norm), values in sorted(radii.items()):  # the order is part of the bytes
            file.create_dataset(f"{name}/{norm}", data=values.astype(np.float32), compression="gzip")


def _radii(path: Path) -> dict[tuple[str, str], np.ndarray]:
    if not path.is_file():
        return {}
    with h5.reading(path, RADII_KIND) as file:
        places = [(name, norm) for name in file for norm in h5.group(file, name, path)]
        return {(name, norm): h5.numbers(file, f"{name}/{norm}", path, 0, np.inf).astype(float) for name, norm in places}


def _images(path: Path) -> np.ndarray | None:
    if not path.is_file():
        return None
    with h5.reading(path, OUTCOMES_KIND) as file:
        standing, runs = (h5.array(file, name, path).astype(float) for name in ("standing", "runs"))
    require(standing.ndim == 2 and runs.shape == standing.shape[:1], f"{path} should hold runs for each line of standing, got {runs.shape}")
    return np.where(standing == NOT_ASKED, np.nan, standing / runs[:, None])


def _about(path: Path) -> About:
    return params.parse(About, json_text.parsed(path.read_bytes(), str(path)), str(path))


def _table(path: Path) -> pd.DataFrame:
    require(path.is_file(), f"expected a table at {path}, found nothing there")
    try:
        frame = pd.read_csv(path, keep_default_na=False, dtype=str)
        return frame.assign(**{name: pd.to_numeric(frame[name]) for name in frame.columns if name not in TEXT})
    except ValueError as error:
        raise InputError(f"{path} is not a table of numbers: {' '.join(str(error).split())}") from error
