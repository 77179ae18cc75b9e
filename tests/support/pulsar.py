"""A Pulsar broker for tests: the one that SOUK_TEST_PULSAR names, or a private one for this run.

SOUK_TEST_PULSAR=pulsar://127.0.0.1:6650,http://127.0.0.1:8080, of a user who may create tenants.
Tests work in namespaces of their own, which are deleted in the end. A private broker is a stack,
started in a folder of its own when the first test asks for it.
"""

import asyncio
import atexit
import functools
import os
import tempfile
from pathlib import Path

import msgspec
import pytest

from internal.infra import settings
from internal.infra.pulsar_bus import admin
from internal.kernel import errors, ids
from internal.stack import layout, ports, stack

VARIABLE = "SOUK_TEST_PULSAR"
TENANT = "souk-tests"
TOPICS = settings.TopicSettings()
IS_CI = os.environ.get("CI") == "true"


@pytest.fixture(scope="session")
def pulsar_options() -> settings.PulsarSettings:
    """Return the settings with which tests use a broker."""
    return options()


@functools.cache
def options() -> settings.PulsarSettings:
    """Return the settings of a namespace that is this run's own, on a broker that runs."""
    named = os.environ.get(VARIABLE)
    if not named:
        return _namespace(_start_our_own())
    service_url, admin_url = named.split(",")
    chosen = _namespace(settings.PulsarSettings(service_url=service_url, admin_url=admin_url))
    atexit.register(lambda: asyncio.run(_delete_namespace(chosen)))
    return chosen


def _namespace(reached: settings.PulsarSettings) -> settings.PulsarSettings:
    place = {"tenant": TENANT, "namespace": f"run-{ids.random_token(6)}"}
    chosen = reached.model_copy(update=place)
    asyncio.run(_make_namespace(chosen))
    return chosen


def _start_our_own() -> settings.PulsarSettings:
    """Start a stack; in CI what is missing is brought here, elsewhere the tests are not run."""
    directory = Path(tempfile.mkdtemp(prefix="souk-pulsar-"))
    ours = stack.Stack(directory, ports.FREE)
    atexit.register(ours.reset)
    try:
        with ours.logs_kept(Path(tempfile.gettempdir())):
            ours.up(may_install=IS_CI)
    except errors.Misconfigured as error:
        if IS_CI:
            pytest.fail(str(error))
        pytest.skip(f"not run: {error}")
    return layout.load_settings(ours.folder).pulsar


async def _make_namespace(chosen: settings.PulsarSettings) -> None:
    async with admin.PulsarAdmin(chosen) as api:
        await api.ensure_namespace(TOPICS.partitions)


async def _delete_namespace(chosen: settings.PulsarSettings) -> None:
    """Delete topic by topic: brokers do not let whole namespaces go that are in use."""
    async with admin.PulsarAdmin(chosen) as api:
        await api.delete_topics()
        await api.delete(f"/admin/v2/namespaces/{chosen.tenant}/{chosen.namespace}")


class Topic(msgspec.Struct, frozen=True):
    """What an operator may do to a topic of a running broker."""

    options: settings.PulsarSettings
    name: str

    async def unload(self) -> None:
        """Close it, as when it moves to another broker: every client has to connect again."""
        async with admin.PulsarAdmin(self.options) as api:
            await api.put(f"{self._path}/unload")

    async def trim(self) -> None:
        """Delete at once what nobody needs any more; by itself, Pulsar does that later."""
        await self.unload()
        async with admin.PulsarAdmin(self.options) as api:
            await api.post(f"{self._path}/trim")

    async def consumers(self, subscription: str) -> int:
        """Count who is connected."""
        async with admin.PulsarAdmin(self.options) as api:
            stats = await api.subscription_stats(self.name, subscription)
        return len(stats["consumers"])

    @property
    def _path(self) -> str:
        return f"/admin/v2/persistent/{self.options.tenant}/{self.options.namespace}/{self.name}"
