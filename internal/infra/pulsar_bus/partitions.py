"""Partitions of topics: which one a key has, and statistics of all of them together. Pure."""

import re
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from internal.infra import bus

NAME_END = re.compile(r"-partition-\d+$")
"""How the names of partitions end; before that they are the topic's."""
EARLIEST = "earliestMsgPublishTimeInBacklog"


def partition_of(key: str, partitions: int) -> int:
    """Return the partition of a key.

    The client's own hash depends on its version. Shards are numbers, and are dealt out evenly.
    """
    number = int(key) if key.isascii() and key.isdecimal() else zlib.crc32(key.encode())
    return number % partitions


def with_ages(stats: dict[str, Any]) -> dict[str, Any]:
    """Correct when the oldest message of each subscription was published, in milliseconds.

    The broker's own sum is -1 or 0 as soon as one partition has no backlog.
    """
    of_partitions = stats.get("partitions", {}).values()
    for name, told in stats.get("subscriptions", {}).items():
        told[EARLIEST] = _earliest_ms(it.get("subscriptions", {}).get(name) for it in of_partitions)
    return stats


def _earliest_ms(of_partitions: Iterable[Mapping[str, Any] | None]) -> int:
    found = [int(told[EARLIEST]) for told in of_partitions if told]
    return min((at_ms for at_ms in found if at_ms > 0), default=0)


def delivering(stats: Mapping[str, Any], name: str) -> list[bus.Delivering]:
    """Return how far the broker has delivered each partition to a subscription."""
    return [
        bus.Delivering(
            int(topic.rpartition("-")[2]),
            int(read["msgBacklog"]),
            int(read["unackedMessages"]),
            int(read["msgOutCounter"]),
            any(consumer["availablePermits"] > 0 for consumer in read["consumers"]),
        )
        for topic, read in _of_partitions(stats, name)
    ]


def described(stats: Mapping[str, Any], name: str) -> list[str]:
    """Return a line for each partition on which messages wait for a subscription.

    It tells who has them: the consumers (which have not acknowledged them), or the broker.
    """
    lines = []
    for topic, read in _of_partitions(stats, name):
        if not read["msgBacklog"]:
            continue
        consumers = ", ".join(map(_consumer, read.get("consumers", [])))
        draining = read.get("drainingHashesCount", 0)
        replay = read.get("msgInReplay", 0)
        lines.append(
            f"{topic.rpartition('/')[2]}: {read['msgBacklog']} wait, {replay} to repeat,"
            f" {draining} keys drain; consumers: {consumers or 'none'}"
        )
    return lines


def _of_partitions(stats: Mapping[str, Any], name: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Return what is told of a subscription, by the name of the partition."""
    by_topic = sorted(stats.get("partitions", {}).items())
    found = [(topic, told.get("subscriptions", {}).get(name)) for topic, told in by_topic]
    return [(topic, read) for topic, read in found if read is not None]


def _consumer(told: Mapping[str, Any]) -> str:
    return (
        f"{told.get('consumerName')} ({told.get('unackedMessages')} unacknowledged,"
        f" {told.get('availablePermits')} permits, {told.get('drainingHashesCount', 0)} keys drain)"
    )
