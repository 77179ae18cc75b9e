"""The rule for text that callers write: names, notes, SKUs. Pure.

Every script is kept as it was written, with the blanks, joiners and marks that it needs: U+3000,
U+00A0, emoji. Only two kinds of characters are refused: those that control a device, and those that
override the direction of everything after them, so that a person reads another text than the one
that is stored. The .proto files state the same rule for the API; a test compares both.
"""

import functools
import re

SKU_CHARS_MAX = 64
SKU_FORM = (
    f"1 to {SKU_CHARS_MAX} characters, no control characters or line breaks,"
    " and no blank at either end"
)
SKUS_REMEMBERED_MAX = 10_000

_OVERRIDES = "\u202d\u202e"
_SEPARATORS = "\u2028\u2029"
"""Unicode's own line breaks."""
_NOT_IN_NOTES = re.compile(rf"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{_OVERRIDES}]")
_NOT_IN_LINES = re.compile(rf"[\x00-\x1f\x7f-\x9f{_SEPARATORS}{_OVERRIDES}]")


def fault_of_line(text: str) -> str:
    """Return the reason why `text` is refused where one line is expected; empty for a good one."""
    return _fault_of(_NOT_IN_LINES, text)


def fault_of_note(text: str) -> str:
    """Return the reason why `text` is refused where lines and tabs are allowed; empty if it is not.

    Line breaks are those of all systems: LF, CR LF, CR.
    """
    return _fault_of(_NOT_IN_NOTES, text)


def is_sku(text: str) -> bool:
    """Tell whether `text` is a SKU as products and orders have them. SKUs compare byte by byte."""
    return 1 <= len(text) <= SKU_CHARS_MAX and _is_clean(text)


@functools.lru_cache(maxsize=SKUS_REMEMBERED_MAX)
def _is_clean(text: str) -> bool:
    is_padded = text[0].isspace() or text[-1].isspace()
    return not is_padded and _NOT_IN_LINES.search(text) is None


def _fault_of(refused: re.Pattern[str], text: str) -> str:
    found = refused.search(text)
    if found is None:
        return ""
    char, place = found[0], found.start() + 1
    if char in _OVERRIDES:
        what = "overrides the direction of the text"
    elif char in _SEPARATORS or char in "\n\r":
        what = "is a line break"
    else:
        what = "is a control character"
    return f"U+{ord(char):04X} at character {place} {what}"
