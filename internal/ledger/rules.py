"""Books a sale as a balanced transaction, and tells accounts apart. Pure.

Source of the shape: the double entry of Formance and TigerBeetle, debits = credits.
"""

from collections.abc import Iterator
from functools import lru_cache

from internal.kernel import errors, ids
from internal.ledger.messages import Account, AccountKind, AccountRef, Posting, Sale, Transaction

SALE = "sale"
"""The source of the transaction that books an order's sale."""
OF_THE_MERCHANT = frozenset(
    {AccountKind.BANK, AccountKind.CLEARING, AccountKind.HOLD, AccountKind.WALLET}
    | {AccountKind.GIFT_CARD, AccountKind.BREAKAGE, AccountKind.FX_POSITION}
    | {AccountKind.FX_GAIN_LOSS}
)
"""Kinds whose accounts belong to a merchant as a whole; those of all others to one store."""
RECEIVING = frozenset(
    {AccountKind.CASH_DRAWER, AccountKind.CLEARING, AccountKind.RECEIVABLE}
    | {AccountKind.WALLET, AccountKind.GIFT_CARD}
)
"""Kinds of accounts that a sale is paid to."""
GUARDED = frozenset({AccountKind.WALLET, AccountKind.GIFT_CARD})
"""Kinds whose accounts must not fall below zero: their balance is one row, which can be locked."""
KEY_DIGITS = 15
"""Hexadecimal digits of a key: 60 bits, so that it fits a signed column of 64."""
KEYS_REMEMBERED_MAX = 100_000


@lru_cache(maxsize=KEYS_REMEMBERED_MAX)
def ref(kind: AccountKind, store_id: str, name: str = "") -> AccountRef:
    """Return the account of this kind that something in a store is booked on."""
    return AccountRef(kind, "" if kind in OF_THE_MERCHANT else store_id, name)


@lru_cache(maxsize=KEYS_REMEMBERED_MAX)
def key_of(account: Account) -> int:
    """Return the key of an account, which is a digest of everything that identifies it.

    So it is known without a query, and is the same in every database. Two of ten million accounts
    have the same key with a chance of 1 in 20,000; the second one could not be opened.
    """
    of = account.ref
    text = "\n".join((account.merchant_id, of.store_id, of.kind, of.name, account.unit))
    return int(ids.digest(text.encode())[:KEY_DIGITS], 16)


def label(of: AccountRef) -> str:
    """Return the name of an account for people: tax:main:reduced."""
    return ":".join(part for part in (of.kind.lower(), of.store_id, of.name) if part)


def book_sale(sale: Sale) -> Transaction:
    """Turn a sale into a balanced transaction, with one posting for each account.

    Raises:
        Poison: its amounts do not balance.
    """
    sums: dict[AccountRef, int] = {}
    for account, amount_minor in _amounts(sale):
        sums[account] = sums.get(account, 0) + amount_minor
    transaction = Transaction(
        source_kind=SALE,
        source_key=sale.order_key,
        business_day=sale.business_day,
        merchant_id=sale.merchant_id,
        currency=sale.currency,
        at_us=sale.at_us,
        postings=tuple(Posting(account, amount) for account, amount in sums.items() if amount),
    )
    if not is_balanced(transaction):
        what = f"the sale {sale.order_key} does not balance: {transaction.postings}"
        raise errors.Poison("UNBALANCED", what)
    return transaction


def _amounts(sale: Sale) -> Iterator[tuple[AccountRef, int]]:
    """Yield the debits and credits of a sale, a credit below zero."""
    yield from sale.received
    yield ref(AccountKind.DISCOUNT, sale.store_id), sale.discount_minor
    yield ref(AccountKind.ROUNDING, sale.store_id), -sale.rounding_minor
    yield ref(AccountKind.REVENUE, sale.store_id), -sale.revenue_minor
    for tax_code, tax_minor in sale.taxes_minor:
        yield ref(AccountKind.TAX, sale.store_id, tax_code), -tax_minor
    yield ref(AccountKind.TIPS, sale.store_id), -sale.tips_minor


def is_balanced(transaction: Transaction) -> bool:
    """Tell whether debits equal credits."""
    return not sum(posting.amount_minor for posting in transaction.postings)
