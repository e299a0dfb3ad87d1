"""Images and maps beside each other: targets (Figure 1), permuted targets (Figure 2), gradients (Figure 8), and all of one class."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd

from lib.base import params
from lib.base.errors import require
from lib.base.image_file import Split
from lib.report.charts import pixels
from lib.report.charts.render import Figure
from lib.report.families import families, is_robust, permuted_targets, teacher_targets
from lib.report.results import Evidence, labels
from lib.targets import target_file, transforms

SHORT = {"simple": "simp", "smoothgrad": "SmG"}
MOST = 10  # classes; each has about thirty pictures
TILE, GAP, WORDS = 92, 8, 52  # pixels of a picture in a chart, between two, and of the words below it
IMAGE, RAW, TARGET, PERMUTED, GRADIENT = "image", "maps", "target", "permuted", "gradient"
FIGURES = {
    "fig1_targets": (TARGET, "target interpretations"),
    "fig2_permuted": (PERMUTED, "targets after permuting a share of the pixels"),
    "fig8_gradients": (GRADIENT, "gradients of the label’s logit of the trained networks, first seed"),
}


def tiles(evidence: Evidence, train: Split, targets: Path, maps: Path | None = None) -> pd.DataFrame:
    """One line per picture of one train image of each class: its `kind`, `line` and `heading` in a chart, `url`, and what is said of it.

    Args:
        targets: folder of the first seed's target files.
        maps: folder of the first seed's maps before the threshold; None: they are left out.
    """
    count = min((len(kept) for kept in evidence.examples.values()), default=0)
    known = evidence.example_rows[:count]
    rows = chosen(train, known)
    kept = [int(np.flatnonzero(known == row)[0]) if row in known else -1 for row in rows]
    lines = []
    for row in rows:
        label = int(train.labels[row])
        about = {"row": int(row), "label": label}
        lines.append(about | _image(train.images[row], f"train image {row}, class {label}"))
    for kind, line, heading, values, own in _maps(evidence, train, rows, kept, targets, maps):
        for row, value, target in zip(rows, values, own if own is not None else [None] * len(rows)):
            if value is not None:
                lines.append({"row": int(row), "label": int(train.labels[row]), "line": line} | _map(kind, heading, value, target))
    return pd.DataFrame(lines).sort_values(["label"], kind="stable", ignore_index=True)


def glance(evidence: Evidence, frame: pd.DataFrame) -> list[dict[str, str]]:
    """Of `tiles` one digit, the target of the permuted sets' source, and gradients of three students (`kind`, `heading`, `url`, `said`):
    with small gradients only, with permuted targets, and with the target itself; nothing where no gradients were kept.
    """
    kinds, names, source = families(), labels(evidence.rows), next(iter(permuted_targets()))
    rows = [*(next((row for row in names if kinds[row] == kind), "") for kind in ("jacobian", "permuted")), source]
    if not len(evidence.example_rows) or source not in names:
        return []
    mine = frame[frame["row"] == evidence.example_rows[0]].drop_duplicates(["kind", "heading"]).set_index(["kind", "heading"], drop=False)
    places = [(IMAGE, "image"), (PERMUTED, "0%"), *((GRADIENT, names[row]) for row in rows if row in names)]
    return [mine.loc[place].to_dict() for place in places if place in mine.index]


def figures(frame: pd.DataFrame, shown: Sequence[str], count: int) -> dict[str, Figure]:
    """Figures 1, 2 and 8 of `count` images, and the gallery; shown: names of the rows whose gradients are in Figure 8."""
    require(type(count) is int and count > 0, f"report.gallery must be a positive integer, got {count!r}")
    found = {}
    for name, (kind, words) in FIGURES.items():
        mine = frame[(frame["kind"] == kind) & ((frame["kind"] != GRADIENT) | frame["heading"].isin(shown))]
        rows = sorted(set(mine["row"]))[:count]
        headings = list(dict.fromkeys(mine["heading"]))
        if len(headings) < (2 if kind == PERMUTED else 1):
            continue
        pictures = pd.concat([frame[frame["kind"] == IMAGE], mine])
        pictures = pictures[pictures["row"].isin(rows)].assign(heading=lambda lines: lines["heading"].str.replace("(", "|(", n=1))
        chart = grid(pictures, [heading.replace("(", "|(", 1) for heading in ["image", *headings]], rows)
        found[name] = Figure(name, chart, f"Grid of {len(rows)} images with their {words}: {'; '.join(headings)}.")
    if (frame["kind"] != IMAGE).any():
        found["gallery"] = _gallery(frame)
    return found


def grid(frame: pd.DataFrame, headings: Sequence[str], rows: Sequence[int]) -> alt.LayerChart | alt.FacetChart:
    """Pictures with a column per heading and a line per row, above the colours of a map; `|` breaks a heading."""
    axis = alt.Axis(orient="top", labelExpr="split(datum.label, '|')", labelAngle=0, ticks=False, domain=False, labelLimit=0)
    axis.labelPadding = 17 if any("|" in heading for heading in headings) else 4
    x = alt.X("heading:N", title=None, sort=list(headings), axis=axis, scale=_gaps(GAP))
    y = alt.Y("row:N", sort=list(rows), axis=None, scale=_gaps(GAP))
    tips = [alt.Tooltip("said:N", title="picture")]
    pictures = alt.Chart(frame).mark_image(smooth=False).encode(x, y, url="url:N", description="said:N", tooltip=tips)
    return _with_scale(pictures).properties(width=alt.Step(TILE + GAP), height=alt.Step(TILE + GAP))


def chosen(train: Split, kept: np.ndarray) -> np.ndarray:
    """The rows, ascending, of one train image of each of the first `MOST` classes: among those `kept` if there is one, else the first."""
    rows = []
    for label in np.unique(train.labels)[:MOST]:
        among = [row for row in kept if train.labels[row] == label]
        rows.append(int(among[0]) if among else int(np.flatnonzero(train.labels == label)[0]))
    return np.sort(rows)


def cosine(first: np.ndarray, second: np.ndarray) -> float | None:
    """The cosine of two maps of the same shape; None if one of them is zero everywhere.

    >>> cosine(np.array([3.0, 4.0]), np.array([3.0, 0.0]))
    0.6
    """
    a, b = first.astype(np.float64).ravel(), second.astype(np.float64).ravel()
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norms if norms > 0 else None


def read(path: Path, train: Split, rows: np.ndarray) -> np.ndarray:
    """The maps (n, C, H, W) of these train images; raises `InputError` where the file is of other images or another set."""
    with target_file.opened(path) as (header, maps):
        target_file.fit(path, header, maps, train)
        require(header.name == path.stem, f"{path} says that it holds the maps {header.name!r}")
        return transforms.finished(header.provenance, maps[rows])


def _maps(
    evidence: Evidence, train: Split, rows: np.ndarray, kept: list[int], targets: Path, maps: Path | None
) -> Iterator[tuple[str, str, str, Sequence | np.ndarray, np.ndarray | None]]:
    """(kind, line of the gallery, heading, a map or None for each of `rows`, and the targets that gradients were trained to resemble)."""
    folders = {RAW: maps, TARGET: targets}
    for name, (teacher, method) in teacher_targets().items():
        robust = "robust" if is_robust(teacher) else "non-robust"
        for kind, folder in folders.items():
            if folder is not None and (folder / f"{name}.h5").is_file():
                heading = f"{teacher}, {SHORT.get(method, method)}{', raw' if kind == RAW else ''}"
                yield kind, f"{robust} teacher {teacher}", heading, read(folder / f"{name}.h5", train, rows), None
    for name, share in permuted_targets().items():
        if (targets / f"{name}.h5").is_file():
            yield PERMUTED, "share of pixels permuted", f"{share:.0%}", read(targets / f"{name}.h5", train, rows), None
    guided = params.value("ir")
    for row, name in sorted(labels(evidence.rows).items(), key=lambda entry: entry[0] in guided):
        gradients = [evidence.examples[row][place] if place >= 0 else None for place in kept] if len(evidence.examples) else []
        path = targets / f"{row}.h5"
        own = read(path, train, rows) if row in guided and path.is_file() else None
        yield GRADIENT, "gradients, trained on targets" if row in guided else "gradients, trained without", name, gradients, own


def _image(values: np.ndarray, words: str) -> dict[str, object]:
    return {"kind": IMAGE, "line": "image", "heading": "image", "url": pixels.of_image(values), "said": words, "words": words}


def _map(kind: str, heading: str, values: np.ndarray, target: np.ndarray | None) -> dict[str, object]:
    shown = pixels.flat(values)
    above, below, largest = float((shown > 0).mean()), float((shown < 0).mean()), float(np.abs(shown).max())
    resembles = None if target is None else cosine(values, target)
    words = f"{heading}|scale ±{largest:.2g}" + ("" if resembles is None else f"|cosine {resembles:.2f}".replace("-", "−"))
    said = f"{kind} {heading}: {above:.0%} of the pixels speak for the label, {below:.0%} against it"
    return {"kind": kind, "heading": heading, "url": pixels.of_map(shown), "said": said, "words": words}


def _gallery(frame: pd.DataFrame) -> Figure:
    """One class, which the page chooses: a line of pictures per teacher and kind of training."""
    classes, lines = sorted(set(frame["label"])), list(dict.fromkeys(frame["line"]))
    frame = frame.assign(place=frame.groupby(["label", "line"], sort=False).cumcount())
    picked = alt.param(name="picked", value=classes[0], bind=alt.binding_radio(name="Pick a class: ", options=classes))
    axis = alt.Axis(labelExpr="split(datum.label, ', ')", labelLimit=0, ticks=False, domain=False)
    x = alt.X("place:O", axis=None, scale=_gaps(2 * GAP))
    y = alt.Y("line:N", title=None, sort=lines, axis=axis, scale=_gaps(WORDS))
    tips = [alt.Tooltip("said:N", title="picture")]
    chart = alt.Chart(frame).transform_filter("datum.label === picked").encode(x, y)
    pictures = chart.mark_image(smooth=False).encode(url="url:N", description="said:N", tooltip=tips)
    words = chart.mark_text(baseline="top", dy=TILE / 2 + 4, fontSize=10, lineBreak="|", aria=False).encode(text="words:N")
    size = {"width": alt.Step(TILE + 2 * GAP), "height": alt.Step(TILE + WORDS)}
    text = f"Gallery: of one image of each of {len(classes)} classes, {'; '.join(lines)}."
    return Figure("gallery", _with_scale(pictures, words, offset=WORDS).add_params(picked).properties(**size), text)


def _gaps(pixels: int) -> alt.Scale:
    """Pictures of `TILE` pixels so far apart."""
    return alt.Scale(paddingInner=pixels / (TILE + pixels), paddingOuter=0)


def _with_scale(*layers: alt.Chart, offset: int = 14) -> alt.LayerChart | alt.FacetChart:
    """The layers, with the colours of a map below them."""
    words = "datum.value < 0 ? 'against the label' : datum.value > 0 ? 'for the label' : '0'"
    legend = alt.Legend(
        title=None,
        orient="bottom",
        values=[-1, 0, 1],
        labelExpr=words,
        gradientLength=300,
        labelFontSize=11,
        offset=offset,
        direction="horizontal",
    )
    shades = [f"#{anchor}" for anchor in pixels.ANCHORS]
    scale = alt.Scale(domain=list(np.linspace(-1, 1, len(shades))), range=shades)
    colours = alt.Chart(pd.DataFrame({"value": [0]})).mark_point(opacity=0, aria=False, tooltip=None)
    return alt.layer(*layers, colours.encode(alt.Color("value:Q", legend=legend, scale=scale)))
