"""A batch is taken apart as protobuf itself would read it."""

import pytest
from google.protobuf import message
from hypothesis import given
from hypothesis import strategies as st

from internal.api import wire_fields
from internal.wire.souk.v1 import order_pb2 as o
from internal.wire.souk.v1 import order_service_pb2 as s
from tests.unit.api import memory

UNKNOWN = b"\xa0\x06\x01" + b"\xa5\x06abcd" + b"\xa1\x06abcdefgh" + b"\xa2\x06\x02ab"
orders = st.builds(o.OrderDraft, order_id=st.text(max_size=20), note=st.text(max_size=300))


@given(st.lists(orders, max_size=8), st.sampled_from([b"", UNKNOWN]))
def test_all_values_in_their_order(batch: list[o.OrderDraft], unknown: bytes) -> None:
    raw = unknown + s.SubmitOrdersRequest(orders=batch).SerializeToString() + unknown
    found = wire_fields.values_of(raw, 1, 1_000)
    assert [o.OrderDraft.FromString(value) for value in found] == batch


@given(st.lists(orders, min_size=1, max_size=3), st.data())
def test_damaged_bytes_are_read_as_protobuf_reads_them_or_refused(
    batch: list[o.OrderDraft], data: st.DataObject
) -> None:
    raw = bytearray(s.SubmitOrdersRequest(orders=batch).SerializeToString())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] = data.draw(st.integers(0, 255))
    try:
        values = wire_fields.values_of(bytes(raw), 1, 1_000)
        read = [o.OrderDraft.FromString(value) for value in values]
        whole = s.SubmitOrdersRequest.FromString(bytes(raw))
    except message.DecodeError:
        return
    assert read == list(whole.orders)


def test_it_stops_at_one_more_than_the_most() -> None:
    assert len(wire_fields.values_of(b"\x0a\x00" * 1_000, 1, 5)) == 6


@pytest.mark.parametrize(
    "raw",
    [
        b"\x0a",
        b"\x0a\x05abc",
        b"\xff" * 20,
        b"\x0b\x0c",
        b"\xa5\x06abc",
        b"\xa0\x06\x00" * (wire_fields.OTHER_FIELDS_MAX + 1),
    ],
)
def test_bytes_that_are_no_batch(raw: bytes) -> None:
    with pytest.raises(message.DecodeError):
        wire_fields.values_of(raw, 1, 1_000)


def test_the_first_text() -> None:
    raw = memory.draft("o-1").SerializeToString()
    assert wire_fields.first_text(raw, 1, 64) == "o-1"
    assert wire_fields.first_text(raw, 1, 2) == ""
    for other in (b"", b"\x0a", b"\x0a\x02\xff\xff", b"\x12\x01a", b"\x08\x01"):
        assert wire_fields.first_text(other, 1, 64) == ""
