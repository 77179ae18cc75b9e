"""Mistakes on the command lines, and what the command lines ask for."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from internal.console import own_ports
from internal.console.exit_codes import ExitCode
from internal.deploy import command as deploy_command
from internal.kernel import errors
from internal.stack import command, ports


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Path]:
    """Settings of a full engine that does not run."""
    with socket.socket() as closed:
        closed.bind((ports.HOST, 0))
        file = tmp_path / "souk.toml"
        where = f"{ports.HOST}:{closed.getsockname()[1]}"
        file.write_text(
            f'[storage]\nengine = "full"\n[pulsar]\nadmin_url = "http://{where}"\n'
            f"[mysql]\nport = {closed.getsockname()[1]}\n"
        )
        yield file


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["upp"], "there is no command 'upp'; there are up, status, down, reset"),
        (["up", "--ports", "any"], "'any' is not one of"),
        (
            ["up", "--pulsar-port", "x"],
            "'--pulsar-port': 'x' is not a whole number from 0 to 65535",
        ),
        (
            ["up", "--mysql-port", "70000"],
            "'--mysql-port': '70000' is not a whole number from 0 to 65535",
        ),
        (["status", "--dri", "x"], "--dri; did you mean --dir?"),
        (["reset", "everything"], "unexpected extra argument"),
    ],
)
def test_typo_is_named(given: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(given) == ExitCode.USAGE
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--parallelism", "0"], "'0' is not a whole number from 1 to 100000000"),
        (["--paralelism", "2"], "--paralelism; did you mean --parallelism?"),
        (["order_processing"], "unexpected extra argument"),
    ],
)
def test_typo_of_a_deployment_is_named(
    given: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy_command.main(given) == ExitCode.USAGE
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_more_instances_than_keys_are_refused(
    away: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--parallelism", "17", "--config", str(away)]
    assert deploy_command.main(given) == ExitCode.USAGE
    err = capsys.readouterr().err
    assert "--parallelism 17: SOUK_TOPICS__SHARD_KEYS is 16" in err
    assert err.count("\n") == 1


def test_ports_of_the_command_line() -> None:
    free = command.Choice.FREE
    assert command.PortOptions().wanted() is None
    assert command.PortOptions(free).wanted() == ports.FREE
    assert command.PortOptions(mysql_port=0).wanted() == ports.Ports(mysql=0)
    some = command.PortOptions(free, admin_port=9_000).wanted()
    assert some == ports.Ports(pulsar=0, admin=9_000, bookie=0, mysql=0)


def test_all_ports_are_moved_at_once() -> None:
    moved = command.PortOptions(port_offset=100, mysql_port=3_307).wanted()
    assert moved == ports.Ports(pulsar=6_750, admin=8_180, bookie=3_281, mysql=3_307)
    assert own_ports.moved(100) == {"intake": {"port": 50_151}, "metrics": {"port": 9_564}}


@pytest.mark.parametrize(("given", "code"), [(["status"], 3), (["down"], 0), (["reset"], 0)])
def test_stack_that_never_was_is_left_alone(tmp_path: Path, given: list[str], code: int) -> None:
    folder = tmp_path / "nothing"
    assert command.main([*given, "--dir", str(folder)]) == code
    assert not folder.exists()


def test_folder_without_a_stack_is_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    assert command.main(["reset", "--yes", "--dir", str(tmp_path)]) == ExitCode.OK
    assert (tmp_path / "holiday.jpg").exists()


def test_settings_that_are_not_there_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SOUK_CONFIG", raising=False)
    with pytest.raises(errors.Misconfigured, match=r"data/stack/souk\.toml: scripts/stack up"):
        deploy_command.settings_file(None)
    monkeypatch.setenv("SOUK_CONFIG", str(tmp_path / "other.toml"))
    with pytest.raises(errors.Misconfigured, match=r"other\.toml"):
        deploy_command.settings_file(None)


@pytest.mark.parametrize(
    ("text", "given", "said"),
    [
        ("", [], "embedded engine, which needs no deployment"),
        ('[storage]\nengine = "full"\n', ["--only", "orders"], "there is no stage 'orders'"),
        ('[storage]\nengine = "full"\n', ["--wheel", "no.whl"], "no.whl is not a wheel"),
        ("[storage]\nengin = 1\n", [], "STORAGE__ENGIN"),
    ],
)
def test_mistake_of_a_deployment_is_said_and_ends_with_2(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str, given: list[str], said: str
) -> None:
    (tmp_path / "souk.toml").write_text(text)
    arguments = ["--config", str(tmp_path / "souk.toml"), *given]
    assert deploy_command.main(arguments) == ExitCode.USAGE
    assert said in capfd.readouterr().err


def test_servers_that_are_away_end_with_1(away: Path) -> None:
    assert deploy_command.main(["--config", str(away), "--dry-run"]) == ExitCode.FAILED
