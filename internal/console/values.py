"""The forms of option values, each with its message: ids, whole numbers, others above zero. Pure.

`parser=` of an option takes them.
"""

import math
import re
from collections.abc import Callable

import typer

from internal.kernel import ids

NUMBER_MAX = 100_000_000
ID = ids.ID
ID_FORM = "1 to 64 letters, digits and . _ : -, opening with a letter or digit"


def whole_number(least: int, most: int = NUMBER_MAX) -> Callable[[str], int]:
    """Return a check for whole numbers from `least` to `most`."""

    def check(text: str | int) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", str(text)) or not least <= int(text) <= most:
            raise typer.BadParameter(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return check


def positive(text: str | float) -> float:
    """Check a number above zero.

    Raises:
        typer.BadParameter: it is not one.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < math.inf:
        raise typer.BadParameter(f"{text!r} is not a number above zero")
    return value
