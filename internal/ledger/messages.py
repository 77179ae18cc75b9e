"""Accounts, postings and transactions. Amounts are in minor units; a debit is positive."""

from enum import StrEnum

import msgspec


class AccountKind(StrEnum):
    """The declared kinds of accounts."""

    CASH_DRAWER = "CASH_DRAWER"
    CASH_IN_TRANSIT = "CASH_IN_TRANSIT"
    BANK = "BANK"
    CLEARING = "CLEARING"
    """Money that a payment gateway holds until it pays out."""
    HOLD = "HOLD"
    RECEIVABLE = "RECEIVABLE"
    REVENUE = "REVENUE"
    TAX = "TAX"
    """A tax that is owed; an account per rate."""
    DISCOUNT = "DISCOUNT"
    TIPS = "TIPS"
    ROUNDING = "ROUNDING"
    """Differences from rounding cash to what coins can pay."""
    FEES = "FEES"
    FEE_TAX = "FEE_TAX"
    WALLET = "WALLET"
    GIFT_CARD = "GIFT_CARD"
    BREAKAGE = "BREAKAGE"
    DISPUTES = "DISPUTES"
    DISPUTE_FEES = "DISPUTE_FEES"
    FX_POSITION = "FX_POSITION"
    FX_GAIN_LOSS = "FX_GAIN_LOSS"
    INTER_STORE = "INTER_STORE"
    STOCK_EXCEPTION = "STOCK_EXCEPTION"
    WRITE_OFF = "WRITE_OFF"


class AccountRef(msgspec.Struct, frozen=True):
    """An account of a merchant in one currency, as a posting names it."""

    kind: AccountKind
    store_id: str = ""
    """Empty if the account is the merchant's as a whole."""
    name: str = ""
    """What it is for, among those of its kind: a tax rate, a gateway account, a drawer."""


class Account(msgspec.Struct, frozen=True):
    """An account, by everything that identifies it."""

    merchant_id: str
    ref: AccountRef
    unit: str
    """Its currency."""


class Posting(msgspec.Struct, frozen=True):
    """One line of a transaction: a debit is above zero, a credit below."""

    account: AccountRef
    amount_minor: int


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """Postings of one currency that add up to zero. It is never changed."""

    source_kind: str
    """The kind of event that it records, such as SALE."""
    source_key: int
    """The key of that event: the order_key of a sale."""
    transaction_no: int = 1
    """Among the transactions of that event."""
    business_day: int
    """YYYYMMDD."""
    merchant_id: str
    currency: str
    at_us: int
    postings: tuple[Posting, ...]


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """The amounts of a finished order."""

    order_key: int
    merchant_id: str
    store_id: str
    currency: str
    business_day: int
    at_us: int
    revenue_minor: int
    """Without tax, before discounts."""
    discount_minor: int
    """Without tax."""
    taxes_minor: tuple[tuple[str, int], ...]
    """(tax_code, amount)."""
    received: tuple[tuple[AccountRef, int], ...]
    """(account, amount) of every tender, tips and rounding included."""
    rounding_minor: int = 0
    """Cash rounding: received less owed, so negative if the customer paid less."""
    tips_minor: int = 0
    """Owed to the staff: neither revenue nor taxed."""


class Balance(msgspec.Struct, frozen=True):
    """The sums of all postings on an account."""

    merchant_id: str
    account: str
    """The account as people know it, such as cash_drawer:main."""
    currency: str
    debit_minor: int
    credit_minor: int
