"""A correct database holds every rule; one corrupted in one place breaks exactly that rule."""

import contextlib

import pytest
import sqlalchemy as sa

from internal.checks import findings, invariants
from internal.checks import orders as order_checks
from tests.support import plans, shop, staged_orders
from tests.unit.checks import corruptions
from tests.unit.checks.good_database import CANARY, DONE, NAMES, Database


def test_a_correct_database_holds_every_rule(database: Database) -> None:
    done = [(shop.MERCHANT, name) for name in DONE]
    assert not database.check(acknowledged=done, backlog={"order_processing": 0})
    assert not invariants.canaries(database.connection, [CANARY, "tok_never_used"])


def test_every_kind_of_order_is_in_the_database(database: Database) -> None:
    assert invariants.summary(database.connection) == [
        invariants.Tally("ACCEPTED", "", 3),
        invariants.Tally("CANCELLED", "CANCELLED_BY_MERCHANT", 1),
        invariants.Tally("FINALIZED", "", 4),
        invariants.Tally("PAID", "", 1),
        invariants.Tally("REJECTED", "GATEWAY_UNAVAILABLE", 1),
        invariants.Tally("REJECTED", "PAYMENT_DECLINED", 1),
        invariants.Tally("REJECTED", "UNKNOWN_SKU", 1),
    ]


@pytest.mark.parametrize("name", corruptions.CORRUPTIONS)
def test_one_corruption_is_one_finding(database: Database, name: str) -> None:
    expected, *statements = corruptions.CORRUPTIONS[name]
    replaces_tables = corruptions.replaces_tables(statements)
    if replaces_tables and database.connection.dialect.name != "sqlite":
        pytest.skip("a server cannot roll back the replacement of a table")
    database.corrupt(*statements)
    with plans.PLANS.paused() if replaces_tables else contextlib.nullcontext():
        found = [f"{finding.invariant} {finding.sentence}" for finding in database.check()]
    assert len(found) == 1, found
    invariant, _, words = expected.partition(" ")
    assert found[0].startswith(f"{invariant} ")
    assert words in found[0]


def test_an_unbalanced_transaction_unbalances_its_merchant(database: Database) -> None:
    database.corrupt(corruptions.REVENUE.format(change="- 1", key="$sale"), *corruptions.REBALANCE)
    each, whole = database.check()
    assert (whole.invariant, each.invariant) == ("I4", "I4")
    assert whole.sentence == "debits equal credits, per merchant and currency"
    assert whole.examples == ("merchant_id=m-1 currency=EUR difference=-1",)
    (example,) = each.examples
    assert "source_kind=sale source_key=" in example
    assert example.endswith(" difference=-1")


def test_a_finding_names_the_row(database: Database) -> None:
    database.corrupt(
        "UPDATE stock SET on_hand_milli = 7 WHERE merchant_id = 'm-2' AND sku = 'rare'"
    )
    (found,) = database.check()
    assert found.count == 1
    assert found.examples == (
        "merchant_id=m-2 location_id=main sku=rare lot= on_hand_milli=7 moved_milli=2000"
        " reserved_milli=0 promised_milli=0",
    )


def test_a_finding_counts_all_rows_and_shows_a_few(database: Database) -> None:
    database.corrupt("UPDATE stock SET on_hand_milli = on_hand_milli + 1")
    (found,) = database.check()
    assert found.count == len(shop.STOCK) * 2
    assert len(found.examples) == findings.EXAMPLES_MAX


def test_a_missing_order_is_found(database: Database) -> None:
    names = [(shop.MERCHANT, "sale"), (shop.MERCHANT, "lost"), ("m-3", "sale")]
    (found,) = database.check(acknowledged=iter(names))
    assert (found.invariant, found.count) == ("I1", 2)
    assert found.sentence == "an order that was answered OK is recorded"
    assert "merchant_id=m-1 order_id=lost" in found.examples[0]


def test_an_unfinished_order_is_found(database: Database) -> None:
    names = [(shop.MERCHANT, name) for name in NAMES]
    (found,) = database.check(acknowledged=names)
    assert (found.invariant, found.count) == ("I1", 3)
    assert found.sentence == "an order that was answered OK comes to its end"


