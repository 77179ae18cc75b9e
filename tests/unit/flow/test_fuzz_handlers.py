"""Any fact that reaches a handler is settled or is poison: "try again" would repeat forever."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from internal.checks import invariants
from internal.flow import topics
from internal.kernel import errors
from internal.kernel.facts import Fact
from tests.support import facts, profiles, shop, staged_orders

ORDERS = (
    shop.placed("paid-in-cash", ("tea", 2)),
    shop.placed("paid-by-card", ("cup", 1), tenders=(shop.cash(100), shop.card())),
    shop.placed("declined", ("cup", 1), tenders=(shop.card(token="tok_declined:lost_card"),)),
    shop.placed("too-much", ("rare", 3)),
)


@st.composite
def disguised(draw: st.DrawFn, real: list[Any]) -> Any:  # noqa: ANN401 - a fact, as a struct
    """Take a fact that is on its way, and give it some values of any other."""
    fact, other = draw(st.sampled_from(real)), draw(facts.LOGGED)
    names = sorted(set(fact.__struct_fields__) & set(other.__struct_fields__))
    changed = draw(st.sets(st.sampled_from(names), max_size=3))
    values = {name: getattr(other, name) for name in changed}
    return msgspec.convert(msgspec.to_builtins(msgspec.structs.replace(fact, **values)), type(fact))


@profiles.tries(60)
@given(st.data())
def test_no_fact_stops_a_stage(data: st.DataObject) -> None:
    with staged_orders.database() as connection:
        shop.open_for_business(connection)
        handlers = staged_orders.StagedOrders(connection)
        on_its_way: list[Any] = [*ORDERS, *handlers.step(*ORDERS)]
        wild = data.draw(st.lists(facts.LOGGED | disguised(on_its_way), min_size=1, max_size=4))
        for fact in wild:
            if topics.TOPIC_OF[type(fact)] in handlers.handlers:
                carry(handlers, fact)
        handlers.carry(*on_its_way)
        assert not invariants.check(connection)


def carry(handlers: staged_orders.StagedOrders, fact: Fact) -> None:
    """Carry a fact to its end; poison is an end too, anything temporary is none."""
    try:
        handlers.carry(fact)
    except errors.Temporary:
        raise
    except Exception:  # noqa: BLE001 - the stage takes whatever it is for this order's poison
        handlers.connection.rollback()
