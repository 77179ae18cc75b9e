"""How ids look, and what to say to a typo: the names that would have been right. Pure."""

import difflib
import re
from collections.abc import Sequence

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
"""Every id that somebody outside chose. As in proto/souk/v1."""
ID_FORM = "1 to 64 letters, digits and . _ : -, opening with a letter or digit"

SHOWN_MAX = 12
"""More names than this are not read."""
ALIKE_MAX = 5


def unknown(what: str, name: str, known: Sequence[str]) -> str:
    """Say that there is no `what` called `name`, and which there are: all, or those alike."""
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
