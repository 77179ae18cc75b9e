r"""Text of callers, written so that a terminal shows it and obeys none of it.

A control character or a mark that turns the direction of reading is written as it would be in a
program: \x1b, \u202e. In one line a line break is written, too, so that a note cannot pass for a
line of the receipt that it is on. Everything else is shown as it is.
"""

import re
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment

_DIRECTIONS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""Marks, embeddings, overrides and isolates: Unicode's Bidi_Control."""
_IN_ONE_LINE = re.compile(rf"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff{_DIRECTIONS}]")
_IN_LINES = re.compile(rf"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff{_DIRECTIONS}]")
_NAMES = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_BYTE_MAX = 0xFF


def one_line(text: str) -> str:
    """Write a text of one caller in one line."""
    return _IN_ONE_LINE.sub(_escape, text)


def lines(text: str) -> str:
    """Write a message that may have several lines of ours."""
    return _IN_LINES.sub(_escape, text)


def in_json(text: str) -> str:
    """Escape the same characters within JSON, which has them in its strings only."""
    return _IN_LINES.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return _NAMES.get(match[0]) or (f"\\x{code:02x}" if code <= _BYTE_MAX else f"\\u{code:04x}")


class SafetyNet(RenderHook):
    """Escapes unsafe characters in everything that a console prints, if they are not escaped yet.

    Tables are laid out by then: text from callers is escaped before, so that columns stay aligned.
    """

    def process_renderables(self, renderables: list[Any]) -> list[Any]:
        """Wrap the renderables about to be printed."""
        return [_Escaped(it) for it in renderables]


class _Escaped:
    """Something to print, without any control character but line breaks and rich's own."""

    def __init__(self, inner: ConsoleRenderable) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        return _escaped(console.render(self._inner, options))


def _escaped(segments: Iterable[Segment]) -> Iterable[Segment]:
    for segment in segments:
        if segment.control or not _IN_LINES.search(segment.text):
            yield segment
        else:
            yield Segment(lines(segment.text), segment.style)
