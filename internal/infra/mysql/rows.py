"""Reads the rows of an answer from whole chunks: four times cheaper than packet by packet.

A batch reads some thousand rows back; the driver awaits each of them twice. A single order reads
few rows, but some sixty descriptions of columns, which are the same each time: they are parsed
once. It must know nothing of connections: bytes in, rows out.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

import aiomysql
from aiomysql.connection import FIELD_TYPE, MysqlPacket
from pymysql.protocol import FieldDescriptorPacket

Decoder = Callable[[bytes], Any]
"""Turns a column's bytes into its value."""
HEADER_BYTES = 4
WHOLE_PACKET_BYTES = 0xFFFFFF
"""A packet of this length continues in the next one."""
NULL, TWO_BYTES, THREE_BYTES, EIGHT_BYTES = 251, 252, 253, 254
"""A value's length precedes it: up to 250 in one byte, else in the bytes after this one."""
END, END_BYTES_MAX, ERROR = 0xFE, 8, 0xFF
"""The first byte of the packet after the last row."""
BINARY = 63
"""The character set of values that are not text."""

_INTEGERS = frozenset({
    FIELD_TYPE.TINY, FIELD_TYPE.SHORT, FIELD_TYPE.INT24, FIELD_TYPE.LONG, FIELD_TYPE.LONGLONG,
})  # fmt: skip
_DECIMALS = frozenset({FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL})


class Columns(NamedTuple):
    """The columns of an answer."""

    description: tuple[tuple[Any, ...], ...]
    """DB-API's: the name first."""
    decoders: tuple[Decoder, ...]


def end_of_columns(data: bytes, start: int, count: int) -> int | None:
    """Return where the descriptions of `count` columns end; None unless all of them are there.

    Raises:
        Error: the server's own, instead of a description.
    """
    for _ in range(count):
        place = start + HEADER_BYTES
        if len(data) <= place:
            return None
        start = place + (data[start] | data[start + 1] << 8 | data[start + 2] << 16)
        if data[place] == ERROR and start <= len(data):
            MysqlPacket(data[place:start], "utf8").raise_for_error()
    return start if start <= len(data) else None


@lru_cache(maxsize=1_024)
def columns_of(data: bytes) -> Columns:
    """Read the descriptions of an answer's columns."""
    fields, start = [], 0
    while (end := end_of_columns(data, start, 1)) is not None:
        fields.append(FieldDescriptorPacket(data[start + HEADER_BYTES : end], "utf8"))
        start = end
    return Columns(tuple(field.description() for field in fields), tuple(map(decoder_of, fields)))


def decoder_of(field: Any) -> Decoder:  # noqa: ANN401 - the driver's description of a column
    """Return the decoder of a column: integers, sums (decimals), text. Souk has no other types."""
    if field.type_code in _INTEGERS:
        return int
    if field.type_code in _DECIMALS:
        return _decimal
    return bytes if field.charsetnr == BINARY else bytes.decode


def _decimal(data: bytes) -> Decimal:
    return Decimal(data.decode())


def take(
    data: bytes, start: int, decoders: Sequence[Decoder], rows: list[tuple[Any, ...]]
) -> tuple[int, bool]:
    """Add to `rows` those whose packets are complete in `data`, from `start` on.

    Returns:
        Where the first packet begins that is not a complete row, and whether it is the last one.

    Raises:
        Error: the server's own, instead of further rows; or a row longer than Souk ever writes.
    """
    end = len(data)
    while end - start >= HEADER_BYTES:
        size = data[start] | data[start + 1] << 8 | data[start + 2] << 16
        place = start + HEADER_BYTES
        if size == WHOLE_PACKET_BYTES:
            raise aiomysql.NotSupportedError("a row of 16 MiB or more")
        if end - place < size:
            break
        first = data[place]
        if first == ERROR:
            MysqlPacket(data[place : place + size], "utf8").raise_for_error()
        if first == END and size <= END_BYTES_MAX:
            return start, True
        rows.append(_row(data, place, decoders))
        start = place + size
    return start, False


def _row(data: bytes, place: int, decoders: Sequence[Decoder]) -> tuple[Any, ...]:
    row: list[Any] = []
    for decode in decoders:
        size = data[place]
        place += 1
        if size >= NULL:
            if size == NULL:
                row.append(None)
                continue
            width = _WIDTHS[size]
            size = int.from_bytes(data[place : place + width], "little")
            place += width
        row.append(decode(data[place : place + size]))
        place += size
    return tuple(row)


_WIDTHS = {TWO_BYTES: 2, THREE_BYTES: 3, EIGHT_BYTES: 8}
