"""API keys: found by their id, compared by their hash, worthless once revoked."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from internal.auth import rules, store
from internal.auth.messages import IssuedKey, Merchant
from internal.kernel import errors
from tests.support import staged_orders

HEX = "0123456789abcdef"
KEY_IDS = st.text(HEX, min_size=12, max_size=12)
SECRETS = st.text(HEX, min_size=64, max_size=64)


def issued(number: int) -> IssuedKey:
    return rules.issue(f"{number:012x}", f"{number:064x}")


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    with staged_orders.books() as books:
        store.add_merchant(books, Merchant("m-1", "The shop"), issued(1), 5)
        store.add_merchant(books, Merchant("m-2", "Another"), issued(2), 5)
        yield books


@given(KEY_IDS, SECRETS)
def test_a_key_is_found_by_its_id_and_known_by_its_hash(key_id: str, secret: str) -> None:
    key = rules.issue(key_id, secret)
    assert rules.key_id_of(key.secret) == key_id
    assert rules.is_right(key.secret, key.key_hash)
    assert secret not in key.key_hash


@given(KEY_IDS, SECRETS, st.integers(0, 81), st.sampled_from(HEX))
def test_another_key_is_not_right(key_id: str, secret: str, place: int, digit: str) -> None:
    key = rules.issue(key_id, secret)
    other = key.secret[:place] + digit + key.secret[place + 1 :]
    assert rules.is_right(other, key.key_hash) == (other == key.secret)


@given(st.text())
def test_what_is_no_key_has_no_id(text: str) -> None:
    assert rules.key_id_of(text) is None


def test_each_merchant_is_known_by_its_own_key(connection: sa.Connection) -> None:
    assert store.merchant_of(connection, issued(1).secret) == "m-1"
    assert store.merchant_of(connection, issued(2).secret) == "m-2"


@pytest.mark.parametrize(
    "secret", ["", "souk", issued(3).secret, f"souk_{1:012x}_{2:064x}", issued(1).secret + "\n"]
)
def test_a_wrong_key_belongs_to_nobody(connection: sa.Connection, secret: str) -> None:
    assert store.merchant_of(connection, secret) is None


def test_no_secret_is_kept(connection: sa.Connection) -> None:
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


def test_nobody_gets_a_key_who_does_not_exist(connection: sa.Connection) -> None:
    with pytest.raises(errors.InvalidInput, match="no merchant m-9"):
        store.rotate_key(connection, "m-9", issued(9), 5, keep_old=False)
    assert store.find_merchant(connection, "m-9") is None


def test_merchants_are_listed(connection: sa.Connection) -> None:
    names = [merchant.name for merchant in store.list_merchants(connection)]
    assert names == ["The shop", "Another"]
    assert store.find_merchant(connection, "m-2") == Merchant("m-2", "Another")
