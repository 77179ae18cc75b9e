"""Probes: whether a deployed function really works.

The runtime calls an instance healthy as soon as its process is. A probe is an empty message on the
stage's topic with a token; the instance that gets it looks at its database, and answers on a topic
of its own. It carries no order and leaves no trace.
"""

from typing import Any

import msgspec
import sqlalchemy as sa

from internal.infra import settings

PROPERTY = "souk-probe"
TOPIC = "probes"


class Instance(msgspec.Struct, frozen=True):
    """The instance that answers."""

    function: str
    instance: str
    version: str


def topic(options: settings.PulsarSettings) -> str:
    """Return the full name of the topic for answers, which keeps none of them."""
    return f"non-persistent://{options.tenant}/{options.namespace}/{TOPIC}"


def look(connection: sa.Connection) -> str:
    """Return the version of the tables."""
    query = sa.text("SELECT version_num FROM alembic_version")
    return str(connection.execute(query).scalar_one())


def answer(
    client: Any,  # noqa: ANN401 - pulsar.Client, which ships no types
    options: settings.PulsarSettings,
    token: str,
    instance: Instance,
) -> None:
    """Publish the answer, and wait until it is out. Blocks."""
    producer = client.create_producer(topic(options))
    try:
        properties = {PROPERTY: token, **msgspec.structs.asdict(instance)}
        producer.send(b"", properties=properties, partition_key=token)
    finally:
        producer.close()
