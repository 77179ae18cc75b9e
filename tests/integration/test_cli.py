"""The `souk` command beside a running engine: what it prints, and its exit codes."""

import asyncio
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from loguru import logger

from internal.cli import database, main
from internal.host import engine
from internal.infra import clock, logs, migrate, settings
from internal.infra.data_folder import files
from internal.kernel import errors, ids
from internal.ledger import accounts
from internal.ledger import store as ledger_store
from internal.ledger.messages import AccountKind, AccountRef, Posting, Transaction
from internal.orders.messages import OrderPlaced
from internal.payments.messages import Tender, TenderKind
from internal.pipeline import dead_letters
from internal.pricing.messages import WantedLine
from internal.privacy.messages import Private
from internal.seeds import demo_shop

SKU = "COFFEE-250"
LINE = ("--store", "berlin", "--line", SKU)
MINE = ("--merchant", "demo")


class Said(NamedTuple):
    """The output of a command, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """All of it, without frames and line breaks."""
        return re.sub(r"[\s│]+", " ", self.out + self.err)

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever was printed
        """What --json printed."""
        return json.loads(self.out)


Souk = Callable[..., Said]


async def serve(data: Path, started: Callable[[str], None], stop: asyncio.Event) -> None:
    """Run an engine with the demo shop until told to stop."""
    options = settings.load(storage={"data_dir": data}, intake={"port": 0}, metrics={"port": 0})
    async with engine.Engine(options).running() as running:
        now_us = clock.SystemClock().now_us()
        key = await running.database.write(lambda c: demo_shop.seed(c, now_us, ids.random_token))
        (data / files.DEMO_KEY).write_text(key or "")
        started(f"127.0.0.1:{running.port}")
        await stop.wait()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder of an engine that runs beside the tests."""
    place, ready, targets = tmp_path_factory.mktemp("souk"), threading.Event(), []
    logs.setup(settings.LogSettings(file=place / "souk.log"))
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    def started(target: str) -> None:
        targets.append(target)
        ready.set()

    def run() -> None:
        loop.run_until_complete(serve(place, started, stop))
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(30)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SOUK_TARGET", targets[0])
            yield place
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        logger.remove()
        logger.add(sys.stderr)


@pytest.fixture
def bare(capsys: pytest.CaptureFixture[str]) -> Souk:
    """The command, in this process."""

    def run(*arguments: str) -> Said:
        capsys.readouterr()
        code = main.run(list(arguments))
        return Said(code, *capsys.readouterr())

    return run


@pytest.fixture
def souk(data: Path, bare: Souk) -> Souk:
    """The command on the engine's data."""
    return lambda *arguments: bare("--data", str(data), *arguments)


