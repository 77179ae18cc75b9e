"""MariaDB, through MySQL's protocol, keeps the contract of every database."""

from collections.abc import AsyncIterator

import pytest

from internal.infra import db, settings
from internal.infra.mysql import database as mysql
from tests.contract import database_contract
from tests.contract.database_contract import opened


class ServerHome:
    """A database of a server."""

    def __init__(self, options: settings.MysqlSettings) -> None:
        self.options = options

    def open(self) -> mysql.MysqlDatabase:
        return mysql.MysqlDatabase(self.options)


@pytest.fixture
def home(mysql_options: settings.MysqlSettings) -> ServerHome:
    return ServerHome(mysql_options)


@pytest.fixture
async def database(home: ServerHome) -> AsyncIterator[db.Database]:
    async with opened(home) as database:
        yield database


class TestMysql(database_contract.DatabaseContract):
    """MariaDB."""
