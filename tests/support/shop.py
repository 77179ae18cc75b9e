"""A small shop to trade in, and orders for it in a line.

Prices: tea 10.00 with 19 % inside, cup 2.50 and rare 5.00 with 8.875 % on top, gift for nothing.
"""

import msgspec
import sqlalchemy as sa

from internal.catalogue import store as catalogue_store
from internal.catalogue.messages import Product, Store, TaxRate
from internal.inventory import store as inventory_store
from internal.inventory.messages import StockKey
from internal.kernel import facts, ids
from internal.kernel.quantities import MILLI
from internal.kernel.unit_prices import UnitPrice
from internal.orders import messages
from internal.payments.messages import OnDecline, Tender, TenderKind
from internal.pricing.messages import Adjustment, WantedLine
from internal.privacy.messages import Private
from tests.support import stock

MERCHANT = "m-1"
OTHER_MERCHANT = "m-2"
STORE = "main"
OK = "tok_ok"
NOW_US = 1_700_000_000_000_000
ROUNDING_STEP = 5
"""The other merchant rounds cash to multiples of it."""
STOCK = {"tea": 1_000, "cup": 1_000, "rare": 2, "gift": 1_000}

_PRODUCTS = (
    ("tea", 1_000, "inside", True),
    ("cup", 250, "on-top", True),
    ("rare", 500, "on-top", True),
    ("gift", 0, "inside", True),
    ("ghost", 100, "inside", True),
    ("old", 100, "inside", False),
)


def open_for_business(connection: sa.Connection) -> None:
    """Fill the catalogue and the stock of two merchants. `ghost` is never stocked."""
    for merchant_id in (MERCHANT, OTHER_MERCHANT):
        open_merchant(connection, merchant_id)


def open_merchant(connection: sa.Connection, merchant_id: str) -> None:
    """Fill the catalogue and the stock of one merchant."""
    step_minor = ROUNDING_STEP if merchant_id == OTHER_MERCHANT else 0
    store = Store(merchant_id, STORE, "The shop", "EUR", cash_rounding_step_minor=step_minor)
    catalogue_store.save_stores(connection, [store])
    rates = [
        TaxRate(merchant_id, "inside", "inside", "Inside", 190_000, inclusive=True),
        TaxRate(merchant_id, "on-top", "on-top", "On top", 88_750, inclusive=False),
    ]
    catalogue_store.add_tax_rates(connection, rates)
    products = [
        Product(merchant_id, sku, f"A {sku}", UnitPrice(minor), "EUR", tax, active)
        for sku, minor, tax, active in _PRODUCTS
    ]
    catalogue_store.save_products(connection, products)
    received = [
        stock.moved(StockKey(merchant_id, STORE, sku), units) for sku, units in STOCK.items()
    ]
    inventory_store.move(connection, received, stock.OWNER)


def card(amount_minor: int | None = None, token: str = OK, *, tip: int = 0) -> Tender:
    """Pay by card: so much, or what the other tenders leave. Its reference tells the token."""
    ref = "" if token == OK else token
    return Tender(TenderKind.CARD, ref, amount_minor, tip_minor=tip)


def token_of(tender: Tender) -> str:
    """Return the token of a card in an order: its reference is "t1" or "t1.token"."""
    return tender.tender_ref.partition(".")[2] or OK


def half_of(fact: object, note: str = "") -> Private:
    """Return the private half of an order: the tokens of its cards, and a note."""
    if not isinstance(fact, messages.OrderPlaced | messages.AddTender):
        return Private(note)
    tenders = fact.tenders if isinstance(fact, messages.OrderPlaced) else (fact.tender,)
    cards = [it for it in tenders if it.kind is TenderKind.CARD]
    return Private(note, {it.tender_ref: token_of(it) for it in cards})


def cash(amount_minor: int | None = None, *, given: int = 0, tip: int = 0) -> Tender:
    """Pay cash: so much, or what the other tenders leave."""
    return Tender(TenderKind.CASH, amount_minor=amount_minor, given_minor=given, tip_minor=tip)


def placed(
    order_id: str,
    *lines: tuple[str, int],
    tenders: tuple[Tender, ...] = (Tender(TenderKind.CASH),),
    adjustments: tuple[Adjustment, ...] = (),
    merchant_id: str = MERCHANT,
) -> messages.OrderPlaced:
    """Return an order for (sku, pieces), one tea unless told. Equal bodies have equal hashes."""
    wanted = tuple(WantedLine(sku, pieces * MILLI) for sku, pieces in lines or (("tea", 1),))
    tenders = tuple(
        msgspec.structs.replace(it, tender_ref=f"t{number}.{it.tender_ref}".rstrip("."))
        for number, it in enumerate(tenders, start=1)
    )
    body = repr((wanted, tenders, adjustments)).encode()
    return messages.OrderPlaced(
        merchant_id,
        order_id,
        STORE,
        "EUR",
        wanted,
        tenders,
        ids.short_digest(body),
        NOW_US,
        adjustments,
        trace_id=f"trace-{order_id}",
    )


def kept_open(
    order_id: str, *tenders: Tender, hold_s: int = 3_600, merchant_id: str = MERCHANT
) -> messages.OrderPlaced:
    """Return an order for one tea that stays open until it is paid or its hold ends."""
    return msgspec.structs.replace(
        placed(order_id, tenders=tenders, merchant_id=merchant_id),
        on_decline=OnDecline.KEEP_OPEN,
        hold_s=hold_s,
    )


def added(order_id: str, tender: Tender, request_id: str = "p-1") -> messages.AddTender:
    """Return a request to add a tender, named like it. Equal bodies have equal hashes."""
    ref = f"{request_id}.{tender.tender_ref}" if tender.tender_ref else request_id
    named = msgspec.structs.replace(tender, tender_ref=ref)
    body_hash = ids.short_digest(repr(named).encode())
    return messages.AddTender(
        MERCHANT, order_id, request_id, NOW_US, body_hash, currency="EUR", tender=named
    )


def updated(
    order_id: str, *lines: tuple[str, int], request_id: str = "u-1", expected_version: int = 0
) -> messages.UpdateOrder:
    """Return a request for new lines, (sku, pieces) each. Equal bodies have equal hashes."""
    wanted = tuple(WantedLine(sku, pieces * MILLI) for sku, pieces in lines)
    unstamped = messages.UpdateOrder(
        MERCHANT,
        order_id,
        request_id,
        0,
        currency="EUR",
        lines=wanted,
        expected_version=expected_version,
    )
    body_hash = facts.body_hash(unstamped, Private())
    return msgspec.structs.replace(unstamped, requested_at_us=NOW_US, body_hash=body_hash)


def cancel(
    order_id: str,
    request_id: str = "c-1",
    *,
    reason: str = "changed my mind",
    merchant_id: str = MERCHANT,
) -> messages.CancelRequested:
    """Return a request to cancel an order. Equal bodies have equal hashes."""
    unstamped = messages.CancelRequested(merchant_id, order_id, request_id, 0)
    body_hash = facts.body_hash(unstamped, Private(reason))
    return messages.CancelRequested(merchant_id, order_id, request_id, NOW_US, body_hash)
