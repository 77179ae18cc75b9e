"""With TLS required, Souk only talks to a server with the right certificate."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from internal.infra.mysql import database as mysql
from internal.infra.settings import MysqlSettings
from internal.kernel import errors
from tests.support import mariadb

HERE, ELSEWHERE = "here", "elsewhere"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an authority, a certificate of it for 127.0.0.1 and one for another address."""
    folder = tmp_path_factory.mktemp("tls")
    for name in ("ca", "stranger"):
        key = ("-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem")
        _openssl(folder, "req", "-x509", *key, "-days", "2", "-subj", f"/CN={name}")
    for name, place in ((HERE, "IP:127.0.0.1"), (ELSEWHERE, "DNS:elsewhere.test")):
        key = ("-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        _openssl(folder, "req", *key, "-subj", f"/CN={name}")
        (folder / f"{name}.ext").write_text(f"subjectAltName={place}\n")
        signer = ("-CA", "ca.pem", "-CAkey", "ca.key", "-extfile", f"{name}.ext", "-days", "2")
        _openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signer)
    return folder


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module", params=[HERE, ELSEWHERE])
def server(
    request: pytest.FixtureRequest, certificates: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[mariadb.Server, str]]:
    """A server, and the address that its certificate is for."""
    place = request.param
    files = {"ca": "ca.pem", "cert": f"{place}.pem", "key": f"{place}.key"}
    options = [f"--ssl-{what}={certificates / file}" for what, file in files.items()]
    with mariadb.started(tmp_path_factory.mktemp("tls-server"), *options) as server:
        yield server, place


async def cipher(options: MysqlSettings, authority: Path | None) -> str:
    database = mysql.MysqlDatabase(options.model_copy(update={"tls_ca_file": authority}))
    query = sa.text("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
    try:
        return await database.read(lambda c: str(c.execute(query).one()[1]))
    finally:
        await database.close()


async def test_only_a_trusted_server_is_used(
    server: tuple[mariadb.Server, str], certificates: Path
) -> None:
    options, authority = server[0].options("mysql"), certificates / "ca.pem"
    assert not await cipher(options, None)
    if server[1] == HERE:
        assert "TLS" in await cipher(options, authority)
    else:
        with pytest.raises(errors.Misconfigured, match=r"not trusted.*IP address mismatch"):
            await cipher(options, authority)
    with pytest.raises(errors.Misconfigured, match=r"SOUK_MYSQL__TLS_CA_FILE.*not trusted"):
        await cipher(options, certificates / "stranger.pem")


async def test_a_server_without_tls_gets_no_password(
    mysql_options: MysqlSettings, certificates: Path
) -> None:
    if mariadb.VARIABLE in os.environ:
        pytest.skip(f"not run: the server of {mariadb.VARIABLE} may offer TLS")
    with pytest.raises(errors.Misconfigured, match="offers no TLS"):
        await cipher(mysql_options, certificates / "ca.pem")
