"""The tenders of an order: each is a payment, with its amounts and its state.

Amounts are minor units of the order's currency. A row is inserted when the payment begins, or
when the tender is added to an open order; an order that is refused before has none.
"""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from internal.infra import bulk, columns, db
from internal.kernel.states import ChargeState
from internal.payments import tenders
from internal.payments.messages import Tender
from internal.payments.outcomes import PaymentRecord, TenderOutcome
from internal.privacy import messages as privacy

ORDER_TENDERS = sa.Table(
    "order_tenders",
    db.METADATA,
    columns.number("order_key", primary_key=True),
    columns.number("tender_no", primary_key=True),
    columns.ident("tender_ref"),
    columns.code("kind"),
    columns.code("state"),
    columns.number("amount_minor"),
    columns.number("given_minor", default=0),
    columns.number("change_minor", default=0),
    columns.number("tip_minor", default=0),
    columns.number("rounding_minor", default=0),
    columns.code("capture_mode", default="AUTOMATIC"),
    columns.number("authorized_minor", default=0),
    columns.number("captured_minor", default=0),
    columns.number("voided_minor", default=0),
    columns.number("refunded_minor", default=0),
    columns.number("pending_minor", default=0),
    columns.number("disputed_minor", default=0),
    columns.number("dispute_lost_minor", default=0),
    columns.number("authorized_until_us", nullable=True),
    columns.number("account_key", nullable=True),
    columns.number("gateway_account_key", nullable=True),
    columns.words("token_name", 96),
    columns.words("brand", 32),
    columns.words("funding", 16),
    columns.words("country", 2),
    columns.words("last4", 4),
    columns.words("entry_mode", 16),
    columns.words("external_reference", 128),
    columns.words("authorization_code", 32),
    columns.optional_ident("device_id"),
    columns.number("business_day", default=0),
    columns.number("version", default=1),
    columns.number("at_us"),
    columns.number("updated_at_us"),
)


class TenderRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A tender as it is known now. The amounts of one that is not recorded yet are 0."""

    tender_no: int
    tender: Tender
    state: ChargeState = ChargeState.NONE
    authorized_minor: int = 0
    captured_minor: int = 0
    voided_minor: int = 0
    refunded_minor: int = 0
    pending_minor: int = 0


_CHANGED = (
    "order_key",
    "tender_no",
    "state",
    "authorized_minor",
    "captured_minor",
    "voided_minor",
    "pending_minor",
    "updated_at_us",
)
_NEW = (
    *_CHANGED,
    "tender_ref",
    "kind",
    "amount_minor",
    "given_minor",
    "change_minor",
    "tip_minor",
    "rounding_minor",
    "account_key",
    "token_name",
    "business_day",
    "at_us",
)
_CHANGE = bulk.shape_of(ORDER_TENDERS, *_CHANGED)
_ORDER = bulk.shape_of(ORDER_TENDERS, "order_key")


def add(connection: sa.Connection, records: Sequence[PaymentRecord], at_us: int) -> None:
    """Insert new tenders.

    Raises:
        IntegrityError: an order has one of them already.
    """
    rows = [
        (
            *_changed(of.order_key, it, at_us),
            it.tender.tender_ref,
            it.tender.kind,
            it.tender.amount_minor or 0,
            it.tender.given_minor,
            it.tender.change_minor,
            it.tender.tip_minor,
            it.tender.rounding_minor,
            of.account_key(it.tender_no),
            _token_name(it.tender),
            of.business_day,
            at_us,
        )
        for of in records
        for it in of.outcome.tenders[of.tenders_before :]
    ]
    bulk.insert_deferred(connection, ORDER_TENDERS, _NEW, rows)


def _token_name(tender: Tender) -> str:
    """Return where its token is among the order's private values, if it has one."""
    has_token = tenders.of_kind(tender.kind).has_token
    return privacy.token_name(tender.tender_ref) if has_token else ""


def update(connection: sa.Connection, records: Sequence[PaymentRecord], at_us: int) -> None:
    """Record what became of tenders since; their orders' rows are locked."""
    rows = [
        _changed(of.order_key, it, at_us)
        for of in records
        for it in of.outcome.tenders[: of.tenders_before]
    ]
    changes = (*bulk.assign(*_CHANGED[2:]), ("version", "t.version + 1"))
    bulk.update_deferred(
        connection, ORDER_TENDERS, _CHANGE, ("order_key", "tender_no"), changes, rows
    )


def _changed(order_key: int, it: TenderOutcome, at_us: int) -> bulk.Values:
    amounts = it.amounts
    return (
        order_key,
        it.tender_no,
        it.state,
        amounts.authorized_minor,
        amounts.captured_minor,
        amounts.voided_minor,
        amounts.pending_minor + amounts.action_minor + amounts.unknown_minor,
        at_us,
    )


def query(order_keys: Sequence[int]) -> bulk.Query:
    """Return the query of all tenders of these orders; `records_in` reads its answer."""
    sql = (
        "SELECT t.* FROM {w} CROSS JOIN order_tenders t ON t.order_key = {w.order_key}"
        " ORDER BY t.order_key, t.tender_no"
    )
    return bulk.Query(_ORDER, sql, [(key,) for key in order_keys])


def records_in(rows: Sequence[bulk.Row]) -> dict[int, dict[int, TenderRecord]]:
    """Return the tenders in the rows of `query`, by order and number; none has its token."""
    found: dict[int, dict[int, TenderRecord]] = {}
    for row in rows:
        found.setdefault(row.order_key, {})[row.tender_no] = _record(row)
    return found


def _record(row: bulk.Row) -> TenderRecord:
    tender = Tender(
        kind=tenders.of_kind(row.kind).kind,
        tender_ref=row.tender_ref,
        amount_minor=row.amount_minor,
        given_minor=row.given_minor,
        tip_minor=row.tip_minor,
        change_minor=row.change_minor,
        rounding_minor=row.rounding_minor,
    )
    return TenderRecord(
        tender_no=row.tender_no,
        tender=tender,
        state=ChargeState(row.state),
        authorized_minor=row.authorized_minor,
        captured_minor=row.captured_minor,
        voided_minor=row.voided_minor,
        refunded_minor=row.refunded_minor,
        pending_minor=row.pending_minor,
    )
