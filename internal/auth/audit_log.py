"""What operators did about orders: who, when, what and why. It only grows.

Whoever does it writes it in the transaction that does it.
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
    """Something an operator did."""

    at_us: int
    actor: str
    action: str
    """UPPER_SNAKE, past tense."""
    merchant_id: str
    order_id: str
    subject: int
    """The number of the payment attempt, or of the dead letter."""
    detail: str = ""
    reason: str = ""


_COLUMNS = tuple(OPERATOR_LOG.c.keys())[1:]


def log(connection: sa.Connection, actions: Sequence[Action]) -> None:
    """Append."""
    rows = [[_fitting(name, getattr(action, name)) for name in _COLUMNS] for action in actions]
    bulk.insert(connection, OPERATOR_LOG, _COLUMNS, rows)


def _fitting(name: str, value: int | str) -> int | str:
    chars_max = getattr(OPERATOR_LOG.c[name].type, "length", None)
    return value[:chars_max] if isinstance(value, str) and chars_max else value


def of_order(connection: sa.Connection, merchant_id: str, order_id: str) -> list[Action]:
    """Return what was done about an order, oldest first."""
    t = OPERATOR_LOG.c
    query = sa.select(OPERATOR_LOG).where(t.merchant_id == merchant_id, t.order_id == order_id)
    rows = connection.execute(query.order_by(t.action_key))
    return [Action(*row[1:]) for row in rows]
