"""The orders of benchmarks: all different, with the documented shares."""

import protovalidate

from internal.lab.workload import templates
from internal.wire.souk.v1 import order_pb2, order_service_pb2
from tests.unit.lab.workload import shops

MADE = templates.Templates(shops.small(), "bench", 1)
NUMBERS = range(5_000, 7_000)


def drafts() -> list[order_pb2.OrderDraft]:
    return list(order_service_pb2.SubmitOrdersRequest.FromString(MADE.batch(NUMBERS)).orders)


def test_orders_are_valid_and_have_ids_of_their_own() -> None:
    for draft in drafts():
        protovalidate.validate(draft)
    assert [draft.order_id for draft in drafts()] == [MADE.order_id(n) for n in NUMBERS]
    assert len({draft.order_id for draft in drafts()}) == len(NUMBERS)


def test_shares_are_as_documented() -> None:
    made = drafts()
    assert {len(draft.lines) for draft in made} == {3}
    discounted = [draft for draft in made if draft.adjustments]
    by_card = [draft for draft in made if draft.tenders[0].HasField("card")]
    assert len(discounted) * 4 == len(by_card) * 2 == len(made)
    assert {draft.tenders[0].WhichOneof("kind") for draft in discounted} == {"cash", "card"}


def test_one_order_alone_is_the_same_as_in_a_batch() -> None:
    wait_for = order_service_pb2.WAIT_FOR_FINALIZED
    request = order_service_pb2.SubmitOrderRequest.FromString(MADE.single(5_001, wait_for))
    assert request.wait_for == wait_for
    assert request.order == drafts()[1]
