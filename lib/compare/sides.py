"""Verdicts side by side: which are not the same in all revisions, and how many can be compared at all."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Said = TypeVar("Said")


@dataclass(frozen=True)
class Sides(Generic[Key, Said]):
    """`differing`: by key, what each revision says (None: nothing), where they do not agree. `shared`: how many keys at least two of
    the revisions have; `partial`: how many keys some of those that have the file have, and others of them not.
    """

    differing: dict[Key, list[Said | None]]
    shared: int
    partial: int


def sides(found: Sequence[Mapping[Key, Said]], verdict: Callable[[Said], object]) -> Sides[Key, Said]:
    """What each revision found by key, put side by side; one that found nothing at all has no such file, and is not asked.

    >>> sides([{"a": 1, "b": 2, "c": 4}, {"a": 1, "b": 3}, {}], verdict=abs)
    Sides(differing={'b': [2, 3, None]}, shared=2, partial=1)
    """
    keys, asked = dict.fromkeys(key for one in found for key in one), [one for one in found if one]
    counts = {key: sum(key in one for one in asked) for key in keys}
    beside = {key: [one.get(key) for one in found] for key in keys}
    differing = {key: said for key, said in beside.items() if len({verdict(one) for one in said if one is not None}) > 1}
    return Sides(differing, sum(count > 1 for count in counts.values()), sum(count < len(asked) for count in counts.values()))
