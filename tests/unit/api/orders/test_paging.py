"""Page tokens come back as they went out, belong to their filters, and do no harm if foreign."""

from hypothesis import given
from hypothesis import strategies as st

from internal.api.orders import paging
from internal.kernel.states import OrderState
from internal.views.order_list import Filter, Page

ALL = Filter()
PLACE = Page(1_700_000_000_000_001, 1)


def test_there_and_back() -> None:
    token = paging.token_of(PLACE, ALL)
    assert paging.page_of(token, ALL) == PLACE
    assert paging.page_of(token, Filter(states=(OrderState.PAID,))) is None
    assert paging.page_of(token, Filter(store_id="s-1")) is None


@given(token=st.text(max_size=60) | st.binary(max_size=60).map(lambda b: b.decode("latin-1")))
def test_anything_else_is_no_token(token: str) -> None:
    assert paging.page_of(token, ALL) is None
