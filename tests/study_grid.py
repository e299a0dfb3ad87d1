"""Published studies with known answers: tables as `lib/studies/study_table.py` makes them, from formulas instead of networks."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
PUBLISHED = Path("results/published")
SEEDS = (0, 1, 2)
Formula = Callable[[str, dict, int], dict[str, float]]
ABOUT = {
    "dataset": "mnist5k",
    "preset": "strict",
    "complete": True,
    "missing": [],
    "left_out": [],
    "commit": "0123456789abcdef",
    "committed": "2024-05-06T07:08:09+00:00",
    "edited": False,
    "measured": ["2024-05-06T08:00:00+00:00", "2024-05-06T09:00:00+00:00"],
    "environment": {"python": "3.11.0", "torch": "2.13.0", "device": "cpu", "cpu": "some CPU", "cores": 2},
}


def variants(study: str) -> dict[str, dict]:
    """Section `variants` of the shipped study."""
    return document(study)["variants"]


def document(study: str) -> dict:
    """All of the shipped study's file."""
    return YAML(typ="safe").load((ROOT / f"studies/{study}/params.yaml").read_text())


def frame(study: str, formula: Formula, seeds: tuple[int, ...] = SEEDS) -> pd.DataFrame:
    """A study's table; `formula` gives numbers of a variant and seed in place of those of `ordinary`."""
    lines = []
    for name, entry in variants(study).items():
        threat = entry.get("threat") or {"norm": "linf", "epsilon": 0.2}
        described = {"variant": name, "group": entry["group"], "label": entry["label"], "base": entry.get("base") or ""}
        for seed in seeds:
            line = described | {"seed": seed, "norm": threat["norm"], "epsilon": threat["epsilon"], "n_clean": 1500, "n_attacked": 128}
            lines.append(line | ordinary(seed) | formula(name, entry, seed))
    return pd.DataFrame(lines)


def ordinary(seed: int) -> dict[str, float]:
    """What a network has of which nothing else is said."""
    shift = seed / 100
    accuracies = {"clean": 0.95 + shift, "robust": 0.40 + shift, "paper": 0.50 + shift}
    accuracies |= {"radius_l2": 1.5 + shift, "radius_linf": 0.15 + shift / 10}
    return accuracies | {"label_norm": 2.0, "cosine_reference": 0.5, "cosine_target": np.nan, "validation_loss": 0.2}


def level(name: str, entry: dict, seed: int) -> dict[str, float]:
    """Every network is like its base, but for the first letter of a seed's luck: none."""
    return {"strength": 1.0, "trials": 1, "wanted_loss": 0.2, "matched": 1.0} if entry.get("scale") else {}


def raised(variant: str, points: tuple[float, ...], column: str = "robust") -> Formula:
    """One variant is so many points above everything else, seed by seed."""

    def formula(name: str, entry: dict, seed: int) -> dict[str, float]:
        lifted = ordinary(seed)[column] + points[seed] / 100
        return level(name, entry, seed) | ({column: lifted} if name == variant else {})

    return formula


def publish(study: str, table: pd.DataFrame, notes: str = "", **about: object) -> Path:
    """Write the study where the report looks for it."""
    folder = PUBLISHED / study
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "measures.csv", index=False, lineterminator="\n", float_format="%.6g")
    (folder / "params.yaml").write_text((ROOT / f"studies/{study}/params.yaml").read_text())
    described = {"kind": "study", "name": study, "command": f"make {study}", "seeds": list(SEEDS)} | ABOUT | about
    (folder / "about.json").write_text(json.dumps(described))
    if notes:
        (folder / "notes.md").write_text(notes)
    return folder


def drawn_from(seed: int, spread: float = 1.0) -> Formula:
    """Numbers as training gives them: each variant's own norm and cosine, accuracies that follow, and another luck per network."""

    def formula(name: str, entry: dict, number: int) -> dict[str, float]:
        own = np.random.default_rng([seed, *name.encode()])
        noise = np.random.default_rng([seed, number, *name.encode()])
        norm = float(np.exp(own.normal(0.3, 0.5 * spread) + noise.normal(0, 0.08)))
        cosine = float(np.clip(own.normal(0.35, 0.2 * spread) + noise.normal(0, 0.02), -1, 1))
        robust = float(np.clip(0.25 + 0.5 * cosine - 0.12 * np.log(norm) + noise.normal(0, 0.03), 0, 0.95))
        found = {"label_norm": norm, "cosine_reference": cosine, "robust": robust, "paper": min(1.0, robust + 0.1)}
        matching = {"strength": 1.3, "trials": 4.0, "wanted_loss": 0.2, "matched": 1.0} if entry.get("scale") else {}
        return found | {"clean": 0.95 + noise.normal(0, 0.006)} | matching

    return formula
