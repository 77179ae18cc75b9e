"""Plain Pulsar Functions, as the official examples write them: one message, one transaction.

`scripts/bench full` compares Souk with these. They have the same three stages and a smaller job: no
prices, no taxes, no stock, no payment gateway; an order, three items, a payment, two ledger rows,
three log rows. The file must not import Souk: the functions worker gets only this one.
"""

import abc
import json
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulsar
import pymysql

Statement = tuple[str, tuple[object, ...]]
Order = dict[str, Any]

_LOG = "INSERT IGNORE INTO logs VALUES (%s, %s, 'ok', now(6))"


class _Plain(pulsar.Function):  # type: ignore[misc] # pulsar ships no types
    """One stage: writes, commits, returns the message as its output."""

    def __init__(self) -> None:
        self._connection: Any = None

    @abc.abstractmethod
    def statements(self, order: Order) -> Iterator[Statement]:
        """Yield what this stage writes."""

    def process(self, input: str, context: Any) -> str:  # noqa: A002, ANN401 - the runtime's names
        """Take one order."""
        if self._connection is None:
            self._connection = _connect(context.get_user_config_value("database"))
        with self._connection.cursor() as cursor:
            for sql, values in self.statements(json.loads(input)):
                cursor.execute(sql, values)
        self._connection.commit()
        return input


class PlainOrder(_Plain):
    """Records the order and its items."""

    def statements(self, order: Order) -> Iterator[Statement]:
        """Yield three inserts."""
        order_id = order["order_id"]
        yield (
            "INSERT IGNORE INTO orders VALUES (%s, %s, 'PROCESSED', %s, now(6))",
            (order_id, order["merchant_id"], order["total"]),
        )
        items = [
            (order_id, line, item["sku"], item["quantity"], item["unit_price"])
            for line, item in enumerate(order["items"])
        ]
        rows = ", ".join(["(%s, %s, %s, %s, %s)"] * len(items))
        values = tuple(value for item in items for value in item)
        yield f"INSERT IGNORE INTO order_items VALUES {rows}", values  # noqa: S608 - placeholders
        yield _LOG, (order_id, "order")


class PlainPayment(_Plain):
    """Records the payment and books it."""

    def statements(self, order: Order) -> Iterator[Statement]:
        """Yield three inserts."""
        order_id, total = order["order_id"], order["total"]
        yield (
            "INSERT IGNORE INTO transactions VALUES (%s, 'charge', %s, 'SUCCEEDED', now(6))",
            (order_id, total),
        )
        yield (
            "INSERT IGNORE INTO ledger VALUES (%s, 'cash', 'D', %s), (%s, 'revenue', 'C', %s)",
            (order_id, total, order_id, total),
        )
        yield _LOG, (order_id, "payment")


class PlainFinal(_Plain):
    """Marks the order as done."""

    def statements(self, order: Order) -> Iterator[Statement]:
        """Yield an update and an insert."""
        yield "UPDATE orders SET status = 'DONE' WHERE order_id = %s", (order["order_id"],)
        yield _LOG, (order["order_id"], "final")


def _connect(database: str) -> Any:  # noqa: ANN401 - pymysql's
    """Connect as Souk's functions do, with the settings in the file that SOUK_CONFIG names."""
    server = tomllib.loads(Path(os.environ["SOUK_CONFIG"]).read_text())["mysql"]
    return pymysql.connect(
        host=server.get("host", "127.0.0.1"),
        port=server.get("port", 3306),
        user=server.get("user", "souk"),
        password=server.get("password", ""),
        database=database,
        autocommit=False,
    )
