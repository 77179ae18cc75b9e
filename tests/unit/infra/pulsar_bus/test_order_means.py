"""The mean number of orders in a topic's messages follows what was seen lately."""

import pytest

from internal.infra.pulsar_bus import order_means


def test_a_topic_without_messages_has_one_order_a_message() -> None:
    assert order_means.OrderMeans().of("t") == 1


def test_each_topic_has_a_mean_of_its_own() -> None:
    means = order_means.OrderMeans()
    for orders in ("4", "8"):
        means.note("t", {"orders": orders})
    means.note("u", {})
    assert (means.of("t"), means.of("u")) == (6, 1)


def test_old_messages_count_less_and_less() -> None:
    means = order_means.OrderMeans()
    for orders in (*["100"] * 10_000, *["2"] * 5_000):
        means.note("t", {"orders": orders})
    assert means.of("t") == pytest.approx(10, abs=8)
