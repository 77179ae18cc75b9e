"""Rows with any values are read, in chunks of any size."""

import struct
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

import aiomysql
import pytest
from aiomysql.connection import FIELD_TYPE
from hypothesis import given
from hypothesis import strategies as st

from internal.infra.mysql import rows as mysql_rows

END = b"\xfe\x00\x00\x02\x00"
DENIED = b"\xff\x15\x04#28000denied"
VALUES = st.none() | st.binary(max_size=300) | st.sampled_from([b"x" * 70_000, b"\xfe" * 3])
ROWS = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.tuples(*[VALUES] * width), max_size=8).map(lambda rows: (width, rows))
)


class Field(NamedTuple):
    type_code: int
    charsetnr: int = 45


def packet(body: bytes, number: int = 1) -> bytes:
    return struct.pack("<I", len(body))[:3] + bytes([number]) + body


def value(data: bytes | None) -> bytes:
    if data is None:
        return b"\xfb"
    if len(data) <= 250:
        return bytes([len(data)]) + data
    if len(data) < 2**16:
        return b"\xfc" + struct.pack("<H", len(data)) + data
    return b"\xfd" + struct.pack("<I", len(data))[:3] + data


def answer(rows: list[tuple[bytes | None, ...]], last: bytes = END) -> bytes:
    bodies = [b"".join(map(value, row)) for row in rows]
    return b"".join(map(packet, [*bodies, last]))


@given(ROWS, st.lists(st.integers(0, 2_000), max_size=10))
def test_rows_come_in_any_chunks(
    drawn: tuple[int, list[tuple[bytes | None, ...]]], cuts: list[int]
) -> None:
    width, rows = drawn
    data = answer(rows)
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    found: list[tuple[object, ...]] = []
    chunk, is_over = b"", False
    for start, end in pairwise(places):
        assert not is_over
        chunk += data[start:end]
        used, is_over = mysql_rows.take(chunk, 0, [bytes] * width, found)
        chunk = chunk[used:]
    assert is_over
    assert found == rows
    assert chunk == packet(END)


def test_each_type_has_its_reader() -> None:
    fields = {
        b"-12": Field(FIELD_TYPE.LONGLONG, 63),
        b"7": Field(FIELD_TYPE.LONG, 63),
        b"12.50": Field(FIELD_TYPE.NEWDECIMAL, 63),
        "Grüße".encode(): Field(FIELD_TYPE.VAR_STRING),
        b"\xff": Field(FIELD_TYPE.VAR_STRING, mysql_rows.BINARY),
    }
    decoders = list(map(mysql_rows.decoder_of, fields.values()))
    found: list[tuple[object, ...]] = []
    mysql_rows.take(answer([tuple(fields)]), 0, decoders, found)
    assert found == [(-12, 7, Decimal("12.50"), "Grüße", b"\xff")]


def test_an_error_may_come_in_the_place_of_a_row() -> None:
    found: list[tuple[object, ...]] = []
    with pytest.raises(aiomysql.OperationalError, match="denied"):
        mysql_rows.take(answer([(b"1",)], DENIED), 0, [int], found)
    assert found == [(1,)]


def test_a_row_that_is_too_long_for_one_packet_is_refused() -> None:
    with pytest.raises(aiomysql.NotSupportedError, match="16 MiB"):
        mysql_rows.take(b"\xff\xff\xff\x01" + b"\xfd", 0, [bytes], [])


def described(name: str, number: int, type_code: int = FIELD_TYPE.LONGLONG) -> bytes:
    texts = (b"def", b"souk", b"t", b"orders", name.encode(), b"column")
    rest = b"\x0c" + struct.pack("<HIBHBxx", 63, 20, type_code, 0, 0)
    return packet(b"".join(map(value, texts)) + rest, number)


COLUMNS = described("order_key", 2) + described("größe", 3, FIELD_TYPE.NEWDECIMAL)


@given(st.integers(0, len(COLUMNS) - 1), st.binary(max_size=9))
def test_columns_are_read_when_all_of_them_are_there(cut: int, more: bytes) -> None:
    before = b"\x01\x00\x00\x01\x02"
    assert mysql_rows.end_of_columns(before + COLUMNS[:cut], len(before), 2) is None
    end = mysql_rows.end_of_columns(before + COLUMNS + more, len(before), 2)
    assert end == len(before) + len(COLUMNS)
    columns = mysql_rows.columns_of(COLUMNS)
    assert [column[0] for column in columns.description] == ["order_key", "größe"]
    assert columns.decoders[0] is int
    assert columns.decoders[1](b"1.50") == Decimal("1.50")


def test_an_error_may_come_in_the_place_of_a_column() -> None:
    data = described("order_key", 2) + packet(DENIED, 3)
    with pytest.raises(aiomysql.OperationalError, match="denied"):
        mysql_rows.end_of_columns(data, 0, 2)
    assert mysql_rows.end_of_columns(data[:-1], 0, 2) is None
