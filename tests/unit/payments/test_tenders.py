"""A kind of tender is one row: it agrees with the wire, and a new row is all that a new kind needs.

VOUCHER is such a kind, known to these tests only: settled at the till, on an account of its own.
Its fields in the .proto are made here, too.
"""

from collections.abc import Iterator
from typing import cast

import pytest
from google.protobuf import (
    descriptor,
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
)

from internal.api import calls
from internal.api.orders import from_wire, to_wire
from internal.kernel import errors
from internal.ledger import rules as ledger_rules
from internal.ledger.messages import AccountKind, AccountRef, Posting, Sale
from internal.orders.messages import OrderPlaced
from internal.payments import rules, tenders
from internal.payments.messages import Captured, Tender, TenderKind
from internal.payments.tenders import SettledBy, TenderType
from internal.wire.souk.v1 import order_pb2
from tests.unit.api import memory

VOUCHERS = cast("AccountKind", "VOUCHERS")
VOUCHER = TenderType(
    kind=cast("TenderKind", "VOUCHER"),
    wire_field="voucher",
    settled_by=SettledBy.TILL,
    account=VOUCHERS,
)
ORIGIN = calls.Origin("m-1", "", 17)
UNKNOWN = cast("TenderKind", "SHELLS")


@pytest.fixture
def voucher(monkeypatch: pytest.MonkeyPatch) -> TenderType:
    """Register the row."""
    monkeypatch.setitem(tenders.TYPES, VOUCHER.kind, VOUCHER)
    return VOUCHER


def wire_with_voucher() -> descriptor_pool.DescriptorPool:
    """Return the wire as it would be with a VoucherTender and its TENDER_KIND."""
    pool = descriptor_pool.DescriptorPool()
    for file in dependencies(order_pb2.DESCRIPTOR):
        proto = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(proto)
        if file is order_pb2.DESCRIPTOR:
            add_voucher(proto)
        pool.Add(proto)
    return pool


def dependencies(file: descriptor.FileDescriptor) -> Iterator[descriptor.FileDescriptor]:
    for other in file.dependencies:
        yield from dependencies(other)
    yield file


def add_voucher(proto: descriptor_pb2.FileDescriptorProto) -> None:
    proto.message_type.add(name="VoucherTender")
    (tender,) = (message for message in proto.message_type if message.name == "Tender")
    tender.field.add(
        name="voucher",
        number=15,
        type=descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE,
        label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
        type_name=".souk.v1.VoucherTender",
        oneof_index=0,
    )
    (kinds,) = (enum for enum in proto.enum_type if enum.name == "TenderKind")
    kinds.value.add(name="TENDER_KIND_VOUCHER", number=15)


def draft_with_voucher() -> order_pb2.OrderDraft:
    """Return a draft paid by a voucher of 3.00 and the rest in cash, as a newer client sends it."""
    kind = wire_with_voucher().FindMessageTypeByName("souk.v1.OrderDraft")
    draft = message_factory.GetMessageClass(kind)()
    draft.MergeFromString(memory.draft("o-1", tenders=[]).SerializeToString())
    voucher = 'tenders { voucher {} amount { units: 3 currency_code: "EUR" } }'
    text_format.Merge(f"{voucher} tenders {{ cash {{}} }}", draft)
    return cast("order_pb2.OrderDraft", draft)


def test_every_kind_has_a_row_and_an_account() -> None:
    assert tenders.TYPES.keys() == set(TenderKind)
    assert {row.account for row in tenders.TYPES.values()} <= ledger_rules.RECEIVING


def test_the_wire_knows_the_same_kinds() -> None:
    oneof = order_pb2.Tender.DESCRIPTOR.oneofs_by_name["kind"]
    rows = {row.wire_field: row for row in tenders.TYPES.values()}
    assert rows.keys() == {field.name for field in oneof.fields}
    messages = {field.name: field.message_type for field in oneof.fields}
    with_token = {name for name, it in messages.items() if it and "token" in it.fields_by_name}
    assert with_token == {name for name, row in rows.items() if row.has_token}
    names = {to_wire.tender_kind_of(kind) for kind in tenders.TYPES}
    assert names == set(order_pb2.TenderKind.keys()) - {"TENDER_KIND_UNSPECIFIED"}


def test_an_unknown_kind_is_an_error_and_never_cash() -> None:
    payment = rules.Payment(7, "m-1/o-1", "EUR", (Tender(UNKNOWN, amount_minor=700),))
    for use in (
        lambda: tenders.of_kind(UNKNOWN),
        lambda: to_wire.tender_kind_of(UNKNOWN),
        lambda: rules.next_step(payment, (), 0),
        lambda: tenders.received([Captured(UNKNOWN, 700)], "main"),
    ):
        with pytest.raises(errors.Poison) as caught:
            use()
        assert caught.value.code == "UNKNOWN_TENDER"


def read(draft: order_pb2.OrderDraft) -> OrderPlaced:
    return from_wire.placed(draft, ORIGIN, "order.").placed


def test_a_tender_of_no_kind_is_refused_as_the_proto_refuses_it() -> None:
    draft = memory.draft("o-1", tenders=[order_pb2.Tender()])
    with pytest.raises(errors.InvalidInput) as caught:
        read(draft)
    expected = ("order.tenders[0].kind", "exactly one field is required in oneof")
    assert caught.value.violations == [expected]


def test_a_kind_of_the_wire_without_a_row_is_refused() -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        read(draft_with_voucher())
    assert [path for path, _ in caught.value.violations] == ["order.tenders[0].kind"]


def test_a_new_kind_arrives_from_the_wire_and_returns_to_it(voucher: TenderType) -> None:
    placed = read(draft_with_voucher())
    assert placed.tenders == (Tender(voucher.kind, "t1", 300), Tender(TenderKind.CASH, "t2"))
    kinds = wire_with_voucher().FindEnumTypeByName("souk.v1.TenderKind")
    assert to_wire.tender_kind_of(voucher.kind) in kinds.values_by_name


def test_a_new_kind_is_settled_by_the_party_of_its_row(voucher: TenderType) -> None:
    payment = rules.Payment(7, "m-1/o-1", "EUR", (Tender(voucher.kind, "t1", 300),))
    paid = rules.next_step(payment, (), 0)
    assert paid == rules.Paid((Captured(voucher.kind, 300),))


def test_a_new_kind_is_booked_on_the_account_of_its_row(voucher: TenderType) -> None:
    captured = (Captured(voucher.kind, 300), Captured(TenderKind.CASH, 700))
    sale = Sale(
        order_key=7,
        merchant_id="m-1",
        store_id="main",
        currency="EUR",
        business_day=20_261_128,
        at_us=0,
        revenue_minor=1_000,
        discount_minor=0,
        taxes_minor=(),
        received=tenders.received(captured, "main"),
    )
    assert ledger_rules.book_sale(sale).postings == (
        Posting(AccountRef(VOUCHERS, "main"), 300),
        Posting(AccountRef(AccountKind.CASH_DRAWER, "main"), 700),
        Posting(AccountRef(AccountKind.REVENUE, "main"), -1_000),
    )
