"""An unreachable server is waited for; a wrong setting, or an old server, is named at once."""

import socket
from pathlib import Path
from typing import Any

import pydantic
import pytest
import sqlalchemy as sa

from internal.infra.mysql import database as mysql
from internal.infra.settings import MysqlSettings
from internal.kernel import errors


@pytest.fixture
def options(mysql_options: MysqlSettings) -> MysqlSettings:
    return mysql_options.model_copy(update={"connect_timeout_s": 2.0})


def with_options(options: MysqlSettings, **changed: Any) -> mysql.MysqlDatabase:  # noqa: ANN401
    return mysql.MysqlDatabase(options.model_copy(update=changed))


def one(connection: sa.Connection) -> int:
    return int(connection.exec_driver_sql("SELECT 1").scalar_one())


async def test_an_unreachable_server_is_an_outage(options: MysqlSettings) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        database = with_options(options, port=port)
        words = rf"SOUK_MYSQL__HOST and SOUK_MYSQL__PORT name \S+:{port}: nothing listens there"
        with pytest.raises(errors.DatabaseAway, match=f"2003 {words}"):
            await database.read(one)
        await database.close()


async def test_a_host_that_does_not_exist_is_named(options: MysqlSettings) -> None:
    """It is an outage all the same: name servers fail, too."""
    database = with_options(options, host="souk.invalid")
    with pytest.raises(errors.DatabaseAway, match=r"HOST.* name souk\.invalid:\d+: no such host"):
        await database.read(one)
    await database.close()


async def test_a_server_that_never_greets_is_an_outage(options: MysqlSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        database = with_options(options, port=port, connect_timeout_s=0.1)
        with pytest.raises(errors.DatabaseAway, match="no greeting"):
            await database.read(one, is_quick=True)
        await database.close()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"user": "nobody"}, "SOUK_MYSQL__USER or SOUK_MYSQL__PASSWORD.*nobody"),
        ({"password": pydantic.SecretStr("wrong")}, "SOUK_MYSQL__PASSWORD"),
        ({"database": "souk_nowhere"}, "souk_nowhere"),
        ({"password_file": Path("nowhere")}, "SOUK_MYSQL__PASSWORD_FILE: nowhere"),
        ({"tls_ca_file": Path("nowhere")}, "SOUK_MYSQL__TLS_CA_FILE: nowhere"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_a_wrong_setting_is_named(
    options: MysqlSettings, changed: dict[str, Any], words: str
) -> None:
    """It is raised at once: waiting would not help."""
    with pytest.raises(errors.Misconfigured, match=words) as caught:
        await _read_with(with_options(options, **changed))
    assert "wrong" not in str(caught.value)


async def _read_with(database: mysql.MysqlDatabase) -> None:
    try:
        await database.read(one)
    finally:
        await database.close()


async def test_the_password_may_be_in_a_file(options: MysqlSettings, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(options.password.get_secret_value() + "\n")
    wrong = pydantic.SecretStr("another")
    database = with_options(options, password=wrong, password_file=file)
    assert await database.read(one) == 1
    await database.close()


@pytest.mark.parametrize(
    "text",
    [
        "8.4.3",
        "8.0.36-28",
        "9.1.0-commercial",
        "5.5.5-10.11.6-MariaDB-0+deb12u1",
        "11.4.2-MariaDB",
        "10.6.0-MariaDB-log",
    ],
)
def test_a_server_that_is_new_enough(text: str) -> None:
    mysql.check_version(text)


@pytest.mark.parametrize("text", ["8.0.18", "5.7.44-log", "5.5.5-10.5.27-MariaDB", "what?"])
def test_a_server_that_is_too_old_stops_the_start(text: str) -> None:
    with pytest.raises(errors.Misconfigured, match=r"needs MySQL 8\.0\.19, "):
        mysql.check_version(text)
