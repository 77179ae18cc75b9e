"""The audit log: which operator did what about an order, when and why. Rows are only appended.

An action and its row are written in one transaction.
"""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from internal.infra import bulk, columns, db

OPERATOR_LOG = sa.Table(
    "operator_log",
    db.METADATA,
    columns.growing_key("action_key"),
    columns.number("at_us"),
    columns.words("actor", 64),
    columns.code("action"),
    columns.words("merchant_id", 64),
    columns.words("order_id", 64),
    columns.number("subject"),
    columns.words("detail"),
    columns.words("reason"),
    sa.Index("operator_log_by_order", "merchant_id", "order_id"),
)


class Action(msgspec.Struct, frozen=True):
    """One action of an operator."""

    at_us: int
    actor: str
    action: str
    """UPPER_SNAKE, past tense."""
    merchant_id: str
    order_id: str
    subject: int
    """Number of the payment attempt or of the dead letter; the order's version."""
    detail: str = ""
    reason: str = ""


_COLUMNS = tuple(OPERATOR_LOG.c.keys())[1:]


def log(connection: sa.Connection, actions: Sequence[Action]) -> None:
    """Append actions. Texts that are too long for their column are cut."""
    rows = [
        [_cut_to_column(name, getattr(action, name)) for name in _COLUMNS] for action in actions
    ]
    bulk.insert(connection, OPERATOR_LOG, _COLUMNS, rows)


def _cut_to_column(name: str, value: int | str) -> int | str:
    chars_max = getattr(OPERATOR_LOG.c[name].type, "length", None)
    return value[:chars_max] if isinstance(value, str) and chars_max else value


def of_order(connection: sa.Connection, merchant_id: str, order_id: str) -> list[Action]:
    """Return the actions about an order, oldest first."""
    return _find(connection, merchant_id, order_id)


def of_kinds(connection: sa.Connection, merchant_id: str, kinds: Sequence[str]) -> list[Action]:
    """Return the actions of these kinds that were about no order, oldest first."""
    return _find(connection, merchant_id, "", OPERATOR_LOG.c.action.in_(kinds))


def _find(
    connection: sa.Connection, merchant_id: str, order_id: str, *only: sa.ColumnElement[bool]
) -> list[Action]:
    t = OPERATOR_LOG.c
    query = sa.select(*(t[name] for name in _COLUMNS)).where(
        t.merchant_id == merchant_id, t.order_id == order_id, *only
    )
    rows = connection.execute(query.order_by(t.action_key))
    return [Action(**row._asdict()) for row in rows]
