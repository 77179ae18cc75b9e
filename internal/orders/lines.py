"""The SQL of an order's lines and of the parts of their prices, which are read for views.

They are written with the order, and replaced as a whole when the lines of an open order change.
"""

import operator
from collections.abc import Callable, Iterable, Sequence

import sqlalchemy as sa

from internal.infra import bulk
from internal.kernel.money import RoundingMode
from internal.kernel.unit_prices import UnitPrice
from internal.orders import parts, tables
from internal.pricing.messages import Part, PartKind, PartRule, PricedLine, PricedOrder, PriceSource

_LINE_COLUMNS = (
    "order_key",
    "line_no",
    "line_ref",
    "sku",
    "name",
    "location_id",
    "quantity_milli",
    "unit_price_scaled",
    "unit_price_scale",
    "price_source",
    "gross_minor",
    "discount_minor",
    "total_minor",
)
_PART_FIELDS = Part.__struct_fields__
_PART_COLUMNS = ("order_key", "line_no", "part_no", *_PART_FIELDS)
_PART_VALUES: Callable[[Part], tuple[int | str, ...]] = operator.attrgetter(*_PART_FIELDS)


def add(connection: sa.Connection, priced: Iterable[tuple[int, PricedOrder]]) -> None:
    """Insert the lines of new orders, each (order_key, its price), and their parts."""
    lines: list[bulk.Values] = []
    of_lines: list[bulk.Values] = []
    for key, order in priced:
        for line in order.lines:
            lines.append(_line_row(key, line))
            of_lines += [
                (key, line.line_no, part_no, *_PART_VALUES(part))
                for part_no, part in enumerate(line.parts, start=1)
            ]
    bulk.insert_deferred(connection, tables.ORDER_LINES, _LINE_COLUMNS, lines)
    bulk.insert_deferred(connection, parts.ORDER_LINE_PARTS, _PART_COLUMNS, of_lines)


def replace(connection: sa.Connection, priced: Sequence[tuple[int, PricedOrder]]) -> None:
    """Give orders these lines and parts in place of their own."""
    keys = [key for key, _ in priced]
    for table in (parts.ORDER_LINE_PARTS, tables.ORDER_LINES):
        connection.execute(table.delete().where(table.c.order_key.in_(keys)))
    add(connection, priced)


def _line_row(key: int, line: PricedLine) -> bulk.Values:
    return (
        key,
        line.line_no,
        line.line_ref,
        line.sku,
        line.name,
        line.location_id,
        line.quantity_milli,
        line.unit_price.scaled,
        line.unit_price.scale,
        line.price_source,
        line.gross_minor,
        line.discount_minor,
        line.total_minor,
    )


def queries(order_keys: Sequence[int]) -> list[bulk.Query]:
    """Return the queries whose answers `read` takes."""
    return [_rows_of(table, order_keys) for table in (tables.ORDER_LINES, parts.ORDER_LINE_PARTS)]


def _rows_of(table: sa.Table, order_keys: Sequence[int]) -> bulk.Query:
    query = (
        f"SELECT t.* FROM {{w}} CROSS JOIN {table.name} t"  # noqa: S608 - our own names
        " ON t.order_key = {w.order_key}"
    )
    return bulk.Query(bulk.shape_of(table, "order_key"), query, [(key,) for key in order_keys])


def read(
    lines: Sequence[bulk.Row], of_lines: Sequence[bulk.Row]
) -> dict[int, tuple[PricedLine, ...]]:
    """Return the lines of each order, in order, from the answers to `queries`."""
    found_parts: dict[tuple[int, int], list[Part]] = {}
    for row in sorted(of_lines, key=lambda it: it.part_no):
        found_parts.setdefault((row.order_key, row.line_no), []).append(_part(row))
    found: dict[int, list[PricedLine]] = {}
    for row in sorted(lines, key=lambda it: it.line_no):
        line = _line(row, found_parts.get((row.order_key, row.line_no), ()))
        found.setdefault(row.order_key, []).append(line)
    return {key: tuple(it) for key, it in found.items()}


def _line(row: bulk.Row, its_parts: Sequence[Part]) -> PricedLine:
    return PricedLine(
        line_no=row.line_no,
        line_ref=row.line_ref,
        sku=row.sku,
        name=row.name,
        location_id=row.location_id,
        quantity_milli=row.quantity_milli,
        unit_price=UnitPrice(row.unit_price_scaled, row.unit_price_scale),
        gross_minor=row.gross_minor,
        discount_minor=row.discount_minor,
        tax_minor=sum(it.amount_minor for it in its_parts if it.kind is PartKind.TAX),
        total_minor=row.total_minor,
        parts=tuple(its_parts),
        price_source=_SOURCES[row.price_source],
    )


_SOURCES = {it.value: it for it in PriceSource}
_KINDS = {it.value: it for it in PartKind}
_RULES = {it.value: it for it in PartRule}
_MODES = {it.value: it for it in RoundingMode}
"""Looked up: calling an Enum costs five times as much."""


def _part(row: bulk.Row) -> Part:
    return Part(
        kind=_KINDS[row.kind],
        rule=_RULES[row.rule],
        rounding_mode=_MODES[row.rounding_mode],
        base_minor=row.base_minor,
        amount_minor=row.amount_minor,
        code=row.code,
        rate_ppm=row.rate_ppm,
        inclusive=bool(row.inclusive),
        tax_rate_key=row.tax_rate_key,
        adjustment_no=row.adjustment_no,
        source=row.source,
        reason_code=row.reason_code,
        allowed_by=row.allowed_by,
    )
