"""What two revisions were made with: where their parameters, small results and environments differ."""

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


def measures(revisions: list[Revision], rows: list[str]) -> Differing:
    """The figures of report/summary.json in which the revisions differ, of `rows` alone."""
    return _differing(
        [{key: text for row in rows for key, text in _leaves({row: revision.summary.get(row, {})})} for revision in revisions]
    )


def environments(revisions: list[Revision]) -> Differing:
    """What differs between the environments that the results were made in; a revision may have several of each."""
    frames = [revision.environments for revision in revisions]
    fields = [name for name in frames[0].columns if name not in ("path", "kind", "stage", "environment")]
    return _differing([{field: _values(frame, field) for field in fields} for frame in frames])


def _values(frame: pd.DataFrame, field: str) -> str:
    found = sorted(set(frame[field]) - {""}) if field in frame else []
    return ", ".join(found) or ABSENT


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, "null" if node is None else str(node).lower() if isinstance(node, bool) else str(node)


def _differing(found: list[dict[str, str]]) -> Differing:
    keys = dict.fromkeys(key for one in found for key in one)
    lines = {key: [one.get(key, ABSENT) for one in found] for key in keys}
    return {key: values for key, values in lines.items() if len(set(values)) > 1}
