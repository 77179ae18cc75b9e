"""Facts: things that happened, as messages and as rows of a log.

The protocol is all that the pipeline asks of a fact. A noun that has facts declares them in
its messages.py; internal/flow/topics.py composes them. Must not know a noun.
"""

import zlib
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from internal.kernel import errors, ids

UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
"""The errors of msgspec for wrong JSON and wrong fields, for JSON nested too deeply, and for text
that is not UTF-8.
"""


class Fact(Protocol):
    """A frozen struct in the past tense, tagged with the name of its class."""

    @property
    def merchant_id(self) -> str:
        """The merchant that it belongs to."""
        ...

    @property
    def subject_kind(self) -> str:
        """The kind of what it is about: "order"."""
        ...

    @property
    def key(self) -> str:
        """The name of what it is about, unique for its merchant and kind: an order's id."""
        ...

    @property
    def occurred_at_us(self) -> int:
        """When it happened, in microseconds since the epoch."""
        ...

    @property
    def started_at_us(self) -> int:
        """When its subject began: when the order was placed."""
        ...

    @property
    def refusal_code(self) -> str:
        """Why it went no further, in UPPER_SNAKE and never in a merchant's words; "" if it did."""
        ...

    @property
    def trace_id(self) -> str:
        """The trace that it belongs to; "" without one."""
        ...

    def flaw(self) -> str:
        """Return which of its ids breaks its form; "" if none does.

        It is asked of messages only: the log stays readable, whatever it holds.
        """
        ...


F = TypeVar("F")

encode = msgspec.json.Encoder().encode
"""Returns a fact as JSON with its type in the field "type"."""


class Codec(Generic[F]):
    """Reads facts of the given kinds, one at a time."""

    def __init__(self, kinds: Any) -> None:  # noqa: ANN401 - a struct, or a union of structs
        self._decoder: msgspec.json.Decoder[F] = msgspec.json.Decoder(kinds)

    def decode(self, data: bytes | str | msgspec.Raw) -> F:
        """Read one fact.

        Raises:
            Poison: it is not JSON, of another type, or lacks a field.
        """
        try:
            return self._decoder.decode(data)
        except UNREADABLE as error:
            raise errors.Poison("UNREADABLE_FACT", str(error)) from error


def digest(data: bytes | msgspec.Raw) -> int:
    """Return a number that tells an encoded fact from a damaged one.

    A CRC-32: no protection against malice.
    """
    return zlib.crc32(data)


_canonical = msgspec.json.Encoder(order="sorted").encode


def body_hash(*parts: msgspec.Struct) -> str:
    """Return 32 hex digits that are the same for everything that means the same.

    They are of the decoded contents: neither an unknown field of a request nor a later Souk's new
    field with its default changes them. Whatever differs between two tries (times, trace ids) must
    not be set in `parts`.
    """
    return ids.short_digest(_canonical(parts))
