"""Good books hold every rule; books that were damaged in one place break exactly that rule."""

import string
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import sqlalchemy as sa

from internal.checks import findings, invariants
from internal.checks import orders as order_checks
from internal.kernel.clock import US_PER_SECOND
from internal.orders import store
from internal.pricing.messages import Discount, DiscountKind
from tests.support import gateways, shop, staged_orders
from tests.support.gateways import Fault
from tests.unit.checks import corruptions

NAMES = ("sale", "split", "paid", "open", "asked", "declined", "away", "unknown-sku", "cancelled")
DONE = ("sale", "split", "declined", "away", "unknown-sku", "cancelled")
CANARY = "4111111111111111"


class Books(NamedTuple):
    """Good books with an order of every kind, and what the gateway has captured by its own."""

    connection: sa.Connection
    captured: dict[str, int]

    def look(self, **more: object) -> list[findings.Finding]:
        return invariants.check(
            self.connection,
            captured_at_gateway=self.captured,
            now_us=shop.NOW_US,
            **more,  # type: ignore[arg-type]
        )

    def damage(self, *statements: str) -> None:
        """Run SQL in which `$sale` stands for the order_key of the order called "sale"."""
        query = sa.select(store.ORDERS.c.order_id, store.ORDERS.c.order_key).where(
            store.ORDERS.c.merchant_id == shop.MERCHANT
        )
        keys = {name.replace("-", "_"): key for name, key in self.connection.execute(query)}
        for statement in statements:
            sql = string.Template(statement).substitute(
                keys, now=shop.NOW_US, canary=CANARY, log=corruptions.LOG
            )
            self.connection.exec_driver_sql(sql)


@pytest.fixture(scope="module")
def good(any_engine: sa.Engine | None) -> Iterator[Books]:
    with staged_orders.books_of(any_engine) if any_engine else staged_orders.books() as connection:
        shop.open_for_business(connection)
        yield Books(connection, _trade(connection))


@pytest.fixture
def books(good: Books) -> Iterator[Books]:
    with staged_orders.undone(good.connection):
        yield Books(good.connection, dict(good.captured))


def _trade(connection: sa.Connection) -> dict[str, int]:
    gateway = gateways.FaultyGateway()
    line = staged_orders.StagedOrders(connection, gateway)
    tenth = Discount(DiscountKind.BASIS_POINTS, 1_000)
    two = (shop.cash(500), shop.card())
    line.carry(
        shop.placed("sale"),
        shop.placed("split", ("tea", 2), ("cup", 3), tenders=two, discount=tenth),
        shop.placed("declined", tenders=(shop.cash(200), shop.card(token="tok_declined:no"))),
        shop.placed("unknown-sku", ("nope", 1)),
        shop.placed("gift", ("gift", 1)),
        shop.placed("sale", merchant_id=shop.OTHER_MERCHANT),
    )
    line.carry(shop.placed("sale", ("cup", 1)))  # another order under the same id
    line.step(*line.step(shop.placed("paid", ("cup", 4), tenders=(shop.card(),))))
    line.step(shop.placed("cancelled", ("tea", 9)))
    line.step(shop.cancel("cancelled"), shop.cancel("paid", "too late"))
    gateway.faults.extend([Fault.LOST_ANSWER])
    line.carry(shop.placed("asked", tenders=(shop.card(),)))
    gateway.faults.extend([Fault.AWAY] * 4)
    away = line.step(shop.placed("away", tenders=(shop.card(),)))
    for _ in range(4):
        line.carry(*away)
        line.clock.advance_us(60 * US_PER_SECOND)
    line.step(shop.placed("open"))
    return gateway.captured


def test_good_books_hold_every_rule(books: Books) -> None:
    done = [(shop.MERCHANT, name) for name in DONE]
    assert not books.look(acknowledged=done, backlog={"order_processing": 0})
    assert not invariants.canaries(books.connection, [CANARY, "tok_nobody"])


def test_every_kind_of_order_is_in_the_books(books: Books) -> None:
    assert invariants.summary(books.connection) == [
        invariants.Tally("ACCEPTED", "", 2),
        invariants.Tally("CANCELLED", "CANCELLED_BY_MERCHANT", 1),
        invariants.Tally("FINALIZED", "", 4),
        invariants.Tally("PAID", "", 1),
        invariants.Tally("REJECTED", "GATEWAY_UNAVAILABLE", 1),
        invariants.Tally("REJECTED", "PAYMENT_DECLINED", 1),
        invariants.Tally("REJECTED", "UNKNOWN_SKU", 1),
    ]


@pytest.mark.parametrize("name", corruptions.DAMAGES)
def test_one_damage_is_one_finding(books: Books, name: str) -> None:
    expected, *statements = corruptions.DAMAGES[name]
    if corruptions.takes_apart(statements) and books.connection.dialect.name != "sqlite":
        pytest.skip("tables of a server cannot be put together again")
    books.damage(*statements)
    found = [f"{finding.invariant} {finding.sentence}" for finding in books.look()]
    assert len(found) == 1, found
    invariant, _, words = expected.partition(" ")
    assert found[0].startswith(f"{invariant} ")
    assert words in found[0]


def test_a_transaction_out_of_balance_unbalances_its_merchant(books: Books) -> None:
    books.damage(
        "UPDATE ledger_entries SET credit_minor = credit_minor + 1"
        " WHERE account = 'revenue' AND source_key = $sale"
    )
    each, whole = books.look()
    assert (whole.invariant, each.invariant) == ("I4", "I4")
    assert whole.examples == ("merchant_id=m-1 currency=EUR difference=-1",)
    (example,) = each.examples
    assert example.startswith("source_kind=sale source_key=")
    assert example.endswith(" difference=-1")


