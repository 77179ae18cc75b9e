"""Changes of a catalogue, each with a new version, in the caller's transaction.

Products have events that name them; stores and tax rates have rows in the audit log.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import sqlalchemy as sa

from internal.auth import audit_log
from internal.auth import store as auth_store
from internal.catalogue import rules, store
from internal.catalogue.messages import Product, ProductsChanged, Store, TaxRate
from internal.kernel import errors, local_days
from internal.ledger import business_days
from internal.ledger import store as ledger_store
from internal.orders import days
from internal.pipeline import outbox

SKUS_MAX = 1_000
"""SKUs in one event: a message has 1 MiB at most, and a SKU 256 bytes."""
STORE_CREATED, STORE_CHANGED = "STORE_CREATED", "STORE_CHANGED"
TAX_RATE_ADDED = "TAX_RATE_ADDED"


def save_products(
    connection: sa.Connection, merchant_id: str, products: Sequence[Product], now_us: int
) -> None:
    """Insert a merchant's products, or replace those that exist. Without products nothing changes.

    The merchant's row is locked, so that the events follow each other as the versions do.
    """
    if not products:
        return
    version = auth_store.next_catalogue_version(connection, merchant_id)
    store.save_products(connection, products)
    skus = [product.sku for product in products]
    events = [
        ProductsChanged(
            merchant_id=merchant_id,
            catalogue_version=version,
            skus=tuple(skus[start : start + SKUS_MAX]),
            at_us=now_us,
        )
        for start in range(0, len(skus), SKUS_MAX)
    ]
    outbox.add(connection, events, now_us)


def create_store(connection: sa.Connection, new: Store, actor: str, now_us: int) -> None:
    """Insert a store of a merchant, who exists.

    Raises:
        InvalidInput: the merchant has a store of this id, or the store is wrong.
    """
    auth_store.next_catalogue_version(connection, new.merchant_id)
    if store.find_store(connection, new.merchant_id, new.store_id):
        what = f"there is a store {new.store_id} already: `souk stores set` changes it"
        raise errors.InvalidInput([("", what)])
    _refuse([*rules.flaws_of_store(new)])
    store.save_stores(connection, [new])
    values = {name: value for name, value in _values_of(new).items() if value != ""}
    told = ", ".join(f"{name} {value}" for name, value in values.items())
    _log(connection, new.merchant_id, STORE_CREATED, actor, f"{new.store_id}: {told}", now_us)


def change_store(
    connection: sa.Connection, before: Store, values: Mapping[str, object], actor: str, now_us: int
) -> Store:
    """Give a store these values of its fields; return it. Without a difference nothing changes.

    Raises:
        InvalidInput: a value is wrong, or recorded orders and days forbid the change.
    """
    auth_store.next_catalogue_version(connection, before.merchant_id)
    before = store.find_store(connection, before.merchant_id, before.store_id) or before
    after = msgspec.structs.replace(before, **values)
    if after == before:
        return before
    refusals = _refusals_of_change(connection, before, after, now_us)
    _refuse([*rules.flaws_of_store(after), *refusals])
    store.save_stores(connection, [after])
    old, new = _values_of(before), _values_of(after)
    told = ", ".join(
        f"{name} {old[name]} -> {value}" for name, value in new.items() if value != old[name]
    )
    _log(connection, after.merchant_id, STORE_CHANGED, actor, f"{after.store_id}: {told}", now_us)
    return after


def history_of_store(connection: sa.Connection, of: Store) -> list[audit_log.Action]:
    """Return what operators did to a store, oldest first."""
    about = f"{of.store_id}: "
    return [
        it
        for it in audit_log.of_kinds(connection, of.merchant_id, (STORE_CREATED, STORE_CHANGED))
        if it.detail.startswith(about)
    ]


def _refusals_of_change(
    connection: sa.Connection, before: Store, after: Store, now_us: int
) -> Iterator[rules.Violation]:
    """Yield why a store cannot change like this, or cannot yet: recorded days would be falsified.

    Recorded days stay as they are, and the new ones go on after them: at a change of the calendar
    a day may once be longer or shorter, but never comes twice.
    """
    newest_day = days.newest(connection, before.merchant_id, before.store_id)
    if newest_day is not None and after.currency != before.currency:
        what = f"its orders are in {before.currency}; another currency needs another store"
        yield "--currency", what
    if _calendar(after) == _calendar(before):
        return
    entries_day = ledger_store.newest_day(connection, before.merchant_id, before.store_id)
    recorded_day = max(newest_day or 0, entries_day or 0)
    sealed_day = business_days.last_seal(connection).business_day
    begins_us = _first_instant_us(after, recorded_day, sealed_day)
    if now_us < begins_us:
        when = local_days.instant_text(begins_us, local_days.zone_named(after.time_zone))
        what = "sales would fall on a day before the newest one that is recorded or sealed"
        yield "--time-zone, --day-cut-off", f"{what}; from {when} on they would not"


def _calendar(it: Store) -> tuple[str, int]:
    return it.time_zone, it.day_cut_off_minutes


def _first_instant_us(of: Store, recorded_day: int, sealed_day: int) -> int:
    """Return from when on no sale of a store is on a sealed day, or before a recorded one."""
    zone, cut_off_minutes = local_days.zone_named(of.time_zone), of.day_cut_off_minutes
    begins_us = local_days.begins_us(recorded_day, zone, cut_off_minutes) if recorded_day else 0
    if sealed_day <= 0:
        return begins_us
    return max(begins_us, local_days.ends_us(sealed_day, zone, cut_off_minutes))


def _values_of(it: Store) -> dict[str, object]:
    named = msgspec.structs.asdict(it)
    return {name: value for name, value in named.items() if name not in {"merchant_id", "store_id"}}


def add_tax_rate(
    connection: sa.Connection, told: TaxRate, since_us: int | None, actor: str, now_us: int
) -> TaxRate:
    """Add a rate of a merchant's tax, and return it; the merchant exists.

    Args:
        connection: in a transaction.
        told: the rate, but for the instant from which on it holds.
        since_us: that instant; None: now, or always while no product has the tax code.
        actor: the person who adds it.
        now_us: the time.

    Raises:
        InvalidInput: it is wrong, or it would change the taxes of what was sold.
    """
    auth_store.next_catalogue_version(connection, told.merchant_id)
    known = store.list_tax_rates(connection, told.merchant_id)
    is_used = store.is_tax_code_used(connection, told.merchant_id, told.tax_code)
    if since_us is None:
        since_us = rules.begins_us(told, known, now_us, is_used=is_used)
    rate = msgspec.structs.replace(told, valid_from_us=since_us)
    _refuse([*rules.flaws_of_rate(rate, known, now_us, is_used=is_used)])
    store.add_tax_rates(connection, [rate])
    how = "inside the price" if rate.inclusive else "on top of the price"
    what = f"{rate.tax_code}, {rate.code}: {rate.rate_ppm} ppm {how}, {rate.category.name}"
    since = f", from {rate.valid_from_us} us on" if rate.valid_from_us else ""
    _log(connection, rate.merchant_id, TAX_RATE_ADDED, actor, what + since, now_us)
    return rate


def _refuse(violations: Sequence[rules.Violation]) -> None:
    if violations:
        raise errors.InvalidInput(list(violations))


def _log(
    connection: sa.Connection, merchant_id: str, action: str, actor: str, detail: str, now_us: int
) -> None:
    done = audit_log.Action(
        at_us=now_us,
        actor=actor,
        action=action,
        merchant_id=merchant_id,
        order_id="",
        subject=0,
        detail=detail,
    )
    audit_log.log(connection, [done])
