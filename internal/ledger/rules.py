"""Books a sale as a balanced transaction. Pure.

Source of the shape: the double entry of Formance and TigerBeetle, debits = credits.
"""

from internal.kernel import errors
from internal.ledger.messages import AccountKind, Posting, Sale, Transaction

REVENUE = "revenue"
DISCOUNTS = "discounts"
ROUNDING = "rounding"
TIPS = "tips"
RECEIVING_ACCOUNTS: dict[AccountKind, str] = {
    AccountKind.CASH_DRAWER: "cash_drawer:{store_id}",
    AccountKind.GATEWAY_CLEARING: "gateway_clearing",
}
"""The name of each account that receives payments, in the order of a sale's postings."""


def receiving_account(kind: AccountKind, store_id: str) -> str:
    """Name the account that receives a store's payments of this kind."""
    return RECEIVING_ACCOUNTS[kind].format(store_id=store_id)


def tax_payable(tax_code: str) -> str:
    """Name the account of a tax that is owed."""
    return f"tax_payable:{tax_code}"


def book_sale(sale: Sale) -> Transaction:
    """Turn a sale into a balanced transaction.

    Raises:
        Poison: its amounts do not balance, or no account receives one of them.
    """
    postings = (
        *_receipts(sale),
        Posting(DISCOUNTS, debit_minor=sale.discount_minor),
        Posting(REVENUE, credit_minor=sale.revenue_minor),
        *(Posting(tax_payable(code), credit_minor=amount) for code, amount in sale.taxes_minor),
        Posting(TIPS, credit_minor=sale.tips_minor),
        Posting(
            ROUNDING,
            debit_minor=max(0, -sale.rounding_minor),
            credit_minor=max(0, sale.rounding_minor),
        ),
    )
    transaction = Transaction(
        source_kind="sale",
        source_key=sale.order_key,
        merchant_id=sale.merchant_id,
        currency=sale.currency,
        at_us=sale.at_us,
        postings=tuple(p for p in postings if p.debit_minor or p.credit_minor),
    )
    if not is_balanced(transaction):
        raise errors.Poison("UNBALANCED", f"the sale {sale.order_key} does not balance: {postings}")
    return transaction


def _receipts(sale: Sale) -> list[Posting]:
    """Post what each account receives, in the order of the table."""
    sums: dict[AccountKind, int] = {}
    for kind, amount_minor in sale.received:
        if kind not in RECEIVING_ACCOUNTS:
            raise errors.Poison("UNKNOWN_ACCOUNT", f"no account receives payments of {kind!r}")
        sums[kind] = sums.get(kind, 0) + amount_minor
    return [
        Posting(receiving_account(kind, sale.store_id), debit_minor=sums[kind])
        for kind in RECEIVING_ACCOUNTS
        if kind in sums
    ]


def is_balanced(transaction: Transaction) -> bool:
    """Tell whether debits equal credits."""
    debits = sum(posting.debit_minor for posting in transaction.postings)
    return debits == sum(posting.credit_minor for posting in transaction.postings)
