"""Publish results that the pipeline's report should show although `dvc repro` does not make them: a small copy in results/published.

NAME is audit, beyond or matched, or, after the word `run`, what a run of the whole pipeline is to be called. Publishing the same results
again writes the same bytes. See docs/how-to/publish-results.md.
"""

import json
import re
import shutil
from contextlib import chdir
from pathlib import Path

import click
import numpy as np
import pandas as pd

from lib.base import files, params
from lib.base.command import command
from lib.base.errors import require
from lib.report.published_folder import ABOUT, ACCURACIES, COURSES, GRADIENTS, MEASURES, PARAMS, RADII, STUDIES, write_radii
from lib.statistics.columns import NORMS
from lib.studies import chain, measure_file, study_table, variant
from lib.studies.variant import Study, Variant
from tools import published_facts, published_run

FOLDER = Path("results/published")
OUTCOMES = published_run.OUTCOMES
LARGEST = 2_000_000  # bytes of outcomes.h5, which Git keeps for ever
ABSOLUTE = re.compile(r"(?<![\w./:<])(?:~/|[A-Za-z]:\\|/[\w.@-]+/)[\w.@/\\-]+")


@command(__doc__)
@click.argument("what", metavar="NAME | run NAME", nargs=-1, required=True)
@click.option("--from", "origin", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Project folder of the run: a clone.")
def main(what: tuple[str, ...], origin: Path | None) -> None:
    is_run = len(what) == 2 and what[0] == "run"
    require(is_run or len(what) == 1, f"expected the name of a study, or run and a name, got {' '.join(what)}")
    require(
        is_run or what[0] in STUDIES, f"a study must be one of {', '.join(STUDIES)}, got {what[0]!r}; runs are published by `run {what[0]}`"
    )
    require(is_run or origin is None, "--from goes with run only")
    name = what[-1]
    require(bool(params.NAME.fullmatch(name)), f"names use letters, digits and underscores only, got {name!r}")
    require(not is_run or name not in STUDIES, f"a run must not be called like a study, got {name!r}")
    with files.filling_folder(FOLDER / name) as part:
        about = _run(name, origin or Path(), part.resolve()) if is_run else _study(name, part)
        (part / ABOUT).write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        require_no_paths(part)
        for before in (ABOUT, PARAMS, MEASURES, ACCURACIES, GRADIENTS, COURSES, OUTCOMES, RADII):  # notes stay
            (FOLDER / name / before).unlink(missing_ok=True)
    missing = f"; {len(about['missing'])} parts are missing, {ABOUT} names them" if about["missing"] else ""
    click.echo(
        f"{FOLDER / name}: {'complete' if about['complete'] else 'not complete'}{missing}. Add it to Git; `dvc repro report` shows it."
    )


def require_no_paths(folder: Path) -> None:
    """Raise `InputError` if a text that is to be published names a place on a machine."""
    for path in sorted(folder.iterdir()):
        text = path.read_text(encoding="utf-8") if path.suffix in (".json", ".yaml", ".csv", ".md") else ""
        found = ABSOLUTE.search(text)
        require(
            found is None, f"what is published must not name a place on this machine, but {path.name} holds {found and found.group()!r}"
        )


def _study(name: str, part: Path) -> dict:
    """Copy a study's table, or as much as is there of one that has not finished; returns about.json."""
    source, results = Path(f"studies/{name}/params.yaml"), Path("results/studies") / name
    plan, variants = variant.read(source)
    table, files = _table(results, plan, variants)
    missing = [key for key in variants if key not in set(table["variant"])]
    unknown = sorted(set(table["variant"]) - set(variants))
    require(not unknown, f"{results}.csv has variants that {source} does not have: {', '.join(unknown)}; run make {name} again")
    seeds = sorted({int(seed) for seed in table["seed"]})
    require(seeds == sorted(plan.seeds), f"{results}.csv has the seeds {seeds}, {source} asks for {plan.seeds}; run make {name} again")
    table.to_csv(part / MEASURES, index=False, lineterminator="\n", float_format="%.6g")
    if radii := _radii(results, list(variants)):
        write_radii(part / RADII, radii)
    shutil.copyfile(source, part / PARAMS)
    dataset, preset = params.value("data", "dataset"), chain.PRESET
    return published_facts.about("study", name, f"make {name}", dataset, preset, plan.seeds, missing, [], files)


def _radii(results: Path, variants: list[str]) -> dict[tuple[str, str], np.ndarray]:
    """(variant, norm) -> the robust radius of every image (seeds, n), of the variants whose files lie there."""
    measured = {name: measure_file.read(results / f"{name}.h5")[1] for name in variants if (results / f"{name}.h5").is_file()}
    return {
        (name, norm): np.stack([getattr(by_seed[seed], f"radius_{norm}") for seed in sorted(by_seed)])
        for name, by_seed in measured.items()
        for norm in NORMS
    }


def _table(results: Path, plan: Study, variants: dict[str, Variant]) -> tuple[pd.DataFrame, list[Path]]:
    """The gathered table, or one of the variants that are finished, and the files that it comes from."""
    gathered = results.with_suffix(".csv")
    if gathered.is_file():
        return pd.read_csv(gathered, keep_default_na=False, dtype=str), [gathered]
    finished = {key: entry for key, entry in variants.items() if (results / f"{key}.h5").is_file()}
    require(len(finished) > 0, f"expected the table {gathered} or results of variants in {results}, found neither; run make {results.name}")
    return study_table.frame(results, plan, finished), [results / f"{key}.h5" for key in finished]


def _run(name: str, origin: Path, part: Path) -> dict:
    """Copy accuracies, gradients, outcomes and parameters of the run in the folder `origin`; returns about.json."""
    with chdir(origin):
        found = published_run.found()
        found.accuracies.to_csv(part / ACCURACIES, index=False, lineterminator="\n", float_format="%.6g")
        if len(found.gradients):
            found.gradients.to_csv(part / GRADIENTS, index=False, lineterminator="\n", float_format="%.6g")
        if len(found.courses):
            found.courses.to_csv(part / COURSES, index=False, lineterminator="\n", float_format="%.6g")
        left_out = []
        published_run.write_outcomes(part / OUTCOMES, found)
        write_radii(part / RADII, found.radii)
        if (part / OUTCOMES).stat().st_size > LARGEST:
            (part / OUTCOMES).unlink()
            left_out.append(f"single images ({OUTCOMES} would be larger than {LARGEST // 1_000_000} MB)")
        text, root = published_run.without_root(params.PATH.read_text(encoding="utf-8"))
        left_out += ["data.root, the place of the raw data"] * root
        (part / PARAMS).write_text(text, encoding="utf-8")
        document = params.document()
        described = document["data"]["dataset"], document.get("preset", "none"), document["seeds"]
        return published_facts.about("run", name, "dvc repro", *described, found.missing, left_out, found.files)


if __name__ == "__main__":
    main()
