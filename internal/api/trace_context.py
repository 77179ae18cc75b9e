"""W3C trace context: continues the caller's trace, or starts one.

Facts carry the trace id alone; the caller's span is the parent of the API call's span.
Source: www.w3.org/TR/trace-context.
"""

import re
from typing import NamedTuple

from internal.kernel import ids

TRACEPARENT = "traceparent"
_VALID = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
LENGTH = len("00-") + 32 + len("-") + 16 + len("-00")
_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16


class Caller(NamedTuple):
    """The trace that a call belongs to."""

    trace_id: str
    span_id: str
    """The caller's own; "" when the trace begins here."""


def caller_of(traceparent: str | bytes | None) -> Caller:
    """Read a valid `traceparent`; otherwise start a trace, with an id of 32 hex digits."""
    if isinstance(traceparent, str):
        match = _VALID.fullmatch(traceparent)
        if match and match[1] != _NO_TRACE and match[2] != _NO_SPAN and _fits(traceparent):
            return Caller(match[1], match[2])
    return Caller(ids.random_token(), "")


def _fits(traceparent: str) -> bool:
    """Tell whether the length is right: fixed in version 00, free in later versions."""
    return len(traceparent) == LENGTH or not traceparent.startswith("00")
