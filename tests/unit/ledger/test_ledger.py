"""A sale is booked so that debits equal credits, whatever its amounts, and stands there once."""

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from internal.kernel import errors
from internal.ledger import rules, store
from internal.ledger.messages import Balance, Posting, Sale

AMOUNTS = st.integers(0, 10**12)


def sale(order_key: int = 1, **amounts: object) -> Sale:
    values: dict[str, object] = {
        "revenue_minor": 1000,
        "discount_minor": 100,
        "taxes_minor": (("std", 171),),
        "cash_minor": 71,
        "card_minor": 1000,
    }
    return Sale(order_key, "m-1", "main", "EUR", 5, **{**values, **amounts})  # type: ignore[arg-type]


@st.composite
def sales(draw: st.DrawFn) -> Sale:
    """Any sale whose parts fit together."""
    net, discount = draw(AMOUNTS), draw(AMOUNTS)
    taxes = tuple(draw(st.dictionaries(st.sampled_from("xyz"), AMOUNTS)).items())
    total = net + sum(amount for _, amount in taxes)
    cash = draw(st.integers(0, total))
    return sale(
        revenue_minor=net + discount,
        discount_minor=discount,
        taxes_minor=taxes,
        cash_minor=cash,
        card_minor=total - cash,
    )


@given(sales())
def test_debits_equal_credits(some: Sale) -> None:
    transaction = rules.book_sale(some)
    debits = sum(posting.debit_minor for posting in transaction.postings)
    assert debits == sum(posting.credit_minor for posting in transaction.postings)
    assert debits == some.cash_minor + some.card_minor + some.discount_minor


@given(sales())
def test_every_posting_is_one_sided_and_more_than_nothing(some: Sale) -> None:
    for posting in rules.book_sale(some).postings:
        assert min(posting.debit_minor, posting.credit_minor) == 0
        assert max(posting.debit_minor, posting.credit_minor) > 0


@given(sales(), st.sampled_from(["cash_minor", "revenue_minor", "discount_minor"]))
def test_a_sale_that_does_not_fit_together_is_not_booked(some: Sale, field: str) -> None:
    amounts = {name: getattr(some, name) for name in AMOUNT_FIELDS}
    with pytest.raises(errors.Poison) as caught:
        rules.book_sale(sale(**{**amounts, field: getattr(some, field) + 1}))
    assert caught.value.code == "UNBALANCED"


AMOUNT_FIELDS = ("revenue_minor", "discount_minor", "taxes_minor", "cash_minor", "card_minor")


def test_a_sale_goes_to_these_accounts() -> None:
    assert rules.book_sale(sale()).postings == (
        Posting("cash_drawer:main", debit_minor=71),
        Posting("gateway_clearing", debit_minor=1000),
        Posting("discounts", debit_minor=100),
        Posting("revenue", credit_minor=1000),
        Posting("tax_payable:std", credit_minor=171),
    )


def test_balances_add_up_per_merchant(any_books: sa.Connection) -> None:
    store.append(any_books, [rules.book_sale(sale(1)), rules.book_sale(sale(2))])
    assert store.balances(any_books, "m-1") == [
        Balance("m-1", "cash_drawer:main", "EUR", 142, 0),
        Balance("m-1", "discounts", "EUR", 200, 0),
        Balance("m-1", "gateway_clearing", "EUR", 2000, 0),
        Balance("m-1", "revenue", "EUR", 0, 2000),
        Balance("m-1", "tax_payable:std", "EUR", 0, 342),
    ]
    assert not store.balances(any_books, "m-2")
    assert len(store.balances(any_books)) == 5


def test_a_sale_is_booked_once(any_books: sa.Connection) -> None:
    store.append(any_books, [rules.book_sale(sale())])
    with pytest.raises(sa.exc.IntegrityError):
        store.append(any_books, [rules.book_sale(sale())])
