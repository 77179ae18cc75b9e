"""How a sale is booked.

Pure. Source of the shape: Formance's and TigerBeetle's double entry, debits = credits.
"""

from internal.kernel import errors
from internal.ledger.messages import Posting, Sale, Transaction

REVENUE = "revenue"
DISCOUNTS = "discounts"
GATEWAY_CLEARING = "gateway_clearing"


def cash_drawer(store_id: str) -> str:
    """Name the account of a store's cash."""
    return f"cash_drawer:{store_id}"


def tax_payable(tax_code: str) -> str:
    """Name the account of what is owed for a tax."""
    return f"tax_payable:{tax_code}"


def book_sale(sale: Sale) -> Transaction:
    """Turn a sale into a balanced transaction.

    Raises:
        Poison: its amounts do not balance.
    """
    postings = (
        Posting(cash_drawer(sale.store_id), debit_minor=sale.cash_minor),
        Posting(GATEWAY_CLEARING, debit_minor=sale.card_minor),
        Posting(DISCOUNTS, debit_minor=sale.discount_minor),
        Posting(REVENUE, credit_minor=sale.revenue_minor),
        *(Posting(tax_payable(code), credit_minor=amount) for code, amount in sale.taxes_minor),
    )
    transaction = Transaction(
        "sale",
        sale.order_key,
        sale.merchant_id,
        sale.currency,
        sale.at_us,
        tuple(p for p in postings if p.debit_minor or p.credit_minor),
    )
    if not is_balanced(transaction):
        raise errors.Poison("UNBALANCED", f"the sale {sale.order_key} does not balance: {postings}")
    return transaction


def is_balanced(transaction: Transaction) -> bool:
    """Tell whether debits equal credits."""
    debits = sum(posting.debit_minor for posting in transaction.postings)
    return debits == sum(posting.credit_minor for posting in transaction.postings)
