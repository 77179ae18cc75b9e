"""An order's version grows with every change of its charge, and not when it is looked at again."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from internal.checks import invariants
from internal.kernel import errors
from internal.kernel.clock import US_PER_SECOND
from internal.kernel.states import ChargeState
from internal.orders import changes, store
from tests.support import gateways, shop, staged_orders
from tests.support.gateways import Fault

NOTHING = store.ChargeAmounts(**dict.fromkeys(store.ChargeAmounts.__struct_fields__, 0))


class Line(staged_orders.StagedOrders):
    """The stages, with the order "o" as its merchant sees it."""

    def told(self) -> tuple[int, str, str]:
        view = self.view("o")
        return view.version, str(view.state), str(view.charge_state)

    def updated_at_us(self) -> int:
        return self.view("o").updated_at_us - shop.NOW_US


@pytest.fixture
def gateway() -> gateways.FaultyGateway:
    return gateways.FaultyGateway()


@pytest.fixture
def line(any_database: sa.Connection, gateway: gateways.FaultyGateway) -> Iterator[Line]:
    shop.open_for_business(any_database)
    yield Line(any_database, gateway)
    assert not invariants.check(any_database, captured_at_gateway=gateway.captured)


def test_a_charge_that_changes_is_a_new_version(
    line: Line, gateway: gateways.FaultyGateway
) -> None:
    gateway.faults.append(Fault.LOST_ANSWER)
    accepted = line.step(shop.placed("o", tenders=(shop.card(),)))
    assert line.told() == (2, "ACCEPTED", "NONE")
    line.clock.advance_us(1)
    line.carry(*accepted)
    assert line.told() == (4, "ACCEPTED", "UNKNOWN")
    assert line.updated_at_us() == 1
    line.clock.advance_us(1)
    line.carry(*accepted)
    assert (line.told()[0], line.updated_at_us()) == (4, 1), "nothing has changed"
    line.clock.advance_us(5 * US_PER_SECOND)
    line.carry(*accepted)
    assert line.told() == (6, "FINALIZED", "FULL")
    assert [entry.version for entry in line.view("o").timeline] == [1, 2, 5, 6]


def test_money_that_moves_is_a_new_version_of_an_open_order(line: Line) -> None:
    facts = line.carry(shop.kept_open("o"))
    assert line.told() == (2, "ACCEPTED", "NONE")
    line.carry(shop.added("o", shop.cash(100), "p-1"))
    assert line.told() == (3, "ACCEPTED", "PARTLY_CAPTURED")
    left_open = line.carry(shop.added("o", shop.cash(100), "p-2"))
    assert line.told() == (4, "ACCEPTED", "PARTLY_CAPTURED")
    assert [getattr(fact, "version", 0) for fact in left_open] == [4]
    line.carry(*facts)
    assert line.told()[0] == 4


def test_a_charge_of_an_older_version_is_a_conflict(line: Line) -> None:
    line.step(shop.placed("o"))
    order = line.view("o")
    late = changes.OpenCharge(
        order_key=order.order_key,
        from_version=order.version - 1,
        version=order.version,
        state=ChargeState.PENDING,
        due_at_us=None,
        at_us=shop.NOW_US,
        amounts=NOTHING,
    )
    with pytest.raises(errors.Conflict), staged_orders.transaction(line.connection):
        changes.set_charge(line.connection, [late])
