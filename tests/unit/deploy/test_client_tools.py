"""The servers' own command lines: what becomes of Souk's settings."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from internal.console.exit_codes import ExitCode
from internal.deploy import client_tools
from internal.infra import settings
from internal.kernel import errors
from internal.stack import prerequisites

HOME = Path("/opt/pulsar")
PASSWORD = 'quo"te\\back slash#'


def program(path: Path, script: str) -> None:
    path.write_text(f"#!{sys.executable}\n{script}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    (tmp_path / "bin").mkdir()
    path = tmp_path / "bin" / "java"
    program(path, "print('openjdk version \"17.0.1\"')")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    return str(path)


def test_pulsar_admin_is_led_to_the_admin_address(java: str) -> None:
    options = settings.PulsarSettings(admin_url="http://127.0.0.1:8081")
    made = client_tools.pulsar("pulsar-admin", ["tenants", "list"], options, HOME)
    assert made.arguments[0] == java
    assert made.arguments[-4:] == ["--admin-url", "http://127.0.0.1:8081", "tenants", "list"]


def test_pulsar_client_is_led_to_the_service_address(java: str) -> None:
    del java
    made = client_tools.pulsar("pulsar-client", ["produce", "t"], settings.PulsarSettings(), HOME)
    assert made.arguments[-4:] == ["--url", "pulsar://127.0.0.1:6650", "produce", "t"]


def test_token_is_named_by_its_file_only(java: str, tmp_path: Path) -> None:
    del java
    token = tmp_path / "token"
    token.write_text("eyJsecret")
    options = settings.PulsarSettings(token_file=token, tls_ca_file=tmp_path / "ca.pem")
    made = client_tools.pulsar("pulsar-admin", [], options, HOME)
    assert f"file://{token}" in made.arguments
    assert str(tmp_path / "ca.pem") in made.arguments
    assert not any("eyJsecret" in argument for argument in made.arguments)


def test_without_java_it_says_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    with pytest.raises(errors.Misconfigured, match="Java 17"):
        client_tools.pulsar("pulsar-admin", [], settings.PulsarSettings(), HOME)


class TestSql:
    """On a client that only says what it was told."""

    SAYS = (
        "import sys\n"
        "name, file = sys.argv[1].split('=')\n"
        "print([name, *sys.argv[2:]])\n"
        "print(open(file).read())\n"
    )

    @pytest.fixture(autouse=True)
    def _client(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        program(tmp_path / "mariadb", self.SAYS)
        monkeypatch.setattr(prerequisites, "SEARCH_PATH", str(tmp_path))

    def options(self) -> settings.MysqlSettings:
        return settings.MysqlSettings.model_validate({"port": 3307, "password": PASSWORD})

    def test_password_is_in_no_argument(self) -> None:
        made = client_tools.sql("sql", ["--table"], self.options())
        assert made.arguments[1:] == ["--table", "souk"]
        assert 'password="quo\\"te\\\\back slash#"' in made.told.splitlines()
        assert "port=3307" in made.told.splitlines()

    def test_another_database_may_be_named(self) -> None:
        assert client_tools.sql("sql", ["souk_drill"], self.options()).arguments[1:] == [
            "souk_drill"
        ]

    def test_password_may_be_in_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "password").write_text("from the file\n")
        options = self.options().model_copy(update={"password_file": tmp_path / "password"})
        assert 'password="from the file"' in client_tools.sql("sql", [], options).told

    def test_program_reads_its_login_from_a_pipe(self, tmp_path: Path) -> None:
        config = tmp_path / "souk.toml"
        config.write_text(f"[storage]\nengine = 'full'\n[mysql]\npassword = '{PASSWORD}'\n")
        done = subprocess.run(
            [sys.executable, "cmd/server_tool.py", "sql", "--table"],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
            env={"PATH": f"{tmp_path}{os.pathsep}/usr/bin", "SOUK_CONFIG": str(config)},
            cwd=Path(__file__).resolve().parents[3],
        )
        assert done.stdout.splitlines()[0] == "['--defaults-file', '--table', 'souk']"
        assert "user=souk" in done.stdout

    def test_missing_client_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(prerequisites, "SEARCH_PATH", "/nowhere")
        with pytest.raises(errors.Misconfigured, match="neither mariadb nor mysql"):
            client_tools.sql("sql", [], self.options())


def test_nothing_leads_a_tool_elsewhere() -> None:
    inherited = {"MYSQL_HOST": "h", "PULSAR_MEM": "m", "SOUK_CONFIG": "c", "PATH": "p"}
    assert client_tools.environment(inherited) == {"PATH": "p"}


def test_settings_of_the_embedded_engine_are_refused(tmp_path: Path) -> None:
    config = tmp_path / "souk.toml"
    config.write_text("[storage]\nengine = 'embedded'\n")
    done = subprocess.run(
        [sys.executable, "cmd/server_tool.py", "sql"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={"SOUK_CONFIG": str(config)},
        cwd=Path(__file__).resolve().parents[3],
    )
    assert done.returncode == ExitCode.USAGE
    assert "embedded engine" in done.stderr
