"""What a target file is: where it came from, what it holds, and what its values are like."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lib.base import h5
from lib.sharing.inspection import provenance, streams
from lib.sharing.inspection.provenance import printable
from lib.sharing.inspection.statistics import Statistics, statistics
from lib.targets import target_file
from lib.targets.target_file import Header, Place


@dataclass(frozen=True)
class Facts:
    """`size` in bytes, `shape` (n, C, H, W); `content` and `told` are the digests of the maps and of what the file says of itself."""

    path: Path
    size: int
    header: Header
    place: Place
    shape: tuple[int, ...]
    content: str
    told: str
    values: Statistics


def read(path: Path) -> Facts:
    """Everything about a target set or a shard, read part by part; raises `InputError` for a file that is not as it was written."""
    with streams.opened(path) as (header, maps):
        found = statistics(part for _, part in streams.parts(maps))
        content = target_file.content_digest(maps.shape, maps.digests)
        place, shape = maps.place, maps.shape
    with h5.reading(path, target_file.KIND, target_file.VERSION) as file:
        told = str(h5.attribute(file, "header_digest", path))
    return Facts(path, path.stat().st_size, header, place, shape, content, told, found)


def to_json(facts: Facts) -> dict[str, Any]:
    """The same for other programs."""
    return {
        "file": str(facts.path),
        "bytes": facts.size,
        "schema_version": target_file.VERSION,
        "dataset": facts.header.dataset,
        "name": facts.header.name,
        "shape": list(facts.shape),
        "first_row": facts.place.first,
        "rows": facts.place.total,
        "whole": is_whole(facts.place, facts.shape),
        "images_digest": facts.header.images_digest,
        "digest": facts.content,
        "header_digest": facts.told,
        "provenance": facts.header.provenance,
        "statistics": asdict(facts.values),
    }


def in_words(facts: Facts) -> str:
    """The same for a person."""
    lines = [("maps", _extent(facts)), *provenance.in_words(facts.header.provenance), *_values(facts.values), *_digests(facts)]
    width = max(len(heading) for heading, _ in lines) + 2
    title = f"{facts.path}: {facts.header.name}, for the train images of {facts.header.dataset}"
    return "\n".join([printable(title), *(f"  {heading:<{width}}{text}" for heading, text in lines)])


def is_whole(place: Place, shape: tuple[int, ...]) -> bool:
    """Whether a file holds the maps of all images of the split."""
    return shape[0] == place.total


def extent(place: Place, shape: tuple[int, ...]) -> str:
    """Which rows a file holds.

    >>> extent(Place(700, 2000), (600, 1, 28, 28))
    'a shard: rows 700 to 1299 of 2000'
    """
    last = place.first + shape[0] - 1
    return f"the whole set of {place.total}" if is_whole(place, shape) else f"a shard: rows {place.first} to {last} of {place.total}"


def _extent(facts: Facts) -> str:
    size = "×".join(map(str, facts.shape[1:]))
    return f"{facts.shape[0]} of {size} float32, {extent(facts.place, facts.shape)}; {facts.size:,} bytes, schema {target_file.VERSION}"


def _values(found: Statistics) -> list[tuple[str, str]]:
    negative = "none other" if found.negative is None else f"{100 * found.negative:.1f} % of the others negative"
    zero = f"{found.zero_maps} of {found.maps} maps are all zero"
    return [
        ("values", f"{100 * found.zeros:.1f} % zero, {negative}; from {found.minimum:.4g} to {found.maximum:.4g}"),
        ("norms", f"mean L2 norm of a map {found.norm:.4g}; {zero}"),
    ]


def _digests(facts: Facts) -> list[tuple[str, str]]:
    return [("images", facts.header.images_digest), ("content", facts.content), ("header", facts.told)]
