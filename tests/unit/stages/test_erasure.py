"""Erasing what is private of an order: it is gone, and everything that is recorded still agrees."""

from collections.abc import Iterator

import msgspec
import pytest
import sqlalchemy as sa

from internal.auth import audit_log
from internal.checks import invariants
from internal.flow import replay, topics
from internal.kernel import errors, facts, ids
from internal.kernel.facts import Fact
from internal.orders import codec, messages, store
from internal.pipeline import dead_letters
from internal.privacy import store as privacy_store
from internal.privacy.messages import Private
from internal.privacy.store import Subject
from internal.stages import erasure
from tests.support import gateways, shop, staged_orders

NOTE = "ring twice at Miller's"
CARDS = (shop.card(400, "tok_first"), shop.card(token="tok_second"))


class Desk:
    """An order with a note and two cards, and those who erase."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.gateway = gateways.FaultyGateway()
        self.line = staged_orders.StagedOrders(connection, self.gateway)

    def place(self, order_id: str = "o", merchant_id: str = shop.MERCHANT) -> list[Fact]:
        """Place an order; its facts up to ACCEPTED."""
        order = shop.placed(order_id, tenders=CARDS, merchant_id=merchant_id)
        (outcome,) = self.line.record(topics.PLACED, self.line.work(order, note=NOTE))
        return [order, *outcome.facts]  # type: ignore[union-attr]

    def finish(self, order_id: str = "o", merchant_id: str = shop.MERCHANT) -> list[Fact]:
        placed, accepted = self.place(order_id, merchant_id)
        return [placed, accepted, *self.line.carry(accepted)]

    def erase(self, order_id: str = "o") -> erasure.Erased:
        ref = ids.OrderRef(shop.MERCHANT, order_id)
        with staged_orders.transaction(self.connection):
            return erasure.erase(self.connection, erasure.Wish(ref, "alex", "a wish", 7))

    def values(self) -> list[str]:
        table = privacy_store.PRIVATE_VALUES.c
        return sorted(self.connection.execute(sa.select(table.content)).scalars())


@pytest.fixture
def desk(any_database: sa.Connection) -> Iterator[Desk]:
    shop.open_for_business(any_database)
    desk = Desk(any_database)
    yield desk
    assert not invariants.check(any_database, captured_at_gateway=desk.gateway.captured)


def test_the_values_of_one_order_are_gone_and_nothing_else(desk: Desk) -> None:
    desk.finish()
    desk.finish("other")
    desk.finish("o", shop.OTHER_MERCHANT)
    assert desk.line.view("o").note == NOTE
    tables = table_contents(desk.connection)
    assert desk.erase() == erasure.Erased(3, ())
    assert desk.values() == sorted(2 * [NOTE, "tok_first", "tok_second"])
    assert desk.line.view("o").note == ""
    assert desk.line.view("other").note == NOTE
    assert table_contents(desk.connection) == tables
    assert desk.erase() == erasure.Erased(0, ())


def table_contents(connection: sa.Connection) -> dict[str, list[tuple[object, ...]]]:
    """Return the rows of all tables but the private values and the operators' log."""
    names = set(sa.inspect(connection).get_table_names()) - {"private_values", "operator_log"}
    return {
        name: [tuple(row) for row in connection.execute(sa.text(f"SELECT * FROM {name}"))]  # noqa: S608
        for name in sorted(names)
    }


def test_every_digest_and_a_replay_of_the_log_still_agree(desk: Desk) -> None:
    known = desk.finish()
    desk.erase()
    log = store.ORDER_LOG.c
    rows = desk.connection.execute(sa.select(log.fact, log.digest)).all()
    assert all(facts.digest(fact.encode()) == digest for fact, digest in rows)
    logged = [codec.decode(fact) for fact, _ in rows]
    assert {type(fact) for fact in logged} == {type(fact) for fact in known}
    before = table_contents(desk.connection)
    again = desk.line.step(*logged)
    assert {type(fact) for fact in again} <= {type(fact) for fact in known}
    assert table_contents(desk.connection) == before


def test_a_retry_is_still_recognised_and_another_order_still_refused(desk: Desk) -> None:
    placed, *_ = desk.finish()
    desk.erase()
    desk.line.carry(placed)
    assert isinstance(placed, messages.OrderPlaced)
    other = msgspec.structs.replace(placed, body_hash="another")
    desk.line.carry(other)
    reasons = [entry.reason for entry in desk.line.view("o").timeline]
    assert reasons.count("ORDER_ID_REUSED") == 1
    assert desk.values() == []


def test_who_erased_and_why_is_logged(desk: Desk) -> None:
    desk.finish()
    desk.erase()
    (action,) = audit_log.of_order(desk.connection, shop.MERCHANT, "o")
    assert (action.actor, action.action, action.reason) == ("alex", erasure.ACTION, "a wish")
    assert (action.detail, action.at_us) == ("3 values", 7)


@pytest.mark.parametrize("steps", [0, 1])
def test_an_order_that_may_need_its_token_keeps_it(desk: Desk, steps: int) -> None:
    _, accepted = desk.place()
    if steps:
        desk.line.step(accepted)
    with pytest.raises(errors.InvalidInput, match="token"):
        desk.erase()
    assert len(desk.values()) == 3
    assert not audit_log.of_order(desk.connection, shop.MERCHANT, "o")


def test_an_order_that_nothing_is_known_of(desk: Desk) -> None:
    desk.finish("o", shop.OTHER_MERCHANT)
    with pytest.raises(errors.InvalidInput, match="no order"):
        desk.erase()
    assert len(desk.values()) == 3


def test_what_dead_letters_hold_is_erased_too_and_they_are_not_whole_then(desk: Desk) -> None:
    order = shop.placed("lost", tenders=CARDS)
    place = dead_letters.Place("order_processing", topics.PLACED)
    new = dead_letters.of_fact(place, order, shop.half_of(order, NOTE), KeyError("sku"), 1)
    other = dead_letters.of_fact(place, shop.placed("o"), Private("mine"), KeyError("sku"), 1)
    with staged_orders.transaction(desk.connection):
        key, kept = (dead_letters.store(desk.connection, it) for it in (new, other))
    assert desk.erase("lost") == erasure.Erased(1, (key,))
    letters = dead_letters.find_many(desk.connection, [key, kept])
    held = dead_letters.contents_of(desk.connection, letters)
    assert [replay.is_whole(letter, held) for letter in letters] == [False, True]
    assert privacy_store.find(desk.connection, Subject.LETTER, [key, kept]).keys() == {kept}
    (action,) = audit_log.of_order(desk.connection, shop.MERCHANT, "lost")
    assert action.detail == f"1 values, dead letters {key}"
    dead_letters.close(desk.connection, [key, kept], "dropped", 1)
    assert desk.values() == []


def test_the_reason_of_a_cancel_request_is_erased(desk: Desk) -> None:
    desk.place()
    request = desk.line.work(shop.cancel("o"), note="the customer, Ms Miller, is ill")
    desk.line.record(topics.PLACED, request)
    assert desk.line.view("o").state == "CANCELLED"
    assert desk.erase() == erasure.Erased(4, ())
    assert desk.values() == []


def test_the_reason_of_a_request_that_waits_is_erased(desk: Desk) -> None:
    request = desk.line.work(shop.cancel("o"), note="the customer, Ms Miller, is ill")
    desk.line.record(topics.PLACED, request)
    assert len(desk.values()) == 1
    assert desk.erase() == erasure.Erased(1, ())
    assert desk.values() == []
    desk.line.step(shop.placed("o"))
    assert desk.line.view("o").state == "CANCELLED"
