"""Price requests and priced orders with the parts of each price. Frozen, amounts in minor units."""

from enum import StrEnum

import msgspec

from internal.catalogue.messages import PricePolicy
from internal.kernel.money import RoundingMode
from internal.kernel.unit_prices import UnitPrice


class AdjustmentKind(StrEnum):
    """Whether an adjustment is an amount or a share."""

    AMOUNT = "AMOUNT"
    BASIS_POINTS = "BASIS_POINTS"


class AdjustmentSource(StrEnum):
    """Where an adjustment comes from: a person, a promotion or a coupon."""

    MANUAL = "MANUAL"
    PROMOTION = "PROMOTION"
    COUPON = "COUPON"


class Adjustment(msgspec.Struct, frozen=True, omit_defaults=True):
    """A discount on a line or an order: minor units, or basis points (1 % is 100), by `kind`.

    Basis points are a share of the line's gross, or of what an order's lines cost after their own
    discounts. The adjustments of one list do not depend on their order.
    """

    kind: AdjustmentKind
    value: int
    source: AdjustmentSource = AdjustmentSource.MANUAL
    code: str = ""
    """The promotion's or the coupon's."""
    reason_code: str = ""
    """UPPER_SNAKE, the merchant's own."""
    allowed_by: str = ""
    """The id of the person who allowed it."""


class WantedLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line as the merchant sent it."""

    sku: str
    quantity_milli: int
    expected_price: UnitPrice | None = None
    """The store's price policy says whether it is compared with the product's, or charged."""
    line_ref: str = ""
    """The merchant's own name for the line; if empty, it is the line's number."""
    adjustments: tuple[Adjustment, ...] = ()


class PriceRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """The part of an order or a quote that decides its amounts."""

    merchant_id: str
    store_id: str
    currency: str
    lines: tuple[WantedLine, ...]
    sold_at_us: int
    """The tax rates are those in force at this instant."""
    adjustments: tuple[Adjustment, ...] = ()


class PartKind(StrEnum):
    """The kind of a part of a line's price."""

    TAX = "TAX"
    DISCOUNT = "DISCOUNT"
    ROUNDING = "ROUNDING"
    SURCHARGE = "SURCHARGE"
    DEPOSIT = "DEPOSIT"


class PartRule(StrEnum):
    """Where a part was decided and rounded: on the line, per tax rate, per document or order."""

    LINE = "LINE"
    TAX_RATE = "TAX_RATE"
    DOCUMENT = "DOCUMENT"
    ORDER = "ORDER"


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of a line's price: how `amount_minor` came from `base_minor`.

    | kind | base | amount |
    |---|---|---|
    | TAX | what is taxed, without any tax | the tax |
    | DISCOUNT | what the discount is taken off | what is taken off |
    | ROUNDING | the whole minor units of quantity x price | what rounding adds to them, 0 or 1 |
    """

    kind: PartKind
    rule: PartRule
    rounding_mode: RoundingMode
    base_minor: int
    amount_minor: int
    code: str = ""
    """The tax's, the promotion's or the coupon's."""
    rate_ppm: int = 0
    """Of a tax, or of a discount that is a share."""
    inclusive: bool = False
    """Whether a tax is inside the price."""
    tax_rate_key: int = 0
    adjustment_no: int = 0
    """The place of a discount's adjustment in its list, from 1."""
    source: str = ""
    reason_code: str = ""
    allowed_by: str = ""


class PriceSource(StrEnum):
    """Where a line's unit price comes from: the product, or the till."""

    BASE = "BASE"
    TILL = "TILL"


class PricedLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line with its amounts.

    `total_minor` is `gross_minor - discount_minor`; inclusive tax is inside it, exclusive tax is
    added to it.
    """

    line_no: int
    """From 1."""
    line_ref: str
    sku: str
    name: str
    location_id: str
    """Where its stock lies; empty if the product has none."""
    quantity_milli: int
    unit_price: UnitPrice
    gross_minor: int
    discount_minor: int
    tax_minor: int
    total_minor: int
    parts: tuple[Part, ...]
    """Rounding, discounts, taxes, in this order."""
    price_source: PriceSource = PriceSource.BASE


class TaxBucket(msgspec.Struct, frozen=True, omit_defaults=True):
    """One tax of an order at one rate. `taxable_minor` excludes all tax."""

    code: str
    rate_ppm: int
    inclusive: bool
    taxable_minor: int
    tax_minor: int
    tax_rate_key: int = 0


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
    price_policy: PricePolicy = PricePolicy.CHECKED
    """Of the store."""


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
