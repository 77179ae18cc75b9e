"""Merchants and their API keys in the database: a key belongs to one merchant until revoked."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from internal.auth import rules, store
from internal.auth.messages import IssuedKey, Merchant
from internal.kernel import errors
from tests.support import staged_orders


def issued(number: int) -> IssuedKey:
    return rules.issue(f"{number:012x}", f"{number:064x}")


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    with staged_orders.database() as opened:
        store.add_merchant(opened, Merchant("m-1", "The shop"), issued(1), 5)
        store.add_merchant(opened, Merchant("m-2", "Another"), issued(2), 5)
        yield opened


def test_a_key_identifies_its_merchant(connection: sa.Connection) -> None:
    assert store.merchant_of(connection, issued(1).secret) == "m-1"
    assert store.merchant_of(connection, issued(2).secret) == "m-2"


@pytest.mark.parametrize(
    "secret", ["", "souk", issued(3).secret, f"souk_{1:012x}_{2:064x}", issued(1).secret + "\n"]
)
def test_a_wrong_key_identifies_no_merchant(connection: sa.Connection, secret: str) -> None:
    assert store.merchant_of(connection, secret) is None


def test_no_secret_is_stored(connection: sa.Connection) -> None:
    kept = str(connection.execute(sa.select(store.API_KEYS)).all())
    assert f"{1:064x}" not in kept


def test_a_new_key_revokes_the_old_one(connection: sa.Connection) -> None:
    store.rotate_key(connection, "m-1", issued(3), 6, keep_old=False)
    assert store.merchant_of(connection, issued(1).secret) is None
    assert store.merchant_of(connection, issued(3).secret) == "m-1"
    assert store.merchant_of(connection, issued(2).secret) == "m-2"


def test_the_old_key_may_be_kept_for_a_while(connection: sa.Connection) -> None:
    store.rotate_key(connection, "m-1", issued(3), 6, keep_old=True)
    assert store.merchant_of(connection, issued(1).secret) == "m-1"
    assert store.merchant_of(connection, issued(3).secret) == "m-1"


def test_a_merchant_exists_once(connection: sa.Connection) -> None:
    with pytest.raises(errors.InvalidInput, match="rotate-key"):
        store.add_merchant(connection, Merchant("m-1", "Again"), issued(9), 5)


def test_an_unknown_merchant_gets_no_key(connection: sa.Connection) -> None:
    with pytest.raises(errors.InvalidInput, match="no merchant m-9"):
        store.rotate_key(connection, "m-9", issued(9), 5, keep_old=False)
    assert store.find_merchant(connection, "m-9") is None


def test_merchants_are_listed(connection: sa.Connection) -> None:
    names = [merchant.name for merchant in store.list_merchants(connection)]
    assert names == ["The shop", "Another"]
    assert store.find_merchant(connection, "m-2") == Merchant("m-2", "Another")
