"""All measures of a study as one data frame, a line per variant and seed: what is published and what the report reads."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from lib.base.errors import require
from lib.studies import measure_file
from lib.studies.measure_file import Measures
from lib.studies.variant import Study, Variant


def frame(folder: Path, study: Study, variants: dict[str, Variant]) -> pd.DataFrame:
    """The measures of every variant in `folder`; raises `InputError` unless each is there with exactly the study's seeds.

    Columns: variant, group, label, base, seed, n_clean, n_attacked, norm, epsilon, `clean`, `robust` and `paper` (fractions of
    images), `radius_l2`, `radius_linf` and `label_norm` (means), `cosine_reference` and `cosine_target` (means; empty without targets),
    `validation_loss`, and one column per note.
    """
    return pd.DataFrame(list(_lines(folder, study, variants)))


def _lines(folder: Path, study: Study, variants: dict[str, Variant]) -> Iterator[dict]:
    for name, variant in variants.items():
        says, found = measure_file.read(folder / f"{name}.h5")
        require(says == name, f"{folder / name}.h5 should hold variant {name}, it says {says}")
        require(list(found) == sorted(study.seeds), f"{folder / name}.h5 should hold the seeds {study.seeds}, it holds {list(found)}")
        threat = variant.threat or study.threat
        for seed, measures in found.items():
            described = {"variant": name, "group": variant.group, "label": variant.label, "base": variant.base or "", "seed": seed}
            yield described | {"norm": threat.norm, "epsilon": threat.epsilon} | _numbers(measures)


def _numbers(measures: Measures) -> dict[str, float]:
    own = np.nan if measures.cosine_target is None else float(measures.cosine_target.mean())
    names = ("clean", "robust", "paper", "radius_l2", "radius_linf", "label_norm", "cosine_reference")
    means = {name: float(getattr(measures, name).mean()) for name in names}
    counts = {"n_clean": len(measures.clean), "n_attacked": len(measures.robust)}
    return counts | means | {"cosine_target": own, "validation_loss": measures.validation_loss} | measures.notes
