"""The provenance of a target set in words, and field by field."""

from collections.abc import Callable
from typing import Any

NORMS = {"l2": "L2", "linf": "L∞"}
SYMBOLS = {"samples": "N"}


def in_words(provenance: dict[str, Any]) -> list[tuple[str, str]]:
    """Heading and text of every step, in the order in which they are taken.

    What does not look as our stages write it is shown as it is: whoever made the file may have written anything.
    """
    order = [*(name for name in WORDS if name in provenance), *sorted(name for name in provenance if name not in WORDS)]
    return [line for name in order for line in _step(name, provenance[name])]


def fields(node: Any, place: str = "") -> dict[str, Any]:
    """Every value by its dotted key.

    >>> fields({"teacher": {"name": "R", "seed": 0}, "preset": "strict"})
    {'teacher.name': 'R', 'teacher.seed': 0, 'preset': 'strict'}
    """
    if not isinstance(node, dict) or not node:
        return {place: node}
    return {key: value for name, child in node.items() for key, value in fields(child, f"{place}.{name}" if place else name).items()}


def printable(text: str) -> str:
    """`text` without line breaks and control characters, which could rewrite what a terminal shows.

    >>> printable("R\\x1b[2J")
    'R?[2J'
    """
    return "".join(one if one.isprintable() else "?" for one in text)


def _step(name: str, told: Any) -> list[tuple[str, str]]:
    try:
        lines = WORDS[name](told)
    except (KeyError, TypeError, ValueError, AttributeError):
        lines = [(name, _settings(fields(told)))]
    return [(printable(heading), printable(text)) for heading, text in lines]


def _teacher(told: dict) -> list[tuple[str, str]]:
    lines = [("teacher", f"{told['name']}, seed {told['seed']}"), ("weights", told["weights_sha256"])]
    return lines + ([("accuracy", _accuracy(told["accuracy"]))] if "accuracy" in told else [])


def _accuracy(told: dict) -> str:
    attack = f"PGD ({NORMS[told['norm']]} {told['epsilon']:g}, {told['steps']} steps of {told['step_size']:g})"
    return f"{told['clean']:.1%} of {told['images']} {told['split']} images, {told['robust']:.1%} under {attack}".replace("%", " %")


def _saliency(told: dict) -> list[tuple[str, str]]:
    others = {key: value for key, value in told.items() if key not in ("method", "seed", "batch_size")}
    drawn = f"noise of seed {told['seed']}, {told['batch_size']} images in a pass"
    return [("method", "; ".join(part for part in (told["method"], _settings(others), drawn) if part))]


def _source(told: dict) -> list[tuple[str, str]]:
    others = {key: value for key, value in told.items() if key != "name"}
    return [("source", f"{told['name']}, without a teacher; {_settings(others)}")]


def _threshold(told: dict) -> list[tuple[str, str]]:
    if told["phi"] is None:
        return [("threshold", "none")]
    when = {"before": "before crop and flip", "after": "left to training, after crop and flip"}[told["when"]]
    return [("threshold", f"phi = {told['phi']:g}, deviations divided by D - {told['ddof']}; {when}")]


def _permute(told: dict) -> list[tuple[str, str]]:
    share = f"{told['fraction']:.3%}".rstrip("%").rstrip("0").rstrip(".")
    return [("permuted", f"{share} % of the pixels (rule {told['rule']}), seed {told['seed']}, replication {told['replication']}")]


def _null(told: dict) -> list[tuple[str, str]]:
    return [("disturbed", f"{told['name']}; {_settings({key: value for key, value in told.items() if key != 'name'})}")]


def _import(told: dict) -> list[tuple[str, str]]:
    note = f"; {told['note']}" if told.get("note") else ""
    return [("imported", f"from {told['file']}, aligned by {told['order']}{note}"), ("SHA-256", told["sha256"])]


def _preset(told: str) -> list[tuple[str, str]]:
    return [("preset", told + "")]


def _settings(told: dict[str, Any]) -> str:
    parts = [f"{SYMBOLS.get(key, key)} = {_plain(value)}" if key else _plain(value) for key, value in told.items()]
    return ", ".join(parts)


def _plain(value: Any) -> str:
    return {True: "yes", False: "no", None: "none"}[value] if value is None or isinstance(value, bool) else str(value)


WORDS: dict[str, Callable[[Any], list[tuple[str, str]]]] = {
    "preset": _preset,
    "teacher": _teacher,
    "saliency": _saliency,
    "source": _source,
    "import": _import,
    "threshold": _threshold,
    "permute": _permute,
    "null": _null,
}
