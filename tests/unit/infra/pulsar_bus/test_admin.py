"""The admin API's answers, and what each of them means."""

from pathlib import Path

import pytest

from internal.infra.pulsar_bus import admin
from internal.kernel import errors
from tests.support import no_pulsar


async def test_an_unreachable_admin_api() -> None:
    async with admin.PulsarAdmin(no_pulsar.NOWHERE) as api:
        with pytest.raises(errors.BusAway, match=r"127\.0\.0\.1:1"):
            await api.list_functions()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (500, errors.BusAway),
        (503, errors.BusAway),
        (429, errors.BusAway),
        (401, errors.Misconfigured),
        (403, errors.Misconfigured),
        (400, errors.Misconfigured),
        (412, errors.Misconfigured),
    ],
)
async def test_errors_of_the_admin_api_are_passed_on(status: int, kind: type[Exception]) -> None:
    body = b'{"reason": "because of the rain"}'
    async with no_pulsar.answering(status, body) as options, admin.PulsarAdmin(options) as api:
        with pytest.raises(kind, match=f"{status}.*because of the rain"):
            await api.get("/admin/v2/tenants")


async def test_missing_and_existing_things() -> None:
    async with no_pulsar.answering(404, b"not found") as options, admin.PulsarAdmin(options) as api:
        assert await api.get("/x") is None
        assert await api.delete("/x") is False
        assert await api.function_status("x") is None
        assert await api.topic_stats("x") is None
        for call in (api.put("/x"), api.post("/x")):
            with pytest.raises(errors.Misconfigured, match="not found"):
                await call
    async with no_pulsar.answering(409, b"there") as options, admin.PulsarAdmin(options) as api:
        assert await api.put("/x") is False
        with pytest.raises(errors.Misconfigured, match="there"):
            await api.post("/x")


async def test_an_answer_without_a_body() -> None:
    async with no_pulsar.answering(204, b"") as options, admin.PulsarAdmin(options) as api:
        assert await api.get("/x") is None
        assert await api.put("/x") is True
        assert await api.post("/x") is None
    async with no_pulsar.answering(200, b"ok") as options, admin.PulsarAdmin(options) as api:
        assert await api.get("/x") == "ok"


async def test_a_token_file_that_cannot_be_read(tmp_path: Path) -> None:
    options = no_pulsar.NOWHERE.model_copy(update={"token_file": tmp_path / "token"})
    async with admin.PulsarAdmin(options) as api:
        with pytest.raises(errors.Misconfigured, match="SOUK_PULSAR__TOKEN_FILE"):
            await api.get("/x")


def test_a_certificate_file_that_cannot_be_read(tmp_path: Path) -> None:
    wrong = {"admin_url": "https://127.0.0.1:1", "tls_ca_file": tmp_path / "ca.pem"}
    with pytest.raises(errors.Misconfigured, match="SOUK_PULSAR__TLS_CA_FILE"):
        admin.PulsarAdmin(no_pulsar.NOWHERE.model_copy(update=wrong))
