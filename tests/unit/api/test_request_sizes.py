"""Lists and texts that are too long are found by their length alone, and each one has a limit."""

from collections.abc import Iterator

import protovalidate
import pytest
from google.protobuf import descriptor, message

from internal.api import request_sizes
from internal.wire.souk.v1 import order_pb2 as o
from internal.wire.souk.v1 import order_service_pb2 as s
from tests.unit.api import memory, requests

Field = descriptor.FieldDescriptor
MANY = 1_000


def test_what_is_too_long() -> None:
    order = memory.draft(note="x" * 501, terminal_id="t" * 129)
    order.lines[0].sku = "s" * 129
    request = s.SubmitOrderRequest(order=order)
    assert request_sizes.find(request, MANY) == [
        ("order.terminal_id", "must be at most 128 characters"),
        ("order.lines[0].sku", "must be at most 128 characters"),
        ("order.note", "must be at most 500 characters"),
    ]
    assert len(request_sizes.find(request, 2)) == 2
    assert not request_sizes.find_lists(request, MANY)


def test_a_list_that_is_too_long_is_not_entered() -> None:
    order = memory.draft(note="x" * 501)
    order.lines.extend([o.DraftLine(sku="s" * 129)] * 200)
    request = s.SubmitOrderRequest(order=order)
    assert request_sizes.find(request, MANY) == [
        ("order.lines", "must contain no more than 200 item(s)")
    ]
    batch = s.SubmitOrdersRequest(orders=[memory.draft(), order])
    assert request_sizes.find_lists(batch, MANY) == [
        ("orders[1].lines", "must contain no more than 200 item(s)")
    ]


def test_the_longest_that_is_allowed() -> None:
    order = memory.draft(note="\U0001f339" * 500, lines=[o.DraftLine(sku="s" * 64)] * 200)
    assert not request_sizes.find(s.SubmitOrderRequest(order=order), MANY)


@pytest.mark.parametrize("field", requests.fields(), ids=str)
def test_every_list_has_its_own_limit_and_no_rule_allows_a_longer_text(
    field: requests.PlacedField,
) -> None:
    if field.is_list:
        assert request_sizes.items_max(field.descriptor) != request_sizes.ITEMS_MAX or (
            field.path == "orders"
        )
    for text in filled_texts(field):
        broken = protovalidate.collect_violations(text)
        assert field.name in {
            v.proto.field.elements[-1].field_name for v in broken if v.proto.field
        }


def filled_texts(field: requests.PlacedField) -> Iterator[message.Message]:
    if field.descriptor.type == Field.TYPE_STRING and not field.is_foreign:
        for char in "aA0":
            yield field.parent_with(char * (request_sizes.chars_max(field.descriptor) + 1))
