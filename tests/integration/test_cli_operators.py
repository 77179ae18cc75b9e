"""What operators do with `souk dlq drop` and `souk payments` when an order is left with them."""

import json
from pathlib import Path
from typing import NoReturn

import pytest
import sqlalchemy as sa

from internal.cli import database
from internal.infra import clock, db
from internal.kernel import ids
from internal.payments.gateways import simulator
from internal.pipeline import dead_letters
from internal.seeds import demo_shop
from internal.stages import finalization
from tests.integration import test_cli
from tests.integration.test_cli import LINE, MINE, Souk, is_soon, letter

data, bare, souk = test_cli.data, test_cli.bare, test_cli.souk
"""The fixtures of the engine, of the command alone, and of the command on the engine's data."""


def stopped_order(souk: Souk, data: Path, order_id: str, pay: str) -> int:
    """Place an order that finalization puts aside, as if it had a bug; return its letter."""
    pay_and_name = ("--pay", pay, "--order-id", order_id)
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(finalization, "finalize", fail)
        assert souk("orders", "submit", *LINE, *pay_and_name).code == 0
        subject = ids.Subject("order", demo_shop.MERCHANT_ID, order_id)

        def letters() -> list[dead_letters.DeadLetter]:
            return database.read(data, lambda c: dead_letters.of_subject(c, subject))

        assert is_soon(lambda: bool(letters()))
        (found,) = letters()
    return found.letter_key


def fail(*_: object) -> NoReturn:
    """Stand for a stage that has a bug."""
    raise KeyError("sku")


def interrupted(connection: sa.Connection, order_id: str, at_us: int) -> int:
    """Record an accepted order whose charge is PENDING since then, without a deadline."""
    rows = {"orders": {"merchant_id": "demo", "order_id": order_id, "state": "ACCEPTED"}}
    rows["orders"] |= {"charge_state": "PENDING", "stock_state": "RESERVED", "channel": "TILL"}
    rows["payment_attempts"] = {"operation": "SALE", "state": "PENDING"}
    rows["merchants"] = {"merchant_id": "demo"}
    for name, named in rows.items():
        table = db.METADATA.tables[name]
        needed = [c for c in table.c if c.server_default is None]
        empty = {c.name: at_us if isinstance(c.type, sa.BigInteger) else "" for c in needed}
        currency = {"currency": "EUR"} if "currency" in table.c else {}
        values = empty | named | currency | ({"due_at_us": None} if name == "orders" else {})
        if name != "merchants" or order_id == "old":
            connection.execute(table.insert().values(values))
    return 1


class TestDroppedLetters:
    def test_dropping_asks_what_becomes_of_an_open_order(self, souk: Souk, data: Path) -> None:
        """Cash is handed back in the transaction; the card's money by the running engine."""
        names = {pay: f"held-{ids.random_token(4)}" for pay in ("cash", "card:tok_ok")}
        keys = [str(stopped_order(souk, data, name, pay)) for pay, name in names.items()]
        reason = ("--reason", "cannot be mended", "--yes")
        refused = souk("dlq", "drop", *keys, *reason, "--json")
        error = json.loads(refused.err)["error"]
        assert (refused.code, error["reason"]) == (1, "ORDERS_HELD_UP")
        assert "--then: nothing but these letters belongs to demo/held-" in error["text"]
        assert souk("dlq", "drop", *keys, *reason, "--then", "perhaps").code == 2
        assert souk("check").code == 0

        said = souk("dlq", "drop", *keys, *reason, "--then", "reject")
        assert said.out.splitlines() == [
            "2 dropped",
            f"demo/{names['cash']} is rejected",
            f"demo/{names['card:tok_ok']} is rejected as soon as its money is returned",
        ]
        for name in names.values():
            watched = souk("orders", "watch", name)
            assert (watched.code, "GIVEN_UP_BY_OPERATOR" in watched.out) == (1, True)
        assert souk("check").code == 0

    def test_an_order_is_driven_on(self, souk: Souk, data: Path) -> None:
        name = f"held-{ids.random_token(4)}"
        key = str(stopped_order(souk, data, name, "card:tok_ok"))
        drop = ("dlq", "drop", key, "--then", "drive-on", "--reason", "mended", "--yes", "--json")
        named = [{"merchant_id": "demo", "order_id": name}]
        assert souk(*drop).json == {
            "dropped": 1,
            "driven_on": named,
            "rejected": [],
            "returning": [],
            "not_recorded": [],
        }
        assert souk("orders", "watch", name).code == 0

    def test_an_order_that_is_not_recorded_is_told(self, souk: Souk, data: Path) -> None:
        letters = [f"d-{ids.random_token(4)}" for _ in range(2)]
        for name in letters:
            database.write(data, lambda c, it=name: dead_letters.store(c, letter(it)))  # type: ignore[misc]
        drop = ("dlq", "drop", "--code", "KEYERROR", "--reason", "noise", "--yes")
        said = souk(*drop)
        assert said.words.startswith("2 dropped demo/")
        for name in letters:
            assert f"demo/{name} is not recorded: nothing is held" in said.words


