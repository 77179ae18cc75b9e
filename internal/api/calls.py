"""A call in its neutral form: what an adapter gives to the middleware, and what a method gets.

Knows neither a protocol nor a noun. A request and an answer are protobuf messages here, in whatever
encoding they travel.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from google.protobuf import message

from internal.api import status

Metadata = Mapping[str, str | bytes]
"""Headers, by their names in lower case. Different values under one name are joined by commas."""
Read = Callable[[type[message.Message]], bytes]
"""Returns the request, a message of this type, in protobuf's encoding.

It is not decoded yet, so that its size can be checked before. Raises DecodeError if it is known
that the caller sent something else.
"""
Arrived = Callable[[], Awaitable[bool]]
"""Waits for the request; returns False if the caller ends the call without one."""
WhenSent = Callable[[Callable[[], None]], None]
"""Takes a function, and calls it once the answer is sent or the caller is gone."""
Answer = message.Message | status.Refused
Send = Callable[[message.Message], Awaitable[None]]


class IncomingCall(msgspec.Struct, frozen=True):
    """A call as it arrived."""

    metadata: Metadata
    read: Read
    """Called once the caller is authenticated."""
    time_left_s: float | None
    """The time until the caller's deadline; None if it set none."""
    connection: str = ""
    """Names the connection that it came on."""
    arrived: Arrived | None = None
    """None if the request is there already."""
    when_sent: WhenSent | None = None
    """None if an answer counts as sent when it is made."""


class Origin(msgspec.Struct, frozen=True):
    """Where a request comes from: the merchant whose API key it showed, its trace, its time."""

    merchant_id: str
    trace_id: str
    at_us: int
    key_id: str = ""
    """The id of the API key, which is not secret."""


class Call(msgspec.Struct, frozen=True):
    """An admitted call."""

    origin: Origin
    answer_by_s: float
    """The loop's time at which a waiting method should answer with what it knows."""


REQUEST_BYTES_MAX = 64 * 1024 + 64
"""One order and what is around it. A larger request is refused before it is decoded."""


class Unary(msgspec.Struct, frozen=True):
    """A method with one answer."""

    name: str
    request: type[message.Message]
    work: Callable[[Call, Any], Awaitable[Answer]]
    reads_itself: bool = False
    """Whether the method gets the request's bytes, and itself limits, decodes and checks them."""
    too_large: Callable[[int], status.Refused] = status.too_large
    """Returns the refusal of a request of this many bytes, above REQUEST_BYTES_MAX."""


class Stream(msgspec.Struct, frozen=True):
    """A method that sends any number of messages. It returns None when all is well."""

    name: str
    request: type[message.Message]
    work: Callable[[Call, Any, Send], Awaitable[status.Refused | None]]
    reads_itself: bool = False
    too_large: Callable[[int], status.Refused] = status.too_large


Method = Unary | Stream