def test_an_order_may_wait_for_an_operator(database: Database) -> None:
    names = [(shop.MERCHANT, name) for name in (*DONE, "asked")]
    database.corrupt("UPDATE orders SET due_at_us = NULL WHERE order_key = $asked")
    assert not database.check(acknowledged=names, may_wait=True)
    assert len(database.check(acknowledged=names)) == 1


def test_acknowledged_orders_are_read_in_batches(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_checks, "BATCH_ORDERS", 2)
    names = [(shop.MERCHANT, name) for name in (*DONE, "lost")]
    (found,) = database.check(acknowledged=iter(names))
    assert found.count == 1


def test_a_backlog_is_found(database: Database) -> None:
    (found,) = database.check(backlog={"order_processing": 0, "finalization": 3})
    assert (found.invariant, found.count) == ("I9", 3)
    assert found.sentence == "nothing is left unacknowledged"
    assert found.examples == ("subscription=finalization messages=3",)


def test_a_capture_without_an_attempt_is_found(database: Database) -> None:
    database.captured["m-1/stranger/1"] = 700
    (found,) = database.check()
    assert found.examples == ("key=m-1/stranger/1 captured=700",)
    assert "no attempt knows of" in found.sentence


@pytest.mark.parametrize("key", ["m-1/split/1", "m-1/paid/1"])
def test_a_capture_that_is_missing_at_the_gateway_is_found(database: Database, key: str) -> None:
    del database.captured[key]
    (found,) = database.check()
    assert f"key={key}" in found.examples[0]


@pytest.mark.parametrize("key", ["m-1/split/1", "m-1/asked/1"])
def test_another_amount_at_the_gateway_is_found(database: Database, key: str) -> None:
    database.captured[key] += 1
    (found,) = database.check()
    assert found.sentence == "the gateway and the attempts agree on what is captured"
    assert f"key={key}" in found.examples[0]


@pytest.mark.parametrize("key", ["m-1/declined/1", "m-1/away/1"])
def test_a_capture_for_a_rejected_order_is_found(database: Database, key: str) -> None:
    query = sa.text("SELECT asked_minor FROM payment_attempts WHERE attempt_key = :key")
    database.captured[key] = database.connection.execute(query, {"key": key}).scalar_one()
    (found,) = database.check()
    assert f"key={key}" in found.examples[0]


def test_an_unknown_charge_may_or_may_not_be_at_the_gateway(database: Database) -> None:
    del database.captured["m-1/asked/1"]
    assert not database.check()


def test_an_open_void_may_or_may_not_be_done(database: Database) -> None:
    database.corrupt(
        corruptions.ATTEMPT.format(
            key="$asked",
            **(corruptions.SALE | {"operation": "VOID", "parent": 1, "state": "UNKNOWN"}),
        ),
        "UPDATE payment_attempts SET state = 'SUCCEEDED', answered_minor = asked_minor"
        " WHERE attempt_key = 'm-1/asked/1'",
    )
    assert not database.check()
    del database.captured["m-1/asked/1"]
    assert not database.check()


def test_a_second_capture_at_the_gateway_is_found(database: Database) -> None:
    database.corrupt(
        corruptions.ATTEMPT.format(key="$asked", **(corruptions.SALE | {"state": "UNKNOWN"}))
    )
    database.captured["key-8"] = 5
    (found,) = database.check()
    assert "once at most" in found.sentence
    assert "second=key-8" in found.examples[0]


def test_a_canary_is_found_in_any_column(database: Database) -> None:
    database.corrupt(
        "UPDATE order_log SET fact = '<$canary>' WHERE state = 'PAID'",
        "INSERT INTO order_refusals VALUES (999, 'A', '($canary)')",
    )
    (found,) = invariants.canaries(database.connection, ["tok_never_used", CANARY])
    assert found.invariant == "I10"
    assert found.sentence == "no card number or secret is in the database"
    assert sorted(found.examples) == [
        "column=order_log.fact rows=5",
        "column=order_refusals.explanation rows=1",
    ]
    assert CANARY not in str(found)


def test_an_empty_database_holds_every_rule() -> None:
    with staged_orders.database() as connection:
        assert not invariants.check(
            connection, captured_at_gateway={}, acknowledged=[], backlog={}, now_us=1
        )
        assert not invariants.summary(connection)