def test_a_finding_tells_where(books: Books) -> None:
    books.damage("UPDATE stock SET on_hand = 7 WHERE merchant_id = 'm-2' AND sku = 'rare'")
    (found,) = books.look()
    assert found.count == 1
    assert found.examples == (
        "merchant_id=m-2 store_id=main sku=rare on_hand=7 moved=2 reserved=0 promised=0",
    )


def test_a_finding_counts_all_and_shows_a_few(books: Books) -> None:
    books.damage("UPDATE stock SET on_hand = on_hand + 1")
    (found,) = books.look()
    assert found.count == len(shop.STOCK) * 2
    assert len(found.examples) == findings.EXAMPLES_MAX


def test_a_missing_order_is_found(books: Books) -> None:
    names = [(shop.MERCHANT, "sale"), (shop.MERCHANT, "lost"), ("m-3", "sale")]
    (found,) = books.look(acknowledged=iter(names))
    assert (found.invariant, found.count) == ("I1", 2)
    assert "merchant_id=m-1 order_id=lost" in found.examples[0]


def test_an_unfinished_order_is_found(books: Books) -> None:
    names = [(shop.MERCHANT, name) for name in NAMES]
    (found,) = books.look(acknowledged=names)
    assert (found.invariant, found.count) == ("I1", 3)


def test_an_order_may_wait_for_an_operator(books: Books) -> None:
    names = [(shop.MERCHANT, name) for name in (*DONE, "asked")]
    books.damage("UPDATE orders SET due_at_us = NULL WHERE order_key = $asked")
    assert not books.look(acknowledged=names, may_wait=True)
    assert len(books.look(acknowledged=names)) == 1


def test_many_names_are_read_in_batches(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_checks, "NAMES_AT_ONCE", 2)
    names = [(shop.MERCHANT, name) for name in (*DONE, "lost")]
    (found,) = books.look(acknowledged=iter(names))
    assert found.count == 1


def test_a_backlog_is_found(books: Books) -> None:
    (found,) = books.look(backlog={"order_processing": 0, "finalization": 3})
    assert (found.invariant, found.count) == ("I9", 3)
    assert found.examples == ("subscription=finalization messages=3",)


def test_money_that_nobody_knows_of_is_found(books: Books) -> None:
    books.captured["m-1/stranger/1"] = 700
    (found,) = books.look()
    assert found.examples == ("key=m-1/stranger/1 captured=700",)
    assert "no attempt knows of" in found.sentence


@pytest.mark.parametrize("key", ["m-1/split/2", "m-1/paid/1"])
def test_money_that_the_gateway_does_not_have_is_found(books: Books, key: str) -> None:
    del books.captured[key]
    (found,) = books.look()
    assert f"key={key}" in found.examples[0]


@pytest.mark.parametrize("key", ["m-1/split/2", "m-1/asked/1"])
def test_another_amount_at_the_gateway_is_found(books: Books, key: str) -> None:
    books.captured[key] += 1
    (found,) = books.look()
    assert f"key={key}" in found.examples[0]


@pytest.mark.parametrize("key", ["m-1/declined/2", "m-1/away/1"])
def test_money_of_a_refused_order_at_the_gateway_is_found(books: Books, key: str) -> None:
    query = sa.text("SELECT amount_minor FROM payment_attempts WHERE attempt_key = :key")
    books.captured[key] = books.connection.execute(query, {"key": key}).scalar_one()
    (found,) = books.look()
    assert f"key={key}" in found.examples[0]


def test_an_unknown_charge_may_be_at_the_gateway_or_not(books: Books) -> None:
    del books.captured["m-1/asked/1"]
    assert not books.look()


def test_a_void_under_way_may_have_been_done_or_not(books: Books) -> None:
    books.damage(
        "INSERT INTO payment_attempts SELECT order_key, 2, 'VOID', tender_no, tender_kind,"
        " amount_minor, currency, 'void', 'UNKNOWN', '', attempt_key, '', '', 1, 0"
        " FROM payment_attempts WHERE attempt_key = 'm-1/asked/1'",
        "UPDATE payment_attempts SET state = 'SUCCEEDED' WHERE attempt_key = 'm-1/asked/1'",
    )
    assert not books.look()
    del books.captured["m-1/asked/1"]
    assert not books.look()


def test_a_second_capture_at_the_gateway_is_found(books: Books) -> None:
    books.damage(
        "INSERT INTO payment_attempts SELECT order_key, 2, kind, tender_no, tender_kind,"
        " amount_minor, currency, 'again', state, card_token, '', '', '', 1, 0"
        " FROM payment_attempts WHERE attempt_key = 'm-1/asked/1'"
    )
    books.captured["again"] = books.captured["m-1/asked/1"]
    (found,) = books.look()
    assert "once at most" in found.sentence
    assert "second=again" in found.examples[0]


def test_a_canary_is_found_wherever_it_stands(books: Books) -> None:
    books.damage(
        "UPDATE order_log SET fact = '<$canary>' WHERE version = 3",
        "UPDATE orders SET explanation = '($canary)' WHERE order_id = 'open'",
    )
    (found,) = invariants.canaries(books.connection, ["tok_nobody", CANARY])
    assert found.invariant == "I10"
    assert sorted(found.examples) == [
        "column=order_log.fact rows=9",
        "column=orders.explanation rows=1",
    ]
    assert CANARY not in str(found)


def test_empty_books_are_good() -> None:
    with staged_orders.books() as connection:
        assert not invariants.check(
            connection, captured_at_gateway={}, acknowledged=[], backlog={}, now_us=1
        )
        assert not invariants.summary(connection)
