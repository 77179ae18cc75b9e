"""A sale of any amounts is booked so that debits equal credits, and balances follow the entries."""

import itertools
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from internal.infra import settings
from internal.kernel import errors
from internal.ledger import accounts, balances, rules, store
from internal.ledger.messages import Account, AccountKind, AccountRef, Balance, Posting, Sale
from tests.support import mariadb, staged_orders

AMOUNTS = st.integers(0, 10**12)
DRAWER = AccountRef(AccountKind.CASH_DRAWER, "main")
CLEARING = AccountRef(AccountKind.CLEARING)
RECEIVING = st.sampled_from([DRAWER, CLEARING, AccountRef(AccountKind.RECEIVABLE, "main")])


def sale(order_key: int = 1, **amounts: object) -> Sale:
    values: dict[str, object] = {
        "merchant_id": "m-1",
        "revenue_minor": 1000,
        "discount_minor": 100,
        "taxes_minor": (("std", 171),),
        "received": ((CLEARING, 1000), (DRAWER, 71)),
    }
    return Sale(
        order_key=order_key,
        store_id="main",
        currency="EUR",
        business_day=20_261_128,
        at_us=5,
        **{**values, **amounts},  # type: ignore[arg-type]
    )


def balance(account: str, *, debit_minor: int = 0, credit_minor: int = 0) -> Balance:
    return Balance(
        merchant_id="m-1",
        account=account,
        currency="EUR",
        debit_minor=debit_minor,
        credit_minor=credit_minor,
    )


@st.composite
def sales(draw: st.DrawFn) -> Sale:
    """Draw a sale whose amounts balance."""
    net, discount, tips = draw(AMOUNTS), draw(AMOUNTS), draw(AMOUNTS)
    taxes = tuple(draw(st.dictionaries(st.sampled_from("xyz"), AMOUNTS)).items())
    total = net + tips + sum(amount for _, amount in taxes)
    rounding = draw(st.integers(-min(total, 5), 5))
    cuts = [0, *sorted(draw(st.lists(st.integers(0, total), max_size=3))), total + rounding]
    return sale(
        revenue_minor=net + discount,
        discount_minor=discount,
        taxes_minor=taxes,
        tips_minor=tips,
        rounding_minor=rounding,
        received=tuple(
            (draw(RECEIVING), until - since) for since, until in itertools.pairwise(cuts)
        ),
    )


@given(sales())
def test_debits_equal_credits(some: Sale) -> None:
    transaction = rules.book_sale(some)
    assert sum(posting.amount_minor for posting in transaction.postings) == 0
    received = sum(p.amount_minor for p in transaction.postings if p.account in dict(some.received))
    assert received == sum(amount for _, amount in some.received)


@given(sales())
def test_every_account_has_one_posting_and_it_is_not_zero(some: Sale) -> None:
    postings = rules.book_sale(some).postings
    assert all(posting.amount_minor for posting in postings)
    assert len({posting.account for posting in postings}) == len(postings)


@given(
    sales(),
    st.sampled_from(["revenue_minor", "discount_minor", "rounding_minor", "tips_minor"]),
)
def test_a_sale_that_does_not_balance_is_not_booked(some: Sale, field: str) -> None:
    unbalanced = msgspec.structs.replace(some, **{field: getattr(some, field) + 1})
    with pytest.raises(errors.Poison) as caught:
        rules.book_sale(unbalanced)
    assert caught.value.code == "UNBALANCED"


@given(sales(), RECEIVING)
def test_a_sale_that_received_too_much_is_not_booked(some: Sale, account: AccountRef) -> None:
    with pytest.raises(errors.Poison) as caught:
        rules.book_sale(msgspec.structs.replace(some, received=(*some.received, (account, 1))))
    assert caught.value.code == "UNBALANCED"


def test_tenders_of_one_kind_are_one_posting() -> None:
    received = tuple((DRAWER, amount) for amount in (500, 571))
    assert rules.book_sale(sale(received=received)).postings[:2] == (
        Posting(DRAWER, 1071),
        Posting(AccountRef(AccountKind.DISCOUNT, "main"), 100),
    )


def labelled(some: Sale) -> dict[str, int]:
    postings = rules.book_sale(some).postings
    return {rules.label(posting.account): posting.amount_minor for posting in postings}


def test_a_sale_is_posted_to_these_accounts() -> None:
    assert labelled(sale()) == {
        "clearing": 1000,
        "cash_drawer:main": 71,
        "discount:main": 100,
        "revenue:main": -1000,
        "tax:main:std": -171,
    }


