"""Price requests and priced orders with their explanation. Frozen, amounts in minor units."""

from enum import StrEnum

import msgspec


class DiscountKind(StrEnum):
    """Whether a discount on the order is an amount or a share of the gross."""

    AMOUNT = "AMOUNT"
    BASIS_POINTS = "BASIS_POINTS"


class Discount(msgspec.Struct, frozen=True, omit_defaults=True):
    """A discount on the whole order: minor units, or basis points (1 % is 100), by `kind`."""

    kind: DiscountKind
    value: int


class WantedLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line as the merchant sent it. `expected_price_minor` is compared but never charged."""

    sku: str
    quantity: int
    expected_price_minor: int | None = None


class PriceRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """The part of an order or a quote that decides its amounts."""

    merchant_id: str
    store_id: str
    currency: str
    lines: tuple[WantedLine, ...]
    discount: Discount | None = None


class PricedLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line with its amounts.

    `total_minor` is `gross_minor - discount_minor`; inclusive tax is inside it, exclusive tax is
    added to it.
    """

    line_no: int
    """From 1."""
    sku: str
    name: str
    quantity: int
    unit_price_minor: int
    gross_minor: int
    discount_minor: int
    tax_code: str
    tax_rate_ppm: int
    tax_inclusive: bool
    tax_minor: int
    total_minor: int


class TaxBucket(msgspec.Struct, frozen=True, omit_defaults=True):
    """The tax of one code. `taxable_minor` excludes the tax."""

    tax_code: str
    rate_ppm: int
    inclusive: bool
    taxable_minor: int
    tax_minor: int


class PricedOrder(msgspec.Struct, frozen=True, omit_defaults=True):
    """The amounts of an order. `net_minor + tax_minor == total_minor`, always.

    `gross_minor` is the sum of quantity x unit price, `discount_minor` is taken off it, and
    `net_minor` is the rest without any tax.
    """

    currency: str
    lines: tuple[PricedLine, ...]
    taxes: tuple[TaxBucket, ...]
    gross_minor: int
    discount_minor: int
    net_minor: int
    tax_minor: int
    total_minor: int
    trace: tuple[str, ...]
    """The steps as sentences, in order: price rule, discount share, tax bucket, rounding."""


class RefusalReason(StrEnum):
    """Why an order cannot be priced."""

    INVALID_ORDER = "INVALID_ORDER"
    """No lines, a quantity out of range, a negative discount. The API rejects these earlier."""
    UNKNOWN_STORE = "UNKNOWN_STORE"
    CURRENCY_MISMATCH = "CURRENCY_MISMATCH"
    UNKNOWN_SKU = "UNKNOWN_SKU"
    INACTIVE_SKU = "INACTIVE_SKU"
    UNKNOWN_TAX_CODE = "UNKNOWN_TAX_CODE"
    PRICE_CHANGED = "PRICE_CHANGED"
    DISCOUNT_TOO_LARGE = "DISCOUNT_TOO_LARGE"
    AMOUNT_TOO_LARGE = "AMOUNT_TOO_LARGE"


class Refusal(msgspec.Struct, frozen=True):
    """A business refusal, with a reason for machines and a sentence for people."""

    reason: str
    """UPPER_SNAKE: a RefusalReason here; other packages have their own reasons."""
    explanation: str
