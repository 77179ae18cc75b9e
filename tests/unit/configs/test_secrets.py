"""scripts/docker_secrets makes what docker-compose.yml names, once, and for nobody else's eyes."""

import shutil
import ssl
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
NAMED = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["secrets"]
HEX_DIGITS = 48

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def make(folder: Path) -> str:
    """Run the script; return what it printed."""
    command = [str(ROOT / "scripts" / "docker_secrets"), str(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "secrets"
    printed = make(folder)
    assert all(file.read_text().strip() not in printed for file in folder.iterdir())
    return folder


def test_everything_that_is_named_is_made(folder: Path) -> None:
    assert {file.name for file in folder.iterdir()} == set(NAMED)


def test_only_the_owner_comes_in_and_every_container_can_read(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o444}


def test_passwords_are_long_and_all_different(folder: Path) -> None:
    words = [f.read_text().strip() for f in folder.iterdir() if f.name.endswith("password")]
    assert len(set(words)) == len(words) == 3
    assert all(len(word) == HEX_DIGITS for word in words)


def test_what_is_there_stays(folder: Path) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert make(folder) == ""
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_a_client_that_asks_for_mysql_trusts_the_certificate(folder: Path) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "mysql_certificate", folder / "mysql_key")
    client = ssl.create_default_context(cafile=folder / "mysql_ca")
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    assert shake_hands(client, server, "mysql")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(client, server, "another")


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> bool:
    """Let the two speak through memory; return whether they have come to terms."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(down, up, server_hostname=name),
        server.wrap_bio(up, down, server_side=True),
    ]
    for _ in range(4):
        for end in tuple(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            ends.remove(end)
    return not ends
