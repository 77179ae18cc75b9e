"""Page tokens come back as they went out, belong to their filters, and do no harm if foreign."""

from hypothesis import given
from hypothesis import strategies as st

from internal.api.orders import paging
from internal.kernel.states import OrderState
from internal.orders.messages import OrderPlaced
from internal.views.order import Filter, Page
from tests.unit.api import memory

ALL = Filter()
fact = OrderPlaced("m1", "o-1", "s-1", "EUR", (), (), "h", 1_700_000_000_000_001)


def test_there_and_back() -> None:
    view = memory.MemoryOrders(memory.MemoryBus()).record(fact)
    token = paging.token_after(view, ALL)
    assert paging.page_of(token, ALL) == Page(fact.placed_at_us, 1)
    assert paging.page_of(token, Filter(states=(OrderState.PAID,))) is None
    assert paging.page_of(token, Filter(store_id="s-1")) is None


@given(token=st.text(max_size=60) | st.binary(max_size=60).map(lambda b: b.decode("latin-1")))
def test_anything_else_is_no_token(token: str) -> None:
    assert paging.page_of(token, ALL) is None
