"""Postings and transactions. Amounts are in minor units and never negative."""

from enum import StrEnum

import msgspec


class AccountKind(StrEnum):
    """An account that receives what customers pay."""

    CASH_DRAWER = "CASH_DRAWER"
    GATEWAY_CLEARING = "GATEWAY_CLEARING"


class Posting(msgspec.Struct, frozen=True):
    """One line of a transaction: either a debit or a credit on an account."""

    account: str
    debit_minor: int = 0
    credit_minor: int = 0


class Transaction(msgspec.Struct, frozen=True):
    """Postings of one currency that balance: debits equal credits. It is never changed."""

    source_kind: str
    """The kind of event that it records: "sale"."""
    source_key: int
    """The key of that event: the order_key of a sale."""
    merchant_id: str
    currency: str
    at_us: int
    postings: tuple[Posting, ...]


class Sale(msgspec.Struct, frozen=True):
    """The amounts of a finished order."""

    order_key: int
    merchant_id: str
    store_id: str
    currency: str
    at_us: int
    revenue_minor: int
    """Without tax, before discounts."""
    discount_minor: int
    """Without tax."""
    taxes_minor: tuple[tuple[str, int], ...]
    """(tax_code, amount)."""
    received: tuple[tuple[AccountKind, int], ...]
    """(kind of account, amount) of every tender, tips and rounding included."""
    rounding_minor: int = 0
    """Cash rounding: received less owed, so negative if the customer paid less."""
    tips_minor: int = 0
    """Owed to the staff: neither revenue nor taxed."""


class Balance(msgspec.Struct, frozen=True):
    """The sums of all postings on an account, in one currency."""

    merchant_id: str
    account: str
    currency: str
    debit_minor: int
    credit_minor: int
