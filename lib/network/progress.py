"""How long something takes: a bar with rate and time left on a terminal, one plain line every few seconds elsewhere."""

import sys
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

from tqdm import tqdm

from lib.network import processes

Item = TypeVar("Item")
SECONDS_BETWEEN_LINES = 10.0


class _Lines(tqdm):
    """tqdm that ends each report with a newline, for logs and pipes."""

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        print(msg or str(self), file=sys.stderr, flush=True)


def progress(
    items: Iterable[Item],
    description: str,
    total: int | None = None,
    unit: str = "it",
    done: int = 0,
    note: Callable[[], str] | None = None,
) -> Generator[Item, None, None]:
    """Yield `items` while reporting on standard error; the interface is the same on a terminal and in a log.

    `done` of `total` came before these items. `note` is asked before each item for what stands behind the figures. Of several processes
    the first reports. Who may leave before the last item closes it, or its last report comes whenever it is thrown away.
    """
    if not processes.is_first():
        yield from items
        return
    if sys.stderr.isatty():
        bar = tqdm(items, description, total, unit=unit, initial=done, dynamic_ncols=True)
    else:
        lines = {"ncols": 0, "mininterval": SECONDS_BETWEEN_LINES, "miniters": 1}
        bar = _Lines(items, description, total, unit=unit, initial=done, **lines)
    for item in bar:
        if note is not None:
            bar.set_postfix_str(note(), refresh=False)
        yield item
