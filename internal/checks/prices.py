"""I13: an order's amounts are the sums of its lines, and a line's those of its parts.

Writes nothing.
"""

import sqlalchemy as sa

from internal.checks import findings
from internal.checks.scope import EVERYTHING, Scope
from internal.orders import parts, tables
from internal.pricing.messages import PartKind

_ORDERS_ADD_UP = findings.Rule(
    "I13",
    "an order's amounts are the sums of its lines, and its net and tax are its total",
    """
    SELECT merchant_id, order_id, gross_minor, gross, discount_minor, discount, tax_minor, tax,
      total_minor, total
    FROM (
      SELECT o.merchant_id, o.order_id, o.gross_minor, o.discount_minor, o.net_minor, o.tax_minor,
        o.total_minor,
        (SELECT COALESCE(SUM(l.gross_minor), 0) FROM order_lines l
          WHERE l.order_key = o.order_key) AS gross,
        (SELECT COALESCE(SUM(l.discount_minor), 0) FROM order_lines l
          WHERE l.order_key = o.order_key) AS discount,
        (SELECT COALESCE(SUM(l.total_minor), 0) FROM order_lines l
          WHERE l.order_key = o.order_key) AS total,
        (SELECT COALESCE(SUM(p.amount_minor), 0) FROM order_line_parts p
          WHERE p.order_key = o.order_key AND p.kind = :part_tax) AS tax
      FROM orders o WHERE o.order_key > :after AND o.order_key <= :upto
    ) AS q
    WHERE gross_minor <> gross OR discount_minor <> discount OR tax_minor <> tax
      OR total_minor <> total OR net_minor + tax_minor <> total_minor
    """,
    findings.by_order(tables.ORDERS),
)
_LINES_ADD_UP = findings.Rule(
    "I13",
    "a line's discount is the sum of its parts, and its total the gross less that, with tax on top",
    """
    SELECT order_key, line_no, gross_minor, discount_minor, discount, on_top, total_minor
    FROM (
      SELECT l.order_key, l.line_no, l.gross_minor, l.discount_minor, l.total_minor,
        (SELECT COALESCE(SUM(p.amount_minor), 0) FROM order_line_parts p
          WHERE p.order_key = l.order_key AND p.line_no = l.line_no
            AND p.kind = :part_discount) AS discount,
        (SELECT COALESCE(SUM(p.amount_minor), 0) FROM order_line_parts p
          WHERE p.order_key = l.order_key AND p.line_no = l.line_no
            AND p.kind = :part_tax AND p.inclusive = 0) AS on_top
      FROM order_lines l WHERE l.order_key > :after AND l.order_key <= :upto
    ) AS q
    WHERE discount_minor <> discount OR gross_minor - discount_minor + on_top <> total_minor
    """,
    findings.by_order(tables.ORDER_LINES),
)
_PARTS_HAVE_LINES = findings.Rule(
    "I13",
    "a part of a price belongs to a line, and the line to an order",
    """
    SELECT p.order_key, p.line_no, p.part_no, p.kind
    FROM order_line_parts p
    LEFT JOIN order_lines l ON l.order_key = p.order_key AND l.line_no = p.line_no
    LEFT JOIN orders o ON o.order_key = l.order_key
    WHERE p.order_key > :after AND p.order_key <= :upto AND o.order_key IS NULL
    """,
    findings.by_order(parts.ORDER_LINE_PARTS),
)
RULES = (_ORDERS_ADD_UP, _LINES_ADD_UP, _PARTS_HAVE_LINES)


def check(connection: sa.Connection, scope: Scope = EVERYTHING) -> list[findings.Finding]:
    """Return the broken rules about prices."""
    parts = {f"part_{kind.name.lower()}": str(kind) for kind in PartKind}
    return findings.evaluate(connection, RULES, scope, {**findings.PARAMETERS, **parts})
