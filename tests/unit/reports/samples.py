"""Finalized orders to report about, and a report that is one file in a folder of its own."""

import datetime
import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from internal import reports
from internal.kernel.clock import US_PER_SECOND
from internal.kernel.states import OrderState
from internal.orders import store

TOY_REPORT = '''"""A report for tests."""

from internal.reports import registry


def rows(connection, merchant_id, parameters):
    yield merchant_id, (parameters.until_us - parameters.since_us) // 1_000_000


REPORT = registry.Report(
    summary="how long the period is",
    columns=(
        registry.Column("merchant", registry.Kind.TEXT, "id of the merchant"),
        registry.Column("seconds", registry.Kind.COUNT, "length of the period"),
    ),
    rows=rows,
)
'''

_NUMBERS = itertools.count(1)
_EMPTY = {
    column.name: 0 if isinstance(column.type, sa.BigInteger) else "" for column in store.ORDERS.c
} | {"due_at_us": None, "receipt_no": None}


def us_of(text: str) -> int:
    """Return the instant of an ISO 8601 text."""
    return int(datetime.datetime.fromisoformat(text).timestamp()) * US_PER_SECOND


def add_order(
    connection: sa.Connection, placed_at: str, total_minor: int = 100, **fields: str
) -> None:
    """Add a finalized order with 5 of discount and 16 of tax."""
    number = next(_NUMBERS)
    values = {
        **_EMPTY,
        "order_key": number,
        "order_id": f"o-{number}",
        "merchant_id": "m-1",
        "store_id": "main",
        "currency": "EUR",
        "state": OrderState.FINALIZED,
        "placed_at_us": us_of(placed_at),
        "gross_minor": total_minor + 5,
        "discount_minor": 5,
        "net_minor": total_minor - 16,
        "tax_minor": 16,
        "total_minor": total_minor,
    }
    connection.execute(store.ORDERS.insert().values(values | fields))


@contextmanager
def one_more_folder(folder: Path) -> Iterator[None]:
    """Let the modules of `folder` belong to the package of reports, too."""
    path, before = list(reports.__path__), set(sys.modules)
    reports.__path__ = [*path, str(folder)]
    try:
        yield
    finally:
        reports.__path__ = path
        for name in set(sys.modules) - before:
            if name.startswith(f"{reports.__name__}."):
                vars(reports).pop(name.rpartition(".")[2])
                del sys.modules[name]
