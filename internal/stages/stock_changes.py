"""Changes of stock that no order makes: goods that arrive, are written off, or are counted.

Each is a document with its movements, in the caller's transaction. Nothing is refused for its
effect: what has happened is recorded, and an exception is opened where more is promised than is
left.
"""

import datetime
from collections.abc import Mapping, Sequence

import msgspec
import sqlalchemy as sa

from internal.auth import actors, audit_log
from internal.catalogue import store as catalogue_store
from internal.inventory import exceptions, rules, store
from internal.inventory.messages import (
    Movement,
    Reason,
    SourceKind,
    StockChanged,
    StockKey,
    StockLevel,
)
from internal.kernel import errors, local_days, quantities
from internal.pipeline import journal, outbox

DOCUMENT_KIND = "STOCK_CHANGE"
STAGE = "stock_changes"
MADE_BY = "souk stock"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to the stock of a location, and who says so."""

    merchant_id: str
    location_id: str
    document_id: str
    """The merchant's name for it: a delivery note, a count sheet. It is recorded once."""
    reason: Reason
    quantities_milli: Mapping[str, int]
    """By SKU: what came, negative for what went; of a count, what was found."""
    actor: str
    owner: str
    """The person who deals with an exception."""
    happened_at_us: int


def record(
    connection: sa.Connection, change: Change, why: str, now_us: int
) -> dict[StockKey, StockLevel]:
    """Record a change; return the new levels. `why` is for the operators' log.

    Raises:
        InvalidInput: a document of that name is recorded already.
        Conflict: another instance changed the same rows; repeat the whole transaction.
    """
    day = _business_day(connection, change)
    document = journal.Document(
        kind=DOCUMENT_KIND,
        merchant_id=change.merchant_id,
        document_id=change.document_id,
        business_day=day,
        at_us=now_us,
    )
    key = journal.add_document(connection, document)
    if key is None:
        what = f"{change.document_id} is recorded already; give another document another name"
        raise errors.InvalidInput([("--document", what)])
    actor_key = actors.key_of(connection, change.merchant_id, actors.OPERATOR, change.actor, now_us)
    quantities_milli = _differences(connection, change)
    movements = [
        Movement(
            business_day=day,
            source_kind=SourceKind.DOCUMENT,
            source_key=key,
            movement_no=number,
            key=stock_key,
            reason=change.reason,
            quantity_milli=quantity_milli,
            happened_at_us=change.happened_at_us,
            recorded_at_us=now_us,
            actor_key=actor_key,
        )
        for number, (stock_key, quantity_milli) in enumerate(quantities_milli.items(), start=1)
    ]
    levels = store.move(connection, movements, change.owner)
    if change.reason is Reason.COUNT:
        store.note_counts(connection, list(levels), change.happened_at_us)
    events = [_event(change, it, levels[it.key]) for it in movements]
    outbox.add(connection, events, now_us)
    journal.log(connection, _entry(change, key, events, actor_key, now_us))
    audit_log.log(connection, [_action(change, key, why, now_us)])
    return levels


def _entry(
    change: Change, document_key: int, events: Sequence[StockChanged], actor_key: int, now_us: int
) -> journal.Entry:
    return journal.Entry(
        document_key=document_key,
        stage=STAGE,
        event_id=journal.RECORDED.lower(),
        version=journal.FIRST_VERSION,
        state=journal.RECORDED,
        reason=change.reason,
        fact=msgspec.json.encode(events).decode(),
        actor_key=actor_key,
        made_by=MADE_BY,
        request_id=change.document_id,
        at_us=now_us,
    )


def _event(change: Change, movement: Movement, level: StockLevel) -> StockChanged:
    return StockChanged(
        merchant_id=movement.key.merchant_id,
        location_id=movement.key.location_id,
        sku=movement.key.sku,
        lot=movement.key.lot,
        document_id=change.document_id,
        reason=movement.reason,
        quantity_milli=movement.quantity_milli,
        on_hand_milli=level.on_hand_milli,
        reserved_milli=level.reserved_milli,
        happened_at_us=movement.happened_at_us,
        at_us=movement.recorded_at_us,
    )


def _action(change: Change, document_key: int, why: str, now_us: int) -> audit_log.Action:
    return audit_log.Action(
        at_us=now_us,
        actor=change.actor,
        action=f"STOCK_{change.reason}",
        merchant_id=change.merchant_id,
        order_id="",
        subject=document_key,
        detail=f"{change.document_id} at {change.location_id}",
        reason=why,
    )


def close_exception(
    connection: sa.Connection, exception_key: int, by: str, why: str, now_us: int
) -> None:
    """Close an exception.

    Raises:
        InvalidInput: there is no such open exception, or more is still promised than there is.
    """
    found = exceptions.lock(connection, exception_key)
    if found is None or found.closed_at_us is not None:
        raise errors.InvalidInput([("", f"there is no open exception {exception_key}")])
    level = store.lock_levels(connection, [found.key]).get(found.key)
    if level and level.available_milli < 0:
        short = quantities.text(-level.available_milli)
        what = f"{found.key.sku}: {short} more are promised than there are"
        raise errors.InvalidInput([("", what)])
    exceptions.close(connection, exception_key, by, why, now_us)


def _business_day(connection: sa.Connection, change: Change) -> int:
    """Return the day at the location; a location that is no store has days of UTC."""
    place = change.merchant_id, change.location_id
    found = catalogue_store.load_snapshot(connection, [place], ()).stores.get(place)
    if found is None:
        return local_days.business_day(change.happened_at_us, datetime.UTC, 0)
    zone = local_days.zone_named(found.time_zone)
    return local_days.business_day(change.happened_at_us, zone, found.day_cut_off_minutes)


def _differences(connection: sa.Connection, change: Change) -> dict[StockKey, int]:
    """Return what each stock row gains; a count gains its difference to the records of its time."""
    told = {
        StockKey(change.merchant_id, change.location_id, sku): milli
        for sku, milli in sorted(change.quantities_milli.items())
    }
    if change.reason is not Reason.COUNT:
        return told
    levels = store.lock_levels(connection, sorted(told))
    since = store.moved_since(connection, list(told), change.happened_at_us)
    return {
        key: rules.count_difference(levels[key].on_hand_milli, milli, since[key])
        if key in levels
        else milli
        for key, milli in told.items()
    }
