"""The one exception that a person, not a programmer, is meant to read."""


class InputError(ValueError):
    """Something given to the project is not usable; the message is one sentence: what was expected, and what came.

    Commands print it after "Error: " and exit with 1. Anything else that is raised is a defect and keeps its traceback.
    """


def require(condition: bool, sentence: str) -> None:
    """Raise `InputError(sentence)` unless `condition` holds.

    >>> require(0.15 > 0, "sigma must be positive, got 0.15")
    """
    if not condition:
        raise InputError(sentence)
