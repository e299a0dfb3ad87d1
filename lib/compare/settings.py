"""What the revisions were made with: where their parameters and environments differ."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from lib.compare.revision import Revision

Differing = dict[str, list[str]]  # by key, what each revision has
ABSENT = "–"


def parameters(revisions: list[Revision]) -> Differing:
    """The dotted keys of params.yaml in which the revisions differ.

    Lists are values of their own, as for `dvc exp run -S`.
    """
    return _differing([dict(_leaves(revision.params)) for revision in revisions])


def environments(revisions: list[Revision]) -> Differing:
    """What differs between the environments that the results were made in; a revision may have several of each."""
    return _differing([_environments(revision.environments) for revision in revisions])


def _environments(frame: pd.DataFrame) -> dict[str, str]:
    return {field: _values(frame[field]) for field in frame.columns if field not in ("path", "kind", "stage", "environment")}


def _values(cells: pd.Series) -> str:
    return ", ".join(sorted(set(cells) - {""})) or ABSENT


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, "null" if node is None else str(node).lower() if isinstance(node, bool) else str(node)


def _differing(found: list[dict[str, str]]) -> Differing:
    """The keys whose values differ; a revision that has nothing at all is not asked."""
    keys = dict.fromkeys(key for one in found for key in one)
    lines = {key: [one.get(key, ABSENT) for one in found] for key in keys}
    return {key: values for key, values in lines.items() if len({value for value, one in zip(values, found) if one}) > 1}
