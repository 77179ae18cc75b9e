"""A value that is not as it must be is named."""

import msgspec

from internal.lab.demo import scene_values, scenes
from internal.wire.souk.v1 import order_pb2

RIGHT = scenes.SCENES[0].right


def test_equal_values_have_no_difference() -> None:
    assert not list(scene_values.differences(RIGHT, RIGHT))


def test_each_wrong_value_is_named_with_its_place() -> None:
    line = msgspec.structs.replace(RIGHT.lines[1], gross_minor=500)
    seen = msgspec.structs.replace(RIGHT, lines=(RIGHT.lines[0], line), state="PAID")
    assert list(scene_values.differences(seen, RIGHT)) == [
        "lines.2.gross_minor is 500, and must be 501",
        "state is PAID, and must be FINALIZED",
    ]


def test_value_too_many_and_one_too_few_are_differences() -> None:
    more = msgspec.structs.replace(RIGHT, steps=(*RIGHT.steps, scene_values.Step("FULL")))
    assert "steps.2.outcome is FULL, and must be None" in list(
        scene_values.differences(more, RIGHT)
    )
    assert "steps.2.outcome is None, and must be FULL" in list(
        scene_values.differences(RIGHT, more)
    )


def test_names_of_enums_lose_their_prefix() -> None:
    name = scene_values.name_of(order_pb2.OrderState, order_pb2.ORDER_STATE_FINALIZED)
    assert name == "FINALIZED"
