"""A correct database with an order of every kind, and ways to corrupt and check it."""

import datetime
import string
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from internal.checks import findings, invariants, seals
from internal.checks.scope import EVERYTHING, Scope
from internal.kernel import local_days
from internal.kernel.clock import US_PER_SECOND
from internal.orders import store
from internal.pricing.messages import Adjustment, AdjustmentKind
from tests.support import gateways, shop, staged_orders
from tests.support.gateways import Fault
from tests.unit.checks import corruptions

NAMES = ("sale", "split", "paid", "open", "asked", "declined", "away", "unknown-sku", "cancelled")
DONE = ("sale", "split", "declined", "away", "unknown-sku", "cancelled")
SEALED_MERCHANT = "m-0"
CANARY = "4111111111111111"


class Database(NamedTuple):
    """A correct database with an order of every kind, and the captures in the gateway's ledger."""

    connection: sa.Connection
    captured: dict[str, int]
    scope: Scope = EVERYTHING

    def check(self, **more: object) -> list[findings.Finding]:
        return invariants.check(
            self.connection,
            captured_at_gateway=self.captured,
            now_us=shop.NOW_US,
            scope=self.scope,
            **more,  # type: ignore[arg-type]
        )

    def corrupt(self, *statements: str, **values: int | str) -> None:
        """Run SQL in which `$sale` is the order_key of the order "sale", and `$x` the value `x`."""
        query = sa.select(store.ORDERS.c.order_id, store.ORDERS.c.order_key).where(
            store.ORDERS.c.merchant_id == shop.MERCHANT
        )
        keys = {name.replace("-", "_"): key for name, key in self.connection.execute(query)}
        day = self.connection.execute(sa.select(sa.func.max(store.ORDERS.c.business_day))).scalar()
        more = {"now": shop.NOW_US, "day": day, "canary": CANARY, "log": corruptions.LOG}
        for statement in statements:
            sql = string.Template(statement).substitute({**keys, **more, **values})
            self.connection.exec_driver_sql(sql)


def seal_the_day_before(connection: sa.Connection) -> None:
    """Sell something at another merchant's a day earlier, and seal that day."""
    shop.open_merchant(connection, SEALED_MERCHANT)
    line = staged_orders.StagedOrders(connection)
    orders = [shop.placed(name, merchant_id=SEALED_MERCHANT) for name in ("first", "second")]
    at_us = shop.NOW_US - local_days.DAY_US
    line.carry(*(msgspec.structs.replace(it, placed_at_us=at_us) for it in orders))
    day = local_days.business_day(at_us, datetime.UTC, 0)
    later_us = shop.NOW_US + seals.RECORDED_BEFORE_US
    seals.write(connection, seals.plan(connection, day, later_us), later_us)


def trade(connection: sa.Connection) -> dict[str, int]:
    """Trade in an open shop; return what the gateway has captured."""
    gateway = gateways.FaultyGateway()
    line = staged_orders.StagedOrders(connection, gateway)
    tenth = (Adjustment(AdjustmentKind.BASIS_POINTS, 1_000),)
    two = (shop.cash(500), shop.card())
    line.carry(
        shop.placed("sale"),
        shop.placed("split", ("tea", 2), ("cup", 3), tenders=two, adjustments=tenth),
        shop.placed("declined", tenders=(shop.cash(200), shop.card(token="tok_declined:no"))),
        shop.placed("unknown-sku", ("nope", 1)),
        shop.placed("gift", ("gift", 1)),
        shop.placed(
            "sale",
            ("cup", 1),
            tenders=(shop.cash(given=500, tip=50),),
            merchant_id=shop.OTHER_MERCHANT,
        ),
    )
    line.carry(shop.placed("sale", ("cup", 1)))  # another order under the same id
    line.step(*line.step(shop.placed("paid", ("cup", 4), tenders=(shop.card(),))))
    line.step(shop.placed("cancelled", ("tea", 9)))
    line.step(shop.cancel("cancelled"), shop.cancel("paid", "too late"))
    gateway.faults.extend([Fault.LOST_ANSWER])
    line.carry(shop.placed("asked", tenders=(shop.card(),)))
    gateway.faults.extend([Fault.AWAY] * 4)
    away = line.step(shop.placed("away", tenders=(shop.card(),)))
    for _ in range(4):
        line.carry(*away)
        line.clock.advance_us(60 * US_PER_SECOND)
    line.step(shop.placed("open"))
    line.step(shop.kept_open("tab", shop.cash(100)))
    return gateway.captured
