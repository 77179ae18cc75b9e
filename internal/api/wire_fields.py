"""Takes a message apart without decoding what is in it.

So the parts of a batch can be counted and measured before they cost memory. Only the encoding's own
rules are known here.
Source: protobuf.dev/programming-guides/encoding.
"""

from google.protobuf import message

OTHER_FIELDS_MAX = 100
"""Fields of other numbers, such as a newer client sends; with more the message is unreadable."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}
_VARINT_BYTES_MAX = 10
_MORE_FOLLOWS = 0x80
"""The bit of a byte that says that the number goes on."""


def values_of(encoded: bytes, number: int, most: int) -> list[bytes]:
    """Return the values of a repeated message or string field, the first `most` + 1 of them.

    Raises:
        DecodeError: the bytes are not a message.
    """
    found: list[bytes] = []
    others = at = 0
    while at < len(encoded) and len(found) <= most:
        tag, at = _varint(encoded, at)
        start, at = _value(encoded, at, tag & 7)
        if tag == number << 3 | _BYTES:
            found.append(encoded[start:at])
        elif others < OTHER_FIELDS_MAX:
            others += 1
        else:
            raise message.DecodeError(f"more than {OTHER_FIELDS_MAX} unknown fields")
    return found


def first_text(encoded: bytes, number: int, chars_max: int) -> str:
    """Return a string if it is the message's first field, and short; else an empty one."""
    try:
        tag, at = _varint(encoded, 0)
        start, end = _value(encoded, at, tag & 7)
        text = encoded[start : min(end, start + 4 * chars_max + 1)].decode()
    except (message.DecodeError, UnicodeDecodeError):
        return ""
    return text if tag == number << 3 | _BYTES and len(text) <= chars_max else ""


def _value(encoded: bytes, at: int, wire_type: int) -> tuple[int, int]:
    """Return (start, end) of a value."""
    if wire_type == _VARINT:
        end = _varint(encoded, at)[1]
    elif wire_type == _BYTES:
        size, at = _varint(encoded, at)
        end = at + size
    elif wire_type in _FIXED_SIZES:
        end = at + _FIXED_SIZES[wire_type]
    else:
        raise message.DecodeError("a group, which no message of Souk has")
    if end > len(encoded):
        raise message.DecodeError("cut off")
    return at, end


def _varint(encoded: bytes, at: int) -> tuple[int, int]:
    """Return a number, and the place after it."""
    if at < len(encoded) and encoded[at] < _MORE_FOLLOWS:
        return encoded[at], at + 1
    value = 0
    for shift, byte in enumerate(encoded[at : at + _VARINT_BYTES_MAX]):
        value |= (byte & ~_MORE_FOLLOWS) << 7 * shift
        if byte < _MORE_FOLLOWS:
            return value, at + shift + 1
    raise message.DecodeError("a number without an end")