class TestOrders:
    def test_an_order_to_its_end_and_its_receipt(self, souk: Souk) -> None:
        paid = ("--pay", "cash=1", "--pay", "card:tok_ok", "--discount", "10%", "--note", "[b]hi")
        said = souk("orders", "submit", *LINE, "--line", "BOWL-12=2", *paid, "--wait")
        assert said.code == 0
        assert "FINALIZED receipt" in said.words
        assert "House bowl, 12 cm 2 8.59 -1.72 1.37 16.83" in said.words
        assert "BOWL-12, sales 8.875 %" in said.words
        assert "sales 8.875 % on top of 15.46 1.37 EUR" in said.words
        assert "Total 20.87 EUR" in said.words
        assert "Paid by cash 1.00 EUR captured 1.00 EUR" in said.words
        assert "note: [b]hi" in said.words
        assert "finalization FINALIZED" in said.words

    def test_placed_then_read(self, souk: Souk) -> None:
        placed = souk("orders", "submit", *LINE, "--pay", "cash", "--order-id", "c-1", "--json")
        assert (placed.code, placed.json["order_id"]) == (0, "c-1")
        watched = souk("orders", "watch", "c-1")
        assert watched.code == 0
        assert "finalization FINALIZED" in watched.words
        order = souk("orders", "get", "c-1", "--json").json
        assert order["state"] == "ORDER_STATE_FINALIZED"
        assert [entry["event"] for entry in order["timeline"]] == [
            "OrderPlaced",
            "OrderAccepted",
            "OrderPaid",
            "OrderFinalized",
        ]
        again = souk("orders", "submit", *LINE, "--pay", "cash", "--order-id", "c-1", "--json")
        assert again.json["replayed"]

    def test_watching_in_json_resumes(self, souk: Souk) -> None:
        souk("orders", "submit", *LINE, "--pay", "cash", "--order-id", "c-w", "--wait")
        said = souk("orders", "watch", "c-w", "--from-version", "2", "--json")
        lines = [json.loads(line) for line in said.out.splitlines()]
        assert [line["entry"]["version"] for line in lines[:-1]] == ["3", "4"]
        assert lines[-1]["order"]["receipt_number"] != "0"

    @pytest.mark.parametrize(
        ("line", "pay", "reason"),
        [
            ("NOPE", "cash", "UNKNOWN_SKU"),
            (demo_shop.INACTIVE_SKU, "cash", "INACTIVE_SKU"),
            ("TEA-JASMINE-500=9", "cash", "OUT_OF_STOCK"),
            (f"{SKU}@1.00", "cash", "PRICE_CHANGED"),
            (SKU, "card:tok_declined:lost_card", "PAYMENT_DECLINED"),
        ],
    )
    def test_a_rejected_order_is_exit_code_1(
        self, souk: Souk, line: str, pay: str, reason: str
    ) -> None:
        said = souk("orders", "submit", "--store", "berlin", "--line", line, "--pay", pay, "--wait")
        assert said.code == 1
        assert f"{reason}:" in said.words

    def test_not_in_time_is_exit_code_3(self, souk: Souk) -> None:
        slow = ("--pay", "card:tok_slow", "--wait", "--timeout", "1", "--order-id", "c-slow")
        said = souk("orders", "submit", *LINE, *slow)
        assert said.code == 3
        assert "souk orders watch c-slow" in said.err
        assert souk("orders", "watch", "c-slow").code == 0

    def test_a_quote_is_the_order_without_a_trace(self, souk: Souk) -> None:
        before = souk("orders", "list", "--json").json
        said = souk("orders", "quote", *LINE, "--discount", "0.49", "--json")
        assert said.json["totals"]["total"]["units"] == "4"
        assert "tax rounded HALF_UP on each line" in said.json["price_trace"]
        assert "Total 4.00 EUR" in souk("orders", "quote", *LINE, "--discount", "0.49").words
        assert souk("orders", "list", "--json").json == before

    def test_pages_and_filters(self, souk: Souk) -> None:
        for number in range(3):
            souk("orders", "submit", *LINE, "--pay", "cash", "--order-id", f"p-{number}", "--wait")
        only = ("--store", "berlin", "--state", "finalized", "--since", "1h")
        whole = souk("orders", "list", *only, "--all", "--limit", "2", "--json").json
        first = souk("orders", "list", *only, "--limit", "2", "--json").json
        second = souk(
            "orders",
            "list",
            *only,
            "--limit",
            "2",
            "--page-token",
            first["next_page_token"],
            "--json",
        ).json
        ids_of = [order["order_id"] for order in whole["orders"]]
        assert ids_of[:3] == ["p-2", "p-1", "p-0"]
        assert [o["order_id"] for o in first["orders"] + second["orders"]] == ids_of[:4]
        table = souk("orders", "list", *only, "--limit", "1")
        assert "p-2" in table.out
        assert "--page-token" in table.err
        assert not souk("orders", "list", "--until", "365d", "--json").json["orders"]
        assert souk("orders", "list", "--page-token", "x").code == 2
        other = souk("orders", "list", "--page-token", first["next_page_token"])
        assert other.err.startswith("PAGE_TOKEN_INVALID")

    def test_too_late_to_cancel(self, souk: Souk) -> None:
        souk("orders", "submit", *LINE, "--pay", "cash", "--order-id", "c-2", "--wait")
        said = souk("orders", "cancel", "c-2", "--reason", "changed their mind")
        assert said.code == 1
        assert said.err.startswith("ORDER_NOT_CANCELLABLE")

    def test_a_refusal_of_the_server_is_exit_code_1(self, souk: Souk) -> None:
        souk("orders", "submit", *LINE, "--pay", "cash", "--order-id", "c-3")
        reused = souk("orders", "submit", *LINE, "--pay", "card:x", "--order-id", "c-3")
        assert (reused.code, reused.err.split(":")[0]) == (1, "ORDER_ID_REUSED")
        unknown = souk("orders", "get", "nope", "--json")
        assert unknown.code == 1
        assert json.loads(unknown.err)["error"]["reason"] == "ORDER_NOT_FOUND"
        wrong = souk("orders", "submit", *LINE, "--pay", "card:4111111111111111")
        assert "CARD_NUMBER_REFUSED" in wrong.err
        assert "4111" not in wrong.words


