"""JSON that came from a file: an object, or one sentence."""

import json
from itertools import accumulate

from lib.base.errors import InputError, require

DEEPEST = 100  # levels; nothing here nests more than ten, and Python's own limit ends in a RecursionError


def parsed(data: str | bytes, where: str) -> dict:
    """The JSON object in `data`, text or UTF-8, found at `where`; raises `InputError` for anything else.

    >>> parsed('{"steps": 40}', "settings")
    {'steps': 40}
    """
    try:
        text = data.decode() if isinstance(data, bytes) else data
        depth = max(accumulate((char in "[{") - (char in "]}") for char in text), default=0)
        require(depth <= DEEPEST, f"{where} is not valid JSON here: it is nested more than {DEEPEST} levels deep")
        found = json.loads(text)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{where} is not valid JSON: {error}") from error
    require(isinstance(found, dict), f"{where} must be a JSON object, got {text[:60]!r}")
    return found
