"""The report as one self-contained HTML page: it loads nothing, so that it can be mailed or opened years later.

Its sentences stand in templates/page.html.j2 and what this includes; here are the numbers, names and tables that are filled in.
"""

from collections.abc import Mapping, Sequence

import pandas as pd
from markupsafe import Markup

from lib.base import params
from lib.base.image_file import Split
from lib.report import black_box, claims, larger_runs, provenance, published_folder, series, studies, table, training
from lib.report.comparisons import AHEAD, CONTROLS, Comparison
from lib.report.families import families, is_robust, permuted_targets, teacher_targets
from lib.report.gate import Gate
from lib.report.provenance import Origin
from lib.report.published_folder import Published
from lib.report.results import Evidence, labels
from lib.report.rows import epochs
from lib.report.templates import rendered
from lib.report.wording import between, p_value, signed
from lib.statistics import trained_out
from lib.statistics.columns import NORMS

# Train images, width and epochs of the paper (Sec. 4.2 and 4.3).
PAPER = {"mnist5k": (60_000, 1, 100), "mnist": (60_000, 1, 100), "cifar10": (50_000, 10, 200)}
AUTOATTACK = {"iterations": 100, "targets": 9, "queries": 5000}  # the standard version's


def render(
    frames: Mapping[str, pd.DataFrame],
    figures: Mapping[str, Markup],
    tables: Mapping[str, Markup],
    facts: Mapping[str, object],
    head: Markup,
) -> str:
    """The page as text.

    Args:
        figures, tables: by name, those that the rows at hand allow.
        head: what the figures need in the page's head.
    """
    return rendered("page.html.j2", frames=frames, figures=figures, tables=tables, facts=facts, head=head)


def caption(evidence: Evidence, origin: Origin) -> str:
    """Of Table 1, for its files."""
    return " ".join(rendered("caption.txt.j2", origin=origin, **table.caption(evidence)).split())


def tables(
    evidence: Evidence, frames: Mapping[str, pd.DataFrame], compared: Sequence[Comparison], published: Mapping[str, Published]
) -> dict[str, Markup]:
    """Every table of the page by its name; of a study and of a larger run by its own."""
    attacks = {name: column.called for name, column in series.headline_columns(evidence).items()}
    taken, number = table.taken(frames["table1"]), table.number_of(frames["table1"])
    made = {
        "table1": table.html(frames["table1"], f"Table {number}"),
        "asked": table.frame_html(_asked(frames["comparisons"]), "The comparisons of the first picture"),
        "black_box": table.frame_html(black_box.wide(frames["black_box"]), "Black-box attacks"),
        "claims": table.frame_html(claims.shown(frames["claims"], attacks), "Claims of the paper"),
    }
    made |= {"taken": table.frame_html(taken, "What the strict attack takes away")} if len(taken) else {}
    for name, study in studies.of_studies(published).items():
        shown = studies.table(study, compared, studies.in_html)
        made[name] = table.frame_html(shown, f"Study {name}", [group for group, *_ in shown.index])
    if len(frames["regression"]):
        made["regression"] = table.frame_html(frames["regression"].round(3).set_index("fitted_to"), "The regression")
    for run in published_folder.runs(dict(published)):
        made[run.about.name] = table.html(larger_runs.frame(run), f"Run {run.about.name}")
        if len(gradients := larger_runs.gradients(run)):
            made[f"{run.about.name}_gradients"] = table.frame_html(gradients.round(2), f"Gradients of run {run.about.name}")
    return made


def facts(
    evidence: Evidence,
    train: Split,
    gate: Gate,
    records: pd.DataFrame,
    origin: Origin,
    courses: pd.DataFrame,
    published: Mapping[str, Published],
) -> dict[str, object]:
    """Everything that the page says beside its tables and figures; `courses` are those of lib/report/training.py."""
    return {
        **_scale(evidence, len(train)),
        **_names(evidence),
        **_attacks(evidence),
        "caption": table.caption(evidence),
        "missed": training.missed(courses),
        "limits": {"fell": trained_out.FELL, "late": trained_out.LATE},
        "controls": CONTROLS,
        "ahead": AHEAD,
        "norms": NORMS,
        "gate": gate,
        "origin": origin,
        "said": provenance.said(origin),
        "environments": provenance.environments(records),
        "lost": list(records["path"][records["environment"] == ""]),
        "records": len(records),
        "late": provenance.late(records),
        "studies": {name: studies.facts(study) for name, study in studies.of_studies(published).items()},
        "runs": {run.about.name: larger_runs.facts(run) for run in published_folder.runs(dict(published))},
    }


def _asked(comparisons: pd.DataFrame) -> pd.DataFrame:
    """What the question is about, of every experiment, as words."""
    lines = comparisons.query("asked and measure == 'radius'").to_dict("records")
    shown = [
        {
            "experiment": line["experiment"],
            "norm": NORMS[line["norm"]],
            "percent": f"{signed(line['estimate'])} {between(line['low'], line['high'])}",
            "p (Holm)": p_value(line["p_adjusted"]),
            "seeds": line["seeds"],
            "images": line["images"],
        }
        for line in lines
    ]
    return pd.DataFrame(shown, pd.Index([f"{line['first']} over {line['second']}" for line in lines], name="mean robust radius"))


def _scale(evidence: Evidence, train_images: int) -> dict[str, object]:
    """What was run, and in what it is smaller than the paper's experiment."""
    trained, width = epochs().values(), params.value("model", "width")
    ours = {"images": train_images, "width": width, "epochs": min(trained)}
    paper = dict(zip(ours, PAPER.get(evidence.dataset, ())))
    return {
        "dataset": evidence.dataset,
        "train_images": train_images,
        "images": evidence.images,
        "seeds": evidence.seeds,
        "architecture": params.value("model", "architecture"),
        "width": width,
        "epochs": sorted({min(trained), max(trained)}),
        "networks": len(evidence.rows) * len(evidence.seeds),
        "paper": paper,
        "smaller": [name for name, value in paper.items() if ours[name] < value],
    }


def _names(evidence: Evidence) -> dict[str, object]:
    """What the names of the rows are made of: only what the rows at hand use."""
    kinds, names = families(), labels(evidence.rows)
    reference = params.value("gradients", "reference")
    return {
        "kinds": {kinds[row] for row in evidence.rows},
        "teachers": {
            teacher: {"robust": is_robust(teacher), "row": names.get(teacher)} for teacher in params.value("saliency", "teachers")
        },
        "methods": sorted({method for row, (_, method) in teacher_targets().items() if row in evidence.rows}),
        "shares": [share for row, share in permuted_targets().items() if 0 < share < 1 and row in evidence.rows],
        "reference": teacher_targets().get(reference, (reference, "")),
    }


def _attacks(evidence: Evidence) -> dict[str, object]:
    """The threat model of the answer, the attacks that were run, and every setting of them."""
    referee = params.value("attacks", "referee")
    return {
        "threat": series.headline_column(evidence).threat,
        "semantics": list(series.headline_columns(evidence)),
        "referee": referee,
        "shortened": referee is not None and any(referee[name] != value for name, value in AUTOATTACK.items()),
        "settings": params.value("attacks") | params.value("own_attacks") | {"transfer": params.value("transfer")},
        "chosen_on_test": params.value("training", "selection") == "leaking_test",
    }
