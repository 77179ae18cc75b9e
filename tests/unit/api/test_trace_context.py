"""A valid trace parent is taken on; anything else starts a trace."""

import re

import pytest

from internal.api import trace_context

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "parent", [f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00", f"cc-{TRACE}-{SPAN}-01-later"]
)
def test_taken_on(parent: str) -> None:
    assert trace_context.caller_of(parent).trace_id == TRACE


@pytest.mark.parametrize(
    "parent",
    [
        None,
        "",
        b"00",
        TRACE,
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01\n",
    ],
)
def test_started(parent: str | bytes | None) -> None:
    found, span_id = trace_context.caller_of(parent)
    assert span_id == ""
    assert re.fullmatch("[0-9a-f]{32}", found)
    assert found not in {TRACE, "0" * 32}
    assert found != trace_context.caller_of(parent).trace_id
