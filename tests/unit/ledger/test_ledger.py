"""A sale of any amounts is booked so that debits equal credits, and only once."""

import itertools
from typing import cast

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from internal.kernel import errors
from internal.ledger import rules, store
from internal.ledger.messages import AccountKind, Balance, Posting, Sale

AMOUNTS = st.integers(0, 10**12)


def sale(order_key: int = 1, **amounts: object) -> Sale:
    values: dict[str, object] = {
        "revenue_minor": 1000,
        "discount_minor": 100,
        "taxes_minor": (("std", 171),),
        "received": ((AccountKind.GATEWAY_CLEARING, 1000), (AccountKind.CASH_DRAWER, 71)),
    }
    return Sale(
        order_key=order_key,
        merchant_id="m-1",
        store_id="main",
        currency="EUR",
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
    net, discount = draw(AMOUNTS), draw(AMOUNTS)
    taxes = tuple(draw(st.dictionaries(st.sampled_from("xyz"), AMOUNTS)).items())
    total = net + sum(amount for _, amount in taxes)
    cuts = [0, *sorted(draw(st.lists(st.integers(0, total), max_size=3))), total]
    return sale(
        revenue_minor=net + discount,
        discount_minor=discount,
        taxes_minor=taxes,
        received=tuple(
            (draw(st.sampled_from(AccountKind)), until - since)
            for since, until in itertools.pairwise(cuts)
        ),
    )


@given(sales())
def test_debits_equal_credits(some: Sale) -> None:
    transaction = rules.book_sale(some)
    debits = sum(posting.debit_minor for posting in transaction.postings)
    assert debits == sum(posting.credit_minor for posting in transaction.postings)
    assert debits == sum(amount for _, amount in some.received) + some.discount_minor


@given(sales())
def test_every_posting_is_one_sided_and_above_zero(some: Sale) -> None:
    for posting in rules.book_sale(some).postings:
        assert min(posting.debit_minor, posting.credit_minor) == 0
        assert max(posting.debit_minor, posting.credit_minor) > 0


@given(sales(), st.sampled_from(["revenue_minor", "discount_minor"]))
def test_a_sale_that_does_not_balance_is_not_booked(some: Sale, field: str) -> None:
    unbalanced = msgspec.structs.replace(some, **{field: getattr(some, field) + 1})
    with pytest.raises(errors.Poison) as caught:
        rules.book_sale(unbalanced)
    assert caught.value.code == "UNBALANCED"


@given(sales(), st.sampled_from(AccountKind))
def test_a_sale_that_received_too_much_is_not_booked(some: Sale, kind: AccountKind) -> None:
    with pytest.raises(errors.Poison) as caught:
        rules.book_sale(msgspec.structs.replace(some, received=(*some.received, (kind, 1))))
    assert caught.value.code == "UNBALANCED"


def test_every_kind_of_account_has_a_name() -> None:
    assert rules.RECEIVING_ACCOUNTS.keys() == set(AccountKind)


@given(sales())
def test_an_amount_that_no_account_receives_is_not_booked(some: Sale) -> None:
    unknown = (cast("AccountKind", "UNKNOWN"), 0)
    with pytest.raises(errors.Poison) as caught:
        rules.book_sale(msgspec.structs.replace(some, received=(*some.received, unknown)))
    assert caught.value.code == "UNKNOWN_ACCOUNT"


def test_tenders_of_one_kind_are_one_posting() -> None:
    received = tuple((AccountKind.CASH_DRAWER, amount) for amount in (500, 571))
    assert rules.book_sale(sale(received=received)).postings[:2] == (
        Posting("cash_drawer:main", debit_minor=1071),
        Posting("discounts", debit_minor=100),
    )


def test_a_sale_is_posted_to_these_accounts() -> None:
    assert rules.book_sale(sale()).postings == (
        Posting("cash_drawer:main", debit_minor=71),
        Posting("gateway_clearing", debit_minor=1000),
        Posting("discounts", debit_minor=100),
        Posting("revenue", credit_minor=1000),
        Posting("tax_payable:std", credit_minor=171),
    )


def test_balances_add_up_per_merchant(any_database: sa.Connection) -> None:
    store.append(any_database, [rules.book_sale(sale(1)), rules.book_sale(sale(2))])
    assert store.balances(any_database, "m-1") == [
        balance("cash_drawer:main", debit_minor=142),
        balance("discounts", debit_minor=200),
        balance("gateway_clearing", debit_minor=2000),
        balance("revenue", credit_minor=2000),
        balance("tax_payable:std", credit_minor=342),
    ]
    assert not store.balances(any_database, "m-2")
    assert len(store.balances(any_database)) == 5


def test_a_sale_is_booked_once(any_database: sa.Connection) -> None:
    store.append(any_database, [rules.book_sale(sale())])
    with pytest.raises(sa.exc.IntegrityError):
        store.append(any_database, [rules.book_sale(sale())])