def test_rounded_cash_and_a_tip_have_accounts_of_their_own() -> None:
    """CHF 1.66 with 8.1 % inside, paid with 1.65 in coins, and 0.50 on top for the staff."""
    rounded = sale(
        revenue_minor=154,
        discount_minor=0,
        taxes_minor=(("std", 12),),
        received=((DRAWER, 215),),
        rounding_minor=-1,
        tips_minor=50,
    )
    assert labelled(rounded) == {
        "cash_drawer:main": 215,
        "rounding:main": 1,
        "revenue:main": -154,
        "tax:main:std": -12,
        "tips:main": -50,
    }


class TestAccountKeys:
    def test_a_key_fits_its_column(self) -> None:
        keys = {
            rules.key_of(Account("m-1", AccountRef(kind, "main"), "EUR")) for kind in AccountKind
        }
        assert len(keys) == len(AccountKind)
        assert 0 < min(keys) < max(keys) < 2**63

    def test_a_key_never_changes(self) -> None:
        """It is in every entry: another one would be another account."""
        assert rules.key_of(Account("m-1", DRAWER, "EUR")) == 625_529_057_496_546_093

    @pytest.mark.parametrize(
        "other",
        [
            Account("m-2", DRAWER, "EUR"),
            Account("m-1", DRAWER, "CHF"),
            Account("m-1", AccountRef(AccountKind.CASH_DRAWER), "EUR"),
            Account("m-1", AccountRef(AccountKind.REVENUE, "main"), "EUR"),
            Account("m-1", AccountRef(AccountKind.CASH_DRAWER, "main", "1"), "EUR"),
            Account("m-1", AccountRef(AccountKind.CASH_DRAWER, "", "main"), "EUR"),
        ],
    )
    def test_everything_that_identifies_an_account_is_in_its_key(self, other: Account) -> None:
        assert rules.key_of(other) != rules.key_of(Account("m-1", DRAWER, "EUR"))

    def test_kinds_of_the_merchant_have_no_store(self) -> None:
        assert rules.ref(AccountKind.CLEARING, "main", "simulator") == AccountRef(
            AccountKind.CLEARING, "", "simulator"
        )
        assert (
            rules.label(AccountRef(AccountKind.CLEARING, "", "simulator")) == "clearing:simulator"
        )


