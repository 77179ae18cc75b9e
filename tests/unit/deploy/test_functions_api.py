"""What the broker's answers to a change of a function mean."""

import pytest

from internal.deploy import functions_api
from internal.infra.pulsar_bus import admin
from internal.kernel import errors
from tests.support import no_pulsar

NOT_STOPPED = b'{"reason":"Operation not permitted"}'
"""Pulsar 4.0.8's answer, with status 400."""


async def start(status: int, body: bytes) -> bool:
    async with no_pulsar.answering(status, body) as options, admin.PulsarAdmin(options) as api:
        return await functions_api.FunctionsApi(api, options).start("payment_processing")


@pytest.mark.parametrize(
    ("status", "body", "was_stopped"), [(204, b"", True), (400, NOT_STOPPED, False)]
)
async def test_start_tells_whether_an_instance_was_stopped(
    status: int,
    body: bytes,
    was_stopped: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert await start(status, body) is was_stopped


@pytest.mark.parametrize("status", [400, 404])
async def test_a_function_that_cannot_be_started_is_an_error(status: int) -> None:
    with pytest.raises(errors.Misconfigured, match="does not exist"):
        await start(status, b"Function payment_processing does not exist")
