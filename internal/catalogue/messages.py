"""The catalogue's values: stores, tax rates, products. Frozen, with amounts in minor units."""

from enum import StrEnum

import msgspec

from internal.kernel import ids
from internal.kernel.money import RoundingMode
from internal.kernel.unit_prices import UnitPrice

PPM = 1_000_000
"""Tax rates are parts per million: 19 % is 190_000, 8.875 % is 88_750."""


class RoundingPoint(StrEnum):
    """Where tax is rounded: on each line, once per tax rate, or once per document."""

    LINE = "LINE"
    TAX_RATE = "TAX_RATE"
    DOCUMENT = "DOCUMENT"


class PricePolicy(StrEnum):
    """What a store does with a till's own price: compare it, or accept it."""

    CHECKED = "CHECKED"
    TILL = "TILL"


class Store(msgspec.Struct, frozen=True):
    """A place of sale with its currency and its rounding."""

    merchant_id: str
    store_id: str
    name: str
    currency: str
    rounding_mode: RoundingMode = RoundingMode.HALF_UP
    rounding_point: RoundingPoint = RoundingPoint.LINE
    legal_entity: str = ""
    time_zone: str = ""
    """An IANA name; empty is UTC."""
    day_cut_off_minutes: int = 0
    """A business day begins this many minutes after the local midnight."""
    cash_rounding_step_minor: int = 0
    """Cash is paid in multiples of this; 0 for the currency's smallest unit."""
    cash_rounding_mode: RoundingMode = RoundingMode.HALF_UP
    price_policy: PricePolicy = PricePolicy.CHECKED
    hold_default_s: int = 86_400
    """How long an open order holds its stock unless it says otherwise."""
    hold_longest_s: int = 2_592_000


class TaxCategory(StrEnum):
    """The VAT category of a rate, as in EN 16931 (UNTDID 5305)."""

    STANDARD = "S"
    ZERO = "Z"
    EXEMPT = "E"
    REVERSE_CHARGE = "AE"
    INTRA_COMMUNITY = "K"
    EXPORT = "G"
    OUT_OF_SCOPE = "O"


class TaxRate(msgspec.Struct, frozen=True):
    """The rate of one tax from one instant on. Never changed: a new rate is a new row.

    A tax code of products may have several taxes; a tax that ends gets a rate of 0.
    """

    merchant_id: str
    tax_code: str
    """The code that products name."""
    code: str
    """The tax's own, as receipts and the ledger name it: GST."""
    name: str
    rate_ppm: int
    inclusive: bool
    """Whether prices contain the tax."""
    category: TaxCategory = TaxCategory.STANDARD
    jurisdiction: str = ""
    """Whose tax it is, such as an ISO 3166-2 code: CA-BC."""
    valid_from_us: int = 0
    tax_rate_key: int = 0
    """The database's name for it; 0 until it is stored."""


class Product(msgspec.Struct, frozen=True):
    """A product with the base price of one unit in `currency`."""

    merchant_id: str
    sku: str
    name: str
    unit_price: UnitPrice
    currency: str
    tax_code: str
    active: bool = True
    kind: str = "GOODS"
    is_stocked: bool = True
    """False for what has no stock: services, gift cards."""


class CatalogueSnapshot(msgspec.Struct, frozen=True):
    """The part of the catalogue that a batch of orders needs, read at one moment."""

    stores: dict[tuple[str, str], Store]
    """By (merchant_id, store_id)."""
    products: dict[tuple[str, str], Product]
    """By (merchant_id, sku)."""
    tax_rates: dict[tuple[str, str], tuple[TaxRate, ...]]
    """All that the taxes of a code ever had, by (merchant_id, tax_code)."""


class ProductsChanged(msgspec.Struct, frozen=True, omit_defaults=True, tag=True, kw_only=True):
    """Products were added or replaced. A large import has several of these, of one version."""

    merchant_id: str
    catalogue_version: int
    skus: tuple[str, ...]
    at_us: int
    trace_id: str = ""

    @property
    def subject_kind(self) -> str:
        """See kernel.facts.Fact."""
        return "catalogue"

    @property
    def key(self) -> str:
        """See kernel.facts.Fact."""
        return "catalogue"

    @property
    def occurred_at_us(self) -> int:
        """See kernel.facts.Fact."""
        return self.at_us

    @property
    def started_at_us(self) -> int:
        """See kernel.facts.Fact."""
        return self.at_us

    @property
    def refusal_code(self) -> str:
        """See kernel.facts.Fact."""
        return ""

    def flaw(self) -> str:
        """See kernel.facts.Fact."""
        return ids.flaw(merchant_id=self.merchant_id) or ids.sku_flaw(self.skus)
