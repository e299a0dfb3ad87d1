"""Two target files side by side: bytes, what they say of themselves, and their maps, read part by part."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from lib.base import digests
from lib.sharing.inspection import comparison, facts, provenance, streams
from lib.sharing.inspection.comparison import Distances
from lib.sharing.inspection.provenance import printable
from lib.targets import target_file
from lib.targets.target_file import Header, Maps

QUANTILES = (0.01, 0.1, 0.5)
ABSENT = "(absent)"


@dataclass(frozen=True)
class Difference:
    """What two files A and B have in common and what not.

    bytes: SHA-256 of both files. told: fields that differ, by dotted key, with the values in A and in B. content: digests of the maps.
    extents: which rows each holds. maps: None unless both hold the same rows in the same shape. changed: how many of these maps are not
    bit for bit the same. moved: rows of B whose map stands elsewhere in A, with one such place, in rows of the split.
    """

    bytes: tuple[str, str]
    told: dict[str, tuple[Any, Any]]
    content: tuple[str, str]
    extents: tuple[str, str]
    maps: Distances | None
    changed: int
    moved: dict[int, int]

    def within(self, tolerance: float | None) -> bool:
        """Whether the maps are the same, or all closer than `tolerance` by their relative difference."""
        if self.content[0] == self.content[1]:
            return True
        return tolerance is not None and self.maps is not None and float(self.maps.relative.max()) <= tolerance


def difference(first: Path, second: Path) -> Difference:
    """Compare two target sets, or two shards; raises `InputError` if one of them is not as it was written."""
    with streams.opened(first) as (one, a), streams.opened(second) as (other, b):
        files = (digests.of_file(first), digests.of_file(second))
        content = tuple(target_file.content_digest(maps.shape, maps.digests) for maps in (a, b))
        extents = tuple(f"{'×'.join(map(str, maps.shape))}, {facts.extent(maps.place, maps.shape)}" for maps in (a, b))
        same = (a.place, a.shape) == (b.place, b.shape)
        changed = int((a.digests != b.digests).any(1).sum()) if same else 0
        found = _distances(a, b) if same else None
        return Difference(files, _told(one, other), (content[0], content[1]), (extents[0], extents[1]), found, changed, _moved(a, b))


def in_words(found: Difference, tolerance: float | None = None) -> str:
    """Lines for a terminal; the last says what it comes to."""
    lines = [f"bytes    {_same(*found.bytes)}"]
    lines += [f"header   {printable(f'{key}: {_plain(a)} -> {_plain(b)}')}" for key, (a, b) in found.told.items()] or ["header   the same"]
    lines.append(f"content  {_same(*found.content)}")
    if found.content[0] != found.content[1]:
        lines += _maps_in_words(found, tolerance)
    lines += _moved_in_words(found.moved)
    return "\n".join([*lines, _verdict(found, tolerance)])


def _maps_in_words(found: Difference, tolerance: float | None) -> list[str]:
    if found.maps is None:
        return [f"maps     not comparable row by row: A has {found.extents[0]}, B {found.extents[1]}"]
    maps, count = found.maps, len(found.maps.relative)
    worst = int(maps.relative.argmax())
    lines = [f"maps     {found.changed} of {count} differ; by at most {maps.largest.max():.3g} in a value"]
    lines.append(
        f"         largest relative difference of a map {maps.relative[worst]:.3g} (map {worst}), median {np.median(maps.relative):.3g}"
    )
    if tolerance is not None:
        lines.append(f"         {int((maps.relative > tolerance).sum())} of {count} differ by more than {tolerance:g}")
    return [*lines, f"cosines  {_cosines(maps.cosines)}"]


def _cosines(cosines: np.ndarray) -> str:
    known = cosines[~np.isnan(cosines)]
    left_out = f"; {len(cosines) - len(known)} maps are zero in both and left out" if len(known) < len(cosines) else ""
    if not len(known):
        return "none: all maps are zero in both"
    shares = ", ".join(f"{quantile:.0%} {np.quantile(known, quantile):.6f}".replace("%", " %") for quantile in QUANTILES)
    return f"min {known.min():.6f}, {shares}, mean {known.mean():.6f}{left_out}; a map that is zero in one file only counts as 0"


def _moved_in_words(moved: dict[int, int]) -> list[str]:
    if not moved:
        return []
    some = ", ".join(f"{row} (A: {place})" for row, place in list(moved.items())[:5])
    return [f"rows     {len(moved)} maps of B stand in other rows of A: {some}{', …' if len(moved) > 5 else ''}"]


def _verdict(found: Difference, tolerance: float | None) -> str:
    if found.content[0] == found.content[1]:
        return "The maps are the same, bit for bit."
    inside = "" if tolerance is None else f" within the tolerance {tolerance:g}"
    return f"The maps are the same{inside}." if found.within(tolerance) else f"The maps are not the same{inside}."


def _told(one: Header, other: Header) -> dict[str, tuple[Any, Any]]:
    a, b = (provenance.fields(vars(header)) for header in (one, other))
    keys = [*a, *(key for key in b if key not in a)]
    return {key: (a.get(key, ABSENT), b.get(key, ABSENT)) for key in keys if a.get(key, ABSENT) != b.get(key, ABSENT)}


def _distances(a: Maps, b: Maps) -> Distances:
    """Reads everything, so that a damaged map is noticed even where the files say that they are the same."""
    size = streams.rows_at_once(a.shape)
    bounds = [*range(0, len(a), size), len(a)]
    return comparison.joined([comparison.distances(a[start:stop], b[start:stop]) for start, stop in pairwise(bounds)])


def _moved(a: Maps, b: Maps) -> dict[int, int]:
    """Rows of B, where A has another map or none, whose map A has in another row; maps that occur twice in A may have stayed."""
    places: dict[bytes, list[int]] = {}
    for row, digest in enumerate(a.digests, a.place.first):
        places.setdefault(digest.tobytes(), []).append(row)
    found = ((row, places.get(digest.tobytes(), [row])) for row, digest in enumerate(b.digests, b.place.first))
    return {row: rows[0] for row, rows in found if row not in rows}


def _same(one: str, other: str) -> str:
    return f"the same, SHA-256 {one}" if one == other else f"differ, SHA-256 {one[:12]} -> {other[:12]}"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)