class Ledger:
    """A ledger as one process sees it."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection, self.known = connection, accounts.KnownAccounts()

    def book(self, *some: Sale, shard: int = 0) -> None:
        transactions = [rules.book_sale(it) for it in some]
        store.append(self.connection, transactions, self.known, shard)

    def statements_of(self, some: Sale) -> set[str]:
        """Book a sale; return the verbs of the statements."""
        trace: list[str] = []
        driver: Any = self.connection.connection.driver_connection
        driver.set_trace_callback(trace.append)
        self.book(some)
        driver.set_trace_callback(None)
        return {line.split()[0] for line in trace}

    def rows(self, table: sa.Table) -> list[tuple[object, ...]]:
        return [tuple(row) for row in self.connection.execute(sa.select(table))]


@pytest.fixture
def empty() -> Iterator[sa.Connection]:
    with staged_orders.database() as connection:
        yield connection


@pytest.fixture
def ledger(any_database: sa.Connection) -> Ledger:
    return Ledger(any_database)


def test_balances_add_up_per_merchant(ledger: Ledger) -> None:
    ledger.book(sale(1), sale(2))
    assert store.find_balances(ledger.connection, "m-1") == [
        balance("cash_drawer:main", debit_minor=142),
        balance("clearing", debit_minor=2000),
        balance("discount:main", debit_minor=200),
        balance("revenue:main", credit_minor=2000),
        balance("tax:main:std", credit_minor=342),
    ]
    assert not store.find_balances(ledger.connection, "m-2")
    ledger.book(sale(3, merchant_id="m-2"))
    assert len(store.find_balances(ledger.connection)) == 10


def test_the_newest_day_of_a_store_is_that_of_its_newest_entry(ledger: Ledger) -> None:
    assert store.newest_day(ledger.connection, "m-1", "main") is None
    days = (20260302, 20260301)
    ledger.book(*(msgspec.structs.replace(sale(it), business_day=it) for it in days))
    assert store.newest_day(ledger.connection, "m-1", "main") == 20260302
    assert store.newest_day(ledger.connection, "m-1", "kiosk") is None


def test_a_sale_is_booked_once(ledger: Ledger) -> None:
    ledger.book(sale())
    with pytest.raises(sa.exc.IntegrityError):
        ledger.book(sale())


def test_a_balance_is_the_sum_of_its_shards(ledger: Ledger) -> None:
    for order_key in range(40):
        ledger.book(sale(order_key), shard=order_key % balances.SHARDS)
    assert store.find_balances(ledger.connection)[0].debit_minor == 40 * 71
    rows = ledger.rows(balances.ACCOUNT_BALANCES)
    assert len(rows) == 5 * balances.SHARDS
    assert all(debit or credit for _, _, debit, credit in rows)


def test_a_guarded_account_has_one_row(ledger: Ledger) -> None:
    wallet = rules.ref(AccountKind.WALLET, "main", "customer-1")
    for order_key in (1, 2):
        ledger.book(sale(order_key, received=((wallet, 1_071),)), shard=order_key)
    key = rules.key_of(Account("m-1", wallet, "EUR"))
    of_wallet = [row for row in ledger.rows(balances.ACCOUNT_BALANCES) if row[0] == key]
    assert of_wallet == [(key, 0, 2_142, 0)]


def test_known_accounts_need_no_query(empty: sa.Connection) -> None:
    ledger = Ledger(empty)
    ledger.book(sale(1))
    assert "SELECT" not in ledger.statements_of(sale(2))
    assert "SELECT" in ledger.statements_of(sale(3, merchant_id="m-2"))


def test_another_process_finds_the_accounts(ledger: Ledger) -> None:
    ledger.book(sale(1))
    before = ledger.rows(accounts.ACCOUNTS)
    Ledger(ledger.connection).book(sale(2))
    assert ledger.rows(accounts.ACCOUNTS) == before


def test_an_account_that_was_rolled_back_is_made_again(ledger: Ledger) -> None:
    """The first repetition finds out, the second makes the account."""
    ledger.connection.exec_driver_sql("BEGIN")
    ledger.book(sale(1))
    ledger.connection.exec_driver_sql("ROLLBACK")
    assert not ledger.rows(accounts.ACCOUNTS)
    ledger.connection.exec_driver_sql("BEGIN")
    with pytest.raises(errors.Conflict):
        ledger.book(sale(1))
    ledger.connection.exec_driver_sql("ROLLBACK")
    ledger.book(sale(1))
    assert store.find_balances(ledger.connection)[0] == balance("cash_drawer:main", debit_minor=71)


def test_two_accounts_with_one_key_are_not_mixed_up(ledger: Ledger) -> None:
    ledger.book(sale(1))
    ledger.connection.execute(accounts.ACCOUNTS.update().values(name="another"))
    with pytest.raises(errors.Poison) as caught:
        Ledger(ledger.connection).book(sale(2))
    assert caught.value.code == "ACCOUNT_KEY_TAKEN"


def test_instances_with_different_keys_change_different_rows() -> None:
    """As many shards as the smallest number of partition keys, and by the same number."""
    shards = {balances.shard_of("m-1", f"o-{number}") for number in range(500)}
    assert shards == set(range(balances.SHARDS))


@pytest.mark.parametrize("count", [1, 3])
def test_the_balances_of_a_batch_are_changed_once_per_account(ledger: Ledger, count: int) -> None:
    ledger.book(*(sale(number) for number in range(count)))
    changed = [row for row in ledger.rows(balances.ACCOUNT_BALANCES) if row[2] or row[3]]
    assert len(changed) == 5


def appended(engine: sa.Engine, some: Sale, shard: int) -> bool:
    """Append in a transaction that waits for no lock; tell whether it had to."""
    with engine.connect() as connection:
        connection.exec_driver_sql("SET SESSION innodb_lock_wait_timeout = 1")
        try:
            store.append(connection, [rules.book_sale(some)], accounts.KnownAccounts(), shard)
        except sa.exc.OperationalError:
            return False
        finally:
            connection.rollback()
    return True


def test_transactions_on_different_shards_do_not_wait_for_each_other(
    mysql_books: settings.MysqlSettings, mysql_server: mariadb.Server
) -> None:
    engine = mysql_server.engine(mysql_books.database)
    with staged_orders.database_of(engine) as connection:
        Ledger(connection).book(sale(1))
    with engine.connect() as first:
        store.append(first, [rules.book_sale(sale(2))], accounts.KnownAccounts(), 3)
        assert appended(engine, sale(3), 4)
        assert not appended(engine, sale(4), 3)
        first.rollback()
    assert appended(engine, sale(4), 3)
    engine.dispose()
