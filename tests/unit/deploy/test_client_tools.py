"""The servers' own command lines: what becomes of Souk's settings."""

import os
import re
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
        assert made.arguments[1:] == ["--table"]
        assert made.told.endswith("[mysql]\ndatabase=souk\n")
        assert 'password="quo\\"te\\\\back slash#"' in made.told.splitlines()
        assert "port=3307" in made.told.splitlines()

    def test_another_database_may_be_named(self) -> None:
        assert client_tools.sql("sql", ["souk_drill"], self.options()).arguments[1:] == [
            "souk_drill"
        ]

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--table", "-e", "select 1"],
            ["-e", "select 1"],
            ["--execute=select 1"],
            ["-D", "other"],
            ["--database=other"],
            ["-t", "souk_drill", "-e", "select 1"],
        ],
    )
    def test_arguments_reach_the_client_as_they_are(self, arguments: list[str]) -> None:
        assert client_tools.sql("sql", arguments, self.options()).arguments[1:] == arguments

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
        assert done.stdout.splitlines()[0] == "['--defaults-file', '--table']"
        assert "user=souk" in done.stdout
        assert "database=souk" in done.stdout

    @pytest.mark.parametrize(
        ("arguments", "database"),
        [
            (["--single-transaction"], ["souk"]),
            (["-r", "backup.sql"], ["souk"]),
            (["--where", "state = 'PAID'"], ["souk"]),
            (["--where=x", "--ignore-table", "souk.orders"], ["souk"]),
            (["souk_drill"], []),
            (["-r", "backup.sql", "souk_drill", "orders"], []),
            (["--databases", "souk", "other"], []),
            (["--all-databases"], []),
            (["-A"], []),
        ],
    )
    def test_the_dump_takes_souk_s_database_unless_told_another(
        self, tmp_path: Path, arguments: list[str], database: list[str]
    ) -> None:
        program(tmp_path / "mariadb-dump", self.SAYS)
        made = client_tools.sql("sql-dump", arguments, self.options())
        assert made.arguments[1:] == [*arguments, *database]
        assert "[mysql]" not in made.told

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


CLIENT = prerequisites.find("mariadb", "mysql")
DUMP = prerequisites.find("mariadb-dump", "mysqldump")


@pytest.mark.skipif(CLIENT is None, reason="this machine has no client of the database")
@pytest.mark.parametrize(
    ("arguments", "database"),
    [
        (["--table", "-e", "select 1"], "souk"),
        (["-e", "select 1"], "souk"),
        (["--table"], "souk"),
        (["-D", "other", "-e", "select 1"], "other"),
        (["--database=other"], "other"),
    ],
)
def test_the_true_client_understands(tmp_path: Path, arguments: list[str], database: str) -> None:
    made = client_tools.sql("sql", [*arguments, "--help"], settings.MysqlSettings())
    login = tmp_path / "login"
    login.write_text(made.told)
    path, *rest = made.arguments
    done = subprocess.run(
        [path, f"--defaults-file={login}", *rest],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    [shown] = [line.split() for line in done.stdout.splitlines() if line.startswith("database ")]
    assert shown == ["database", database]


@pytest.mark.skipif(DUMP is None, reason="this machine has no dump of the database")
def test_every_option_of_the_dump_with_a_value_is_known() -> None:
    done = subprocess.run(
        [DUMP or "", "--no-defaults", "--help"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    valued = re.findall(r"^ +(?:(-\w), )?(--[a-z-]+)=(?:name|#)", done.stdout, re.MULTILINE)
    known = {name for names in valued for name in names if name}
    assert len(known) > len(valued) > 0
    assert known <= client_tools.DUMP_VALUED
