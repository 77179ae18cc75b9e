"""Goods that arrive, are counted or written off: documents with movements, and exceptions."""

import msgspec
import pytest
import sqlalchemy as sa

from internal.auth import actors, audit_log
from internal.catalogue import store as catalogue_store
from internal.catalogue.messages import Store
from internal.checks import invariants
from internal.inventory import exceptions, store
from internal.inventory.messages import Reason, StockChanged, StockKey, StockLevel
from internal.kernel import errors, facts
from internal.pipeline import journal, outbox
from internal.stages import stock_changes
from tests.support import shop, staged_orders

TEA = StockKey(shop.MERCHANT, shop.STORE, "tea")
HOUR_US = 3_600_000_000


@pytest.fixture
def line(any_database: sa.Connection) -> staged_orders.StagedOrders:
    shop.open_for_business(any_database)
    return staged_orders.StagedOrders(any_database)


def record(
    line: staged_orders.StagedOrders,
    reason: Reason,
    milli: int,
    at_us: int = shop.NOW_US,
    document_id: str = "d-1",
    sku: str = "tea",
) -> dict[StockKey, StockLevel]:
    change = stock_changes.Change(
        merchant_id=shop.MERCHANT,
        location_id=shop.STORE,
        document_id=document_id,
        reason=reason,
        quantities_milli={sku: milli},
        actor="olga",
        owner="otto",
        happened_at_us=at_us,
    )
    with staged_orders.transaction(line.connection):
        levels = stock_changes.record(line.connection, change, "why", line.clock.now_us())
    assert not invariants.check(line.connection)
    return levels


def test_a_document_is_recorded_once(line: staged_orders.StagedOrders) -> None:
    assert record(line, Reason.RECEIPT, 500) == {TEA: StockLevel(1_000_500, 0)}
    with pytest.raises(errors.InvalidInput, match="d-1 is recorded already"):
        record(line, Reason.RECEIPT, 500)
    record(line, Reason.RECEIPT, 500, document_id="d-2")
    assert line.level("tea") == StockLevel(1_001_000, 0)


def test_a_document_has_its_row_in_the_journal(line: staged_orders.StagedOrders) -> None:
    record(line, Reason.WRITE_OFF, -250)
    row = line.connection.execute(sa.select(journal.JOURNAL)).one()
    keys = line.connection.execute(sa.select(journal.DOCUMENTS.c.document_key)).scalars()
    assert [row.document_key] == list(keys)
    assert row.digest == facts.digest(row.fact.encode())
    (event,) = msgspec.json.decode(row.fact, type=list[StockChanged])
    assert (event.sku, event.quantity_milli, event.document_id) == ("tea", -250, "d-1")
    names = actors.names_of(line.connection, [row.actor_key])
    assert names == {row.actor_key: "OPERATOR olga"}
    assert (row.state, row.version, row.reason) == ("RECORDED", 1, "WRITE_OFF")
    assert (row.made_by, row.request_id) == ("souk stock", "d-1")


def test_a_movement_says_who_when_and_why(line: staged_orders.StagedOrders) -> None:
    bar = Store(shop.MERCHANT, shop.STORE, "The bar", "EUR", time_zone="Asia/Tokyo")
    catalogue_store.save_stores(line.connection, [bar])
    record(line, Reason.WRITE_OFF, -1_000, shop.NOW_US - HOUR_US)
    t = store.STOCK_MOVEMENTS.c
    row = line.connection.execute(
        sa.select(store.STOCK_MOVEMENTS).where(t.source_kind == "DOCUMENT")
    ).one()
    assert (row.reason, row.quantity_milli, row.movement_no) == ("WRITE_OFF", -1_000, 1)
    assert (row.happened_at_us, row.recorded_at_us) == (shop.NOW_US - HOUR_US, shop.NOW_US)
    assert (row.business_day, row.actor_key is None) == (20231115, False)
    (action,) = audit_log.of_order(line.connection, shop.MERCHANT, "")
    assert (action.actor, action.action, action.reason) == ("olga", "STOCK_WRITE_OFF", "why")
    assert action.detail == "d-1 at main"


def test_a_change_is_an_event_of_each_product(line: staged_orders.StagedOrders) -> None:
    record(line, Reason.WRITE_OFF, -1_500)
    (row,) = line.connection.execute(sa.select(outbox.OUTBOX)).all()
    assert (row.subject, row.topic, row.leased_until_us) == ("m-1/main/tea", "events", None)
    event = msgspec.json.decode(row.fact, type=StockChanged)
    assert (event.quantity_milli, event.on_hand_milli) == (-1_500, 998_500)
    assert (event.document_id, event.reason) == ("d-1", Reason.WRITE_OFF)


def test_a_count_is_a_difference_to_the_records_of_its_own_time(
    line: staged_orders.StagedOrders,
) -> None:
    """Counted 990 an hour ago; two were sold and one arrived since."""
    record(line, Reason.RECEIPT, 1_000, shop.NOW_US + 1, "d-2")
    line.carry(shop.placed("o", ("tea", 2)))
    levels = record(line, Reason.COUNT, 990_000, shop.NOW_US - HOUR_US)
    assert levels[TEA] == StockLevel(989_000 + 1_000_000, 0)
    levels = record(line, Reason.COUNT, 990_000, shop.NOW_US, "d-3")
    assert levels[TEA] == StockLevel(991_000, 0)
    t = store.STOCK.c
    counted = sa.select(t.counted_at_us).where(t.merchant_id == shop.MERCHANT, t.sku == "tea")
    assert line.connection.execute(counted).scalar() == shop.NOW_US


def test_a_first_count_makes_the_row(line: staged_orders.StagedOrders) -> None:
    record(line, Reason.COUNT, 2_500, sku="ghost")
    assert line.level("ghost") == StockLevel(2_500, 0)


def test_a_paid_order_is_finalized_from_stock_that_is_gone(
    line: staged_orders.StagedOrders,
) -> None:
    (accepted,) = line.step(shop.placed("o", ("rare", 2)))
    record(line, Reason.COUNT, 0, sku="rare")
    (opened,) = exceptions.list_all(line.connection, shop.MERCHANT)
    assert (opened.owner, opened.key.sku) == ("otto", "rare")
    line.carry(accepted)
    assert line.view("o").state == "FINALIZED"
    assert line.level("rare") == StockLevel(-2_000, 0)
    assert not invariants.check(line.connection)
    (refused,) = line.step(shop.placed("late", ("rare", 1)))
    assert refused.refusal_code == "OUT_OF_STOCK"
    assert "1 wanted, 0 available" in line.view("late").explanation


def test_an_exception_is_closed_when_the_stock_suffices(line: staged_orders.StagedOrders) -> None:
    record(line, Reason.WRITE_OFF, -2_500, sku="rare")
    (opened,) = exceptions.list_all(line.connection, shop.MERCHANT)
    key = opened.exception_key
    with pytest.raises(errors.InvalidInput, match=r"rare: 0\.5 more are promised"):
        stock_changes.close_exception(line.connection, key, "otto", "why", 2)
    record(line, Reason.RECEIPT, 500, document_id="d-2", sku="rare")
    stock_changes.close_exception(line.connection, key, "otto", "why", 2)
    assert not invariants.check(line.connection)
    for unknown in (key, 99):
        with pytest.raises(errors.InvalidInput, match="no open exception"):
            stock_changes.close_exception(line.connection, unknown, "otto", "why", 2)
