"""JSON objects as programs write them: one a line, spread over lines, or in an array. Pure.

Finds where each value begins and ends; must not say which values are right. After a fault it goes
on with the next line that opens an object.
"""

import bisect
import json
import re
from collections.abc import Iterator

Value = tuple[int, str, str]
"""(line from 1, the text of a value, ""), or (line, "", what is wrong)."""

FIELDS_MAX = 100
"""An object of more fields is not searched for a field that is there twice."""
_BLANKS = re.compile(r"[ \t\r\n]*")
_LINE_END = re.compile(r"\r\n|\r|\n")
_OPENS_A_LINE = re.compile(r"[\r\n][ \t]*(?=\{)")


class _Object(list[tuple[str, object]]):
    """The fields of an object, in order; JSON would keep the last of those with one name."""

    def twice(self) -> str:
        """Return a field that is there twice; empty if none is."""
        names = [name for name, _ in self]
        return next((name for name in names if names.count(name) > 1), "")


_decoder = json.JSONDecoder(parse_int=str, parse_float=str, object_pairs_hook=_Object)


def is_json(text: str) -> bool:
    """Tell whether a text can be JSON: it opens with an object or an array."""
    return text[_after_blanks(text, 0) :].startswith(("{", "["))


def read(text: str) -> Iterator[Value]:
    """Find the values of a text, each with its line, and the faults between them."""
    return _Reader(text).values()


class _Reader:
    """Reads a text from its beginning to its end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._line_starts = [match.end() for match in _LINE_END.finditer(text)]
        self._place = _after_blanks(text, 0)
        self._is_array = self._opens("[")
        self._is_resumed = False
        """Whether a fault led to this place."""
        self._piece, self._piece_start, self._piece_end = "", 0, 0
        """The text up to the next line that opens an object: the work for a fault is limited to
        it, since Python's reader counts lines from the beginning."""

    def values(self) -> Iterator[Value]:
        """Yield every value and every fault, in order."""
        if self._is_array:
            self._skip(1)
        while self._place < len(self._text) and not self._is_at_end_of_array():
            yield self._next()
            if self._is_array and self._place < len(self._text):
                yield from self._separator()
        if self._is_array:
            yield from self._end_of_array()

    def _next(self) -> Value:
        """Return the value that begins here, or its fault, and go behind it."""
        start = self._place
        line_no = self._line_of(start)
        if start >= self._piece_end:
            self._open_piece()
        try:
            value, size = _decoder.raw_decode(self._piece, start - self._piece_start)
        except json.JSONDecodeError as error:
            self._go_to_next_line()
            at = self._line_of(self._piece_start + error.pos)
            where = f" (on line {at})" if at != line_no else ""
            return line_no, "", f"it is not JSON: {error.msg}{where}"
        except RecursionError:
            self._go_to_next_line()
            return line_no, "", "it is nested too deeply"
        end = self._piece_start + size
        self._skip(end - start)
        if isinstance(value, _Object) and len(value) <= FIELDS_MAX and (name := value.twice()):
            return line_no, "", f"the field {name[:64]!r} is there twice"
        return line_no, self._text[start:end], ""

    def _open_piece(self) -> None:
        found = _OPENS_A_LINE.search(self._text, self._place)
        self._piece_start = self._place
        self._piece_end = found.end() if found else len(self._text)
        self._piece = self._text[self._piece_start : self._piece_end]

    def _separator(self) -> Iterator[Value]:
        """Go behind the comma between two values of an array; yield a fault if it is missing."""
        line_no = self._line_of(self._place)
        if self._opens(","):
            self._skip(1)
            if self._is_at_end_of_array():
                yield line_no, "", "a comma without an object after it"
        elif not self._opens("]", "{"):
            yield line_no, "", "a comma or ] is missing"
            self._go_to_next_line()
        elif self._opens("{") and not self._is_resumed:
            yield line_no, "", "a comma is missing before this object"

    def _end_of_array(self) -> Iterator[Value]:
        line_no = self._line_of(self._place)
        if not self._is_at_end_of_array():
            if not self._is_resumed:
                yield line_no, "", "the array is not closed: ] is missing"
            return
        self._skip(1)
        if self._place < len(self._text):
            yield self._line_of(self._place), "", "there is more text after the array"

    def _is_at_end_of_array(self) -> bool:
        return self._is_array and self._opens("]")

    def _opens(self, *signs: str) -> bool:
        return self._text.startswith(signs, self._place)

    def _skip(self, chars: int) -> None:
        """Go on by this many characters, and behind blanks."""
        self._place = _after_blanks(self._text, self._place + chars)
        self._is_resumed = False

    def _go_to_next_line(self) -> None:
        """Go to the next line that opens an object, or to the end."""
        found = _OPENS_A_LINE.search(self._text, self._place)
        self._place = found.end() if found else len(self._text)
        self._is_resumed = True

    def _line_of(self, place: int) -> int:
        return bisect.bisect_right(self._line_starts, place) + 1


def _after_blanks(text: str, place: int) -> int:
    match = _BLANKS.match(text, place)
    return match.end() if match else place