class TestKeysAndAddresses:
    @pytest.fixture(autouse=True)
    def _no_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SOUK_API_KEY", raising=False)

    def test_a_merchants_key_opens_its_own_orders_only(
        self, souk: Souk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key = souk("merchants", "create", "other", "--name", "Other", "--json").json["api_key"]
        souk("orders", "submit", *LINE, "--pay", "cash", "--order-id", "k-1")
        file = tmp_path / "key"
        file.write_text(key + "\n")
        assert souk("orders", "get", "k-1", "--api-key-file", str(file)).code == 1
        monkeypatch.setenv("SOUK_API_KEY", key)
        assert souk("orders", "list", "--json").json["orders"] == []

    def test_a_rotated_key(self, souk: Souk, monkeypatch: pytest.MonkeyPatch) -> None:
        souk("merchants", "create", "third")
        old = souk("merchants", "rotate-key", "third").out.strip()
        souk("merchants", "rotate-key", "third", "--json")
        monkeypatch.setenv("SOUK_API_KEY", old)
        said = souk("orders", "list")
        assert said.code == 1
        assert said.err.startswith("API_KEY_INVALID")

    def test_no_key(self, bare: Souk, tmp_path: Path) -> None:
        said = bare("orders", "list", "--data", str(tmp_path))
        assert said.code == 2
        assert "--api-key-file" in said.err

    def test_a_file_without_a_key_is_not_repeated(self, bare: Souk, tmp_path: Path) -> None:
        file = tmp_path / "key"
        file.write_text("hunter2")
        said = bare("orders", "list", "--api-key-file", str(file))
        assert said.code == 2
        assert "hunter2" not in said.words

    def test_no_server_answers(self, souk: Souk) -> None:
        for command in (
            ("list",),
            ("get", "x"),
            ("watch", "x"),
            ("submit", *LINE, "--pay", "cash"),
        ):
            said = souk("orders", *command, "--target", "127.0.0.1:1")
            assert said.code == 3
            assert "No server answers at 127.0.0.1:1. `scripts/start` starts one" in said.words
        assert "--order-id cli-" in said.words

    @pytest.mark.parametrize("half", [["--tls-cert"], ["--tls-cert", "--tls-key"]])
    def test_half_a_certificate(self, souk: Souk, data: Path, half: list[str]) -> None:
        named = [word for name in half for word in (name, str(data / files.DEMO_KEY))]
        assert souk("orders", "list", *named).code == 2


class TestDatabaseCommands:
    def test_check(self, souk: Souk) -> None:
        said = souk("check")
        assert said.code == 0
        assert "every invariant holds" in said.out
        assert souk("check", "--json").json["check_ok"]

    def test_a_broken_invariant_is_exit_code_4(self, bare: Souk, tmp_path: Path) -> None:
        here = ("--data", str(tmp_path))
        bare("migrate", *here)
        lonely = Posting(AccountRef(AccountKind.CASH_DRAWER, "berlin"), 700)
        broken = Transaction(
            source_kind="sale",
            source_key=1,
            business_day=20_261_128,
            merchant_id="m",
            currency="EUR",
            at_us=1,
            postings=(lonely,),
        )
        known = accounts.KnownAccounts()
        database.write(tmp_path, lambda c: ledger_store.append(c, [broken], known, 0))
        balances = bare("ledger", "balances", *here)
        assert balances.code == 4
        assert "Sum 7.00 0.00 7.00" in balances.words
        assert "does NOT balance" in balances.out
        check = bare("check", *here, "--json")
        assert check.code == 4
        assert not check.json["check_ok"]
        assert "I4" in {finding["invariant"] for finding in check.json["findings"]}
        assert "the check FAILED" in bare("check", *here).out

    def test_a_check_begins_after_the_last_seal(self, bare: Souk, tmp_path: Path) -> None:
        here = ("--data", str(tmp_path))
        bare("migrate", *here)
        assert bare("check", *here, "--json").json["since_seal_of"] is None
        sealed = bare("check", *here, "--seal", "--json")
        day = sealed.json["sealed_day"]
        assert sealed.code == 0
        assert bare("check", *here, "--json").json["since_seal_of"] == day
        assert f"since the seal of {day}" in bare("check", *here).words
        assert bare("check", *here, "--all", "--json").json["since_seal_of"] is None
        again = bare("check", *here, "--seal")
        assert again.code == 1
        assert f"{day} is sealed already" in again.words

    def test_a_drained_engine_has_no_message_waiting(self, bare: Souk, tmp_path: Path) -> None:
        here = ("--data", str(tmp_path))
        bare("migrate", *here)
        assert bare("check", *here, "--drained").code == 0
        database.write(tmp_path, lambda connection: dead_letters.store(connection, letter("o-1")))
        assert bare("dlq", "replay", "1", "--yes", *here).code == 0
        assert bare("check", *here).code == 0
        drained = bare("check", *here, "--drained")
        assert drained.code == 4
        assert "I9: nothing is left unacknowledged" in drained.out

    def test_ledger(self, souk: Souk) -> None:
        souk("orders", "submit", *LINE, "--pay", "cash", "--wait")
        said = souk("ledger", "balances", "--json").json
        assert said["is_balanced"]
        assert "cash_drawer:berlin" in {row["account"] for row in said["accounts"]}
        assert "debits equal credits" in souk("ledger", "balances", "--merchant", "demo").out

    def test_import_and_list(self, souk: Souk, tmp_path: Path) -> None:
        file = tmp_path / "products.csv"
        file.write_text("sku,name,price,currency,tax_code\nNEW-1,New,1.50,EUR,standard\n")
        mine = ("--merchant", "demo")
        assert souk("products", "import", str(file), *mine, "--dry-run", "--json").json["new"] == 1
        said = souk("products", "import", str(file), *mine)
        assert said.out == "1 new, 0 changed, 0 unchanged\n"
        again = souk("products", "import", str(file), *mine, "--json").json
        assert again == {"new": 0, "changed": 0, "unchanged": 1}
        page = souk(
            "products", "list", *mine, "--after", "LAMP-WALNUT-60", "--limit", "1", "--json"
        )
        assert [row["price"] for row in page.json["products"]] == ["1.50"]
        assert page.json["next_after"] == "NEW-1"
        done = souk("orders", "submit", "--store", "lisbon", "--line", "NEW-1", "--pay", "cash")
        assert done.code == 0

    def test_one_mistake_and_nothing_is_imported(self, souk: Souk, tmp_path: Path) -> None:
        file = tmp_path / "products.csv"
        file.write_text("sku,name,price,currency,tax_code\nN-2,x,1,EUR,standard\nN-3,x,x,EUR,no\n")
        said = souk("products", "import", str(file), "--merchant", "demo")
        assert said.code == 1
        assert "line 3, price:" in said.err
        assert "line 3, tax_code: there is no tax code 'no'; there are ca-bc, ch-" in said.err
        listed = souk("products", "list", "--merchant", "demo", "--after", "N", "--limit", "1")
        assert "N-2" not in listed.out

    def test_a_new_database_is_only_made_when_asked_for(self, bare: Souk, tmp_path: Path) -> None:
        here = ("--data", str(tmp_path / "new"))
        for command in (["check"], ["products", "list"], ["dlq", "list"], ["merchants", "list"]):
            said = bare(*command, *here)
            assert said.code == 3
            assert "souk migrate --data" in said.err
        assert not (tmp_path / "new").exists()
        made = bare("migrate", *here, "--json").json
        assert (made["before"], made["after"]) == (None, migrate.newest())
        assert "up to date" in bare("migrate", *here).out
        assert bare("check", *here).code == 0
        assert "souk merchants create" in bare("products", "list", *here).err

    def test_files_that_are_not_databases(self, bare: Souk, tmp_path: Path) -> None:
        file = tmp_path / files.DATABASE
        file.write_bytes(b"")
        said = bare("products", "list", "--data", str(tmp_path))
        assert (said.code, "souk migrate" in said.err) == (2, True)
        file.write_bytes(b"no database, but long enough to be looked at" * 100)
        for command in (["products", "list"], ["migrate"]):
            said = bare(*command, "--data", str(tmp_path))
            assert said.code == 3
            assert "not a database that can be read" in said.err

    def test_a_folder_that_cannot_be_used(self, bare: Souk, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_text("")
        assert "cannot be made" in bare("migrate", "--data", str(file)).err
        said = bare("check", "--data", "x" * 5_000, "--json")
        assert (said.code, json.loads(said.err)["error"]["reason"]) == (2, "FILE_UNUSABLE")

    def test_a_database_of_a_newer_version(self, bare: Souk, tmp_path: Path) -> None:
        here = ("--data", str(tmp_path))
        bare("migrate", *here)
        newer = sa.text("UPDATE alembic_version SET version_num = '9999'")
        database.write(tmp_path, lambda connection: connection.execute(newer).rowcount)
        said = bare("migrate", *here)
        assert (said.code, "version 9999" in said.err) == (2, True)


class TestDeadLetters:
    @pytest.fixture
    def letters(self, data: Path) -> list[str]:
        """Two orders that a bug once stopped, and an unreadable message."""
        orders = [f"d-{ids.random_token(4)}" for _ in range(2)]

        def add(connection: Any) -> None:  # noqa: ANN401
            for order_id in orders:
                dead_letters.store(connection, letter(order_id))
            place = dead_letters.Place("finalization", "orders.paid")
            poison = errors.Poison("UNREADABLE_MESSAGE", "?")
            payload = b"{4111 1111 1111 1111"
            dead_letters.store(connection, dead_letters.of_unreadable(place, payload, poison, 1))

        database.write(data, add)
        return orders

    def test_see_replay_drop(self, souk: Souk, letters: list[str]) -> None:
        groups = souk("dlq", "list", "--json").json["groups"]
        assert {(g["stage"], g["code"], g["letters"]) for g in groups} == {
            ("order_processing", "KEYERROR", 2),
            ("finalization", "UNREADABLE_MESSAGE", 1),
        }
        rows = souk("dlq", "list", "--all", "--json").json["letters"]
        first, second, third = (str(row["letter_key"]) for row in rows)
        shown = souk("dlq", "show", first)
        assert "tok_ok" not in shown.out
        assert letters[0] in shown.out
        assert "tok_ok" not in souk("dlq", "show", first, "--json").out
        assert "a private message is held apart" in souk("dlq", "show", third).words

        planned = souk("dlq", "replay", "--all", "--dry-run", "--json").json["groups"]
        assert sum(it["letters"] for it in planned) == 3
        assert f"{first}: 'sku'" in souk("dlq", "replay", "--code", "KEYERROR", "--dry-run").words
        assert souk("dlq", "replay", "--all", first, "--yes").code == 2
        assert souk("dlq", "replay", first, "--yes", "--json").json["replayed"] == 1
        assert souk("dlq", "replay", first, "--yes").code == 1
        assert souk("dlq", "replay", "--code", "KEYERROR", "--yes").out == "1 replayed\n"
        for order_id in letters:
            assert is_soon(lambda: not souk("orders", "get", order_id).code)  # noqa: B023
            assert souk("orders", "watch", order_id).code == 0

        lost = souk("dlq", "replay", third, "--yes")
        assert lost.code == 1
        assert "submit the order again" in lost.err
        drop = ("dlq", "drop", "--stage", "finalization", "--yes")
        assert souk(*drop).code == 2
        assert souk(*drop, "--reason", "noise").out == "1 dropped\n"
        assert souk("dlq", "list").out == "no open letters\n"
        assert f"Letter {second}, replayed" in souk("dlq", "show", second).out

    def test_typos(self, souk: Souk, letters: list[str]) -> None:
        assert letters
        known = "there are order_processing, payment_processing, finalization"
        for verb in (["list"], ["replay"], ["drop", "--reason", "x"]):
            said = souk("dlq", *verb, "--stage", "order_procesing")
            assert (said.code, known in said.err) == (1, True)
        assert "there are KEYERROR, UNREADABLE" in souk("dlq", "list", "--code", "KEY").err
        assert souk("dlq", "show", "9999").code == 1
        assert souk("dlq", "replay").code == 2
        assert souk("dlq", "replay", "1", "--code", "KEYERROR").code == 2


def is_soon(is_so: Callable[[], bool]) -> bool:
    """Wait until it is so; False if that takes too long."""
    give_up_at_s = time.monotonic() + 10
    while not (done := is_so()) and time.monotonic() < give_up_at_s:
        time.sleep(0.05)
    return done


def letter(order_id: str) -> dead_letters.NewLetter:
    """Return an order that the order stage could not record."""
    order = OrderPlaced(
        demo_shop.MERCHANT_ID,
        order_id,
        "berlin",
        demo_shop.CURRENCY,
        (WantedLine(SKU, 1_000),),
        (Tender(TenderKind.CARD, "t1"),),
        "0" * 64,
        clock.SystemClock().now_us(),
    )
    place = dead_letters.Place("order_processing", "orders.placed")
    private = Private(tokens={"t1": "tok_ok"})
    now_us = clock.SystemClock().now_us()
    return dead_letters.of_fact(place, order, private, KeyError("sku"), now_us)


class TestPayments:
    def test_decide_and_ask(self, souk: Souk) -> None:
        """The reply of the gateway is lost, and no test waits for the next inquiry."""
        pay = ("--pay", "card:tok_lost_answer")
        for order_id in ("pay-1", "pay-2"):
            assert souk("orders", "submit", *LINE, *pay, "--order-id", order_id).code == 0
        assert is_soon(lambda: len(souk("payments", "unknown", "--json").json["payments"]) == 2)
        assert "demo/pay-1 1 4.49 EUR 1x SALE UNKNOWN" in souk("payments", "unknown").words
        assert "the gateway's verdict" in souk("orders", "show", "pay-1", *MINE).words

        decide = ("payments", "decide", "pay-1", "--as", "succeeded", *MINE)
        assert souk(*decide).code == 2
        said = souk(*decide, "--reason", "it is in their books", "--by", "alex")
        assert said.out == "attempt 1 of pay-1 is SUCCEEDED\n"
        assert souk(*decide, "--reason", "twice").code == 1
        asked = souk("payments", "ask", "pay-2", *MINE, "--json").json["attempts"]
        assert [it["attempt_key"] for it in asked] == ["demo/pay-2/1"]
        for order_id in ("pay-1", "pay-2"):
            assert souk("orders", "watch", order_id).code == 0
        told = souk("orders", "show", "pay-1", *MINE).words
        assert "operator alex PAYMENT_SUCCEEDED 1" in told
        assert "it is in their books" in told
        assert "tok_" not in told
        steps = souk("orders", "show", "pay-2", *MINE, "--json").json["steps"]
        assert "PAYMENT_ASKED 1: SALE, asked 1 times before" in [it["what"] for it in steps]
        assert souk("payments", "unknown").out == "no payment is UNKNOWN\n"

    def test_typos(self, souk: Souk) -> None:
        assert "there is no order 'nope'" in souk("payments", "ask", "nope", *MINE).err
        assert "there are demo" in souk("payments", "unknown", "--merchant", "dmo").err
        assert souk("orders", "show", "nope", *MINE).code == 1
        assert souk("payments", "decide", "nope", "--as", "perhaps", "--reason", "x").code == 2


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["chek"], "did you mean check?"),
            (["orders", "gte"], "Did you mean 'get'?"),
            (["orders", "list", "--stat", "x"], "--state"),
            (["orders", "list", "--state", "x"], "'placed', 'accepted', 'paid'"),
            (["orders", "list", "--since", "x"], "15m"),
            (["orders", "submit"], "--store"),
            (["orders", "submit", "nope.json"], "nope.json does not exist"),
            (["orders", "get"], "ORDER_ID"),
            (["products", "import", "nope.csv"], "nope.csv does not exist"),
            (["products", "import", "/"], "/ is a folder"),
            (["stock", "receive", "--store", "s", "A"], "SKU=10"),
            (["merchants", "create", "x%"], "1 to 64 letters"),
            (["check", "--data"], "requires an argument"),
            (["orders", "get", "\udcff"], "UTF-8"),
        ],
    )
    def test_typos_are_exit_code_2_and_name_the_right_one(
        self, bare: Souk, arguments: list[str], told: str
    ) -> None:
        said = bare(*arguments)
        assert said.code == 2
        assert told in said.words

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["stock", "show", "--store", "berln"], "there are berlin, lisbon"),
            (["stock", "show", "--sku", "COFFE-250"], "did you mean COFFEE-250"),
            (["stock", "receive", "--store", "berlin", "COFFE-250=1"], "did you mean COFFEE-250"),
            (["products", "list"], "there are demo"),
        ],
    )
    def test_unknown_names_are_exit_code_1_and_name_those_there_are(
        self, souk: Souk, arguments: list[str], told: str
    ) -> None:
        who = "dmo" if arguments[0] == "products" else "demo"
        said = souk(*arguments, "--merchant", who)
        assert said.code == 1
        assert told in said.words

    def test_a_wrong_setting_is_named(self, bare: Souk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SOUK_STORAGE__READERS", "none")
        said = bare("check")
        assert said.code == 2
        assert "SOUK_STORAGE__READERS" in said.err

    def test_help_and_version(self, bare: Souk) -> None:
        said = bare("--help")
        assert said.code == 0
        for name in main.Souk.modules:
            assert name in said.words
            assert bare(name, "--help").code == 0
        assert re.fullmatch(r"souk \d+\.\d+\.\d+\n", bare("--version").out)

    def test_data_may_stand_before_or_behind(self, bare: Souk, tmp_path: Path) -> None:
        for arguments in (("--data", str(tmp_path), "check"), ("check", "--data", str(tmp_path))):
            assert str(tmp_path / files.DATABASE) in bare(*arguments).err
