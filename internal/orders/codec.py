"""Facts to JSON and back, one at a time: for the topics and for the order log."""

import zlib
from typing import Any

import msgspec

from internal.kernel import errors
from internal.orders import messages

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[messages.Fact] = msgspec.json.Decoder(messages.Fact)

UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
"""What msgspec raises: for wrong JSON and wrong fields, for JSON nested too deeply, for texts that
are no UTF-8.
"""


def encode(fact: messages.Fact) -> bytes:
    """Return the fact as JSON with its type in the field "type"."""
    return _encoder.encode(fact)


def digest(fact: messages.Fact) -> int:
    """Return a number that tells this fact from a damaged one: a CRC-32, no help against malice."""
    return digest_of(_encoder.encode(fact))


def digest_of(data: bytes) -> int:
    """Return the digest of an encoded fact."""
    return zlib.crc32(data)


def decode(data: bytes | str) -> Any:  # noqa: ANN401 - one of the facts; the reader narrows it
    """Read one fact.

    Raises:
        Poison: it is not JSON, of a type nobody knows, or lacks a field.
    """
    try:
        return _decoder.decode(data)
    except UNREADABLE as error:
        raise errors.Poison("UNREADABLE_FACT", str(error)) from error