class TestPrivacy:
    def test_an_order_is_erased_once_it_has_ended(self, souk: Souk) -> None:
        name = f"p-{ids.random_token(4)}"
        place = ("orders", "submit", *LINE, "--pay", "card:tok_ok", "--order-id", name, "--wait")
        assert souk(*place, "--note", "ring twice").code == 0
        assert "note: ring twice" in souk("orders", "get", name).words
        erase = ("privacy", "erase", name, "--yes")
        assert souk(*erase).code == 2
        assert souk(*erase, "--reason", "a wish").out == f"2 values of {name} are erased\n"
        assert "ring twice" not in souk("orders", "get", name).words
        assert souk(*erase, "--reason", "again", "--json").json == {"values": 0, "letters": []}
        assert "PRIVATE_VALUES_ERASED" in souk("orders", "show", name).words
        assert souk("check").code == 0
        unknown = souk("privacy", "erase", "nobody", "--reason", "a wish", "--yes")
        assert (unknown.code, "there is no order" in unknown.err) == (1, True)

    def test_a_letter_that_was_erased_is_dropped(self, souk: Souk, data: Path) -> None:
        name = f"p-{ids.random_token(4)}"
        key = database.write(data, lambda c: dead_letters.store(c, letter(name)))
        shown = souk("dlq", "show", str(key))
        assert "a private half is held apart" in shown.words
        assert "tok_ok" not in shown.out
        assert '{"tokens":{"t1":"tok_ok"}}' in souk("dlq", "show", str(key), "--private").out
        said = souk("privacy", "erase", name, "--reason", "a wish", "--yes")
        assert f"dead letter {key} cannot be replayed any more" in said.words
        assert "was erased" in souk("dlq", "replay", str(key), "--yes").err
        assert souk("dlq", "drop", str(key), "--reason", "erased", "--yes").code == 0


class TestPayments:
    def test_a_call_that_was_interrupted(self, bare: Souk, tmp_path: Path) -> None:
        """Listed once the timeout of the gateway has passed; nothing drives its order on."""
        here = ("--data", str(tmp_path))
        bare("migrate", *here)
        long_ago_us = clock.SystemClock().now_us() - 60_000_000
        database.write(tmp_path, lambda c: interrupted(c, "old", long_ago_us))
        now_us = long_ago_us + 120_000_000
        database.write(tmp_path, lambda c: interrupted(c, "new", now_us))
        (it,) = bare("payments", "unknown", *here, "--json").json["payments"]
        assert (it["order_id"], it["state"], it["next_check_us"]) == ("old", "PENDING", None)
        assert "SALE PENDING" in bare("payments", "unknown", *here).words
        assert "`souk payments decide`" in bare("orders", "show", "old", *here, *MINE).words
        findings = bare("check", *here, "--json").json["findings"]
        left = [finding["examples"] for finding in findings if finding["invariant"] == "I11"]
        assert [len(examples) for examples in left] == [2]

    def test_a_ledger_of_the_gateway_that_cannot_be_read(self, bare: Souk, tmp_path: Path) -> None:
        here = ("--data", str(tmp_path))
        bare("migrate", *here)
        (tmp_path / simulator.FILE).write_bytes(b"no ledger, but long enough to be looked at" * 99)
        said = bare("check", *here)
        assert (said.code, said.err.count("\n")) == (3, 1)
        assert f"{simulator.FILE} is damaged, or not a database that can be read" in said.err
