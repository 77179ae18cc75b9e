"""Answers to a typo: the names that would have been right. Pure."""

import difflib
from collections.abc import Sequence

SHOWN_MAX = 12
"""A list of more names than this is not read to its end."""
ALIKE_MAX = 5


def unknown(what: str, name: str, known: Sequence[str]) -> str:
    """Return a sentence that `name` is unknown, with the known names: all, or similar ones."""
    text = f"there is no {what} {name!r}"
    if not known:
        return f"{text}, nor any other"
    alike = difflib.get_close_matches(name, known, n=ALIKE_MAX, cutoff=0.5)
    if len(known) > SHOWN_MAX and alike:
        return f"{text}; did you mean {' or '.join(alike)}?"
    return f"{text}; there are {some(known)}"


def some(names: Sequence[str]) -> str:
    """List the first of `names`, and how many more there are."""
    more = len(names) - SHOWN_MAX
    return ", ".join(names[:SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")
