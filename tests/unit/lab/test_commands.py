"""Mistakes on the command lines: one line each, and an exit code that scripts can use."""

import contextlib
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from internal.console.exit_codes import ExitCode
from internal.infra import settings
from internal.kernel import errors
from internal.lab import engine_process
from internal.lab.bench import command as bench_command
from internal.lab.bench import embedded
from internal.lab.bench.full import site as full_site
from internal.lab.bench.full import suite as full_suite
from internal.lab.chaos import campaign
from internal.lab.chaos import command as chaos_command
from internal.lab.demo import command as demo_command
from internal.lab.load import command as load_command
from internal.lab.load import run as load_run
from internal.lab.workload import command_line, shop
from tests.unit.lab.workload import shops

Main = Callable[[Sequence[str]], int]


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOUK_API_KEY", raising=False)


async def no_deployment(_: settings.Settings, __: int) -> list[full_site.Deployed]:
    raise errors.BusAway("there is no broker")


class NoStack:
    def up(self) -> None:
        raise errors.Misconfigured("there is no Java")

    def logs_kept(self, place: Path) -> contextlib.AbstractContextManager[None]:
        del place
        return contextlib.nullcontext()

    def reset(self) -> None:
        """Nothing to end."""


def bench_main(given: Sequence[str]) -> int:
    def places() -> bench_command.Places:
        provisioning = full_site.Provisioning(
            lambda _: NoStack(), no_deployment, Path("no-such-functions.py")
        )
        return bench_command.Places(Path(), Path(tempfile.gettempdir()), provisioning)

    return bench_command.main(given, places)


def chaos_main(given: Sequence[str]) -> int:
    return chaos_command.main(given, Path(tempfile.gettempdir()), Path("no-such-functions"))


MISTAKES = [
    (load_command.main, ["smoek"], "'smoek' is not one of 'smoke', 'load', 'stress'"),
    (load_command.main, [], "'profile'. Choose from: smoke, load, stress"),
    (load_command.main, ["smoke", "--oders", "5"], "--oders; did you mean --orders?"),
    (load_command.main, ["smoke", "--order", "5"], "--order; did you mean --orders"),
    (load_command.main, ["smoke", "--orders", "0"], "'0' is not a whole number from 1"),
    (load_command.main, ["smoke", "--orders", "many"], "'many' is not a whole number"),
    (load_command.main, ["smoke", "--rate", "-1"], "--rate"),
    (load_command.main, ["smoke", "--rate", "nan"], "'nan' is not a number above zero"),
    (load_command.main, ["smoke", "--batch", "1001"], "from 1 to 1000"),
    (load_command.main, ["smoke", "--target", "localhost"], "'localhost' is not HOST:PORT"),
    (load_command.main, ["smoke", "--target", "http://h:1"], "is not HOST:PORT"),
    (demo_command.main, ["--orders", "1.5"], "'1.5' is not a whole number"),
    (bench_main, ["embeded"], "there is no command 'embeded'; there are embedded, full"),
    (bench_main, ["embedded", "--only", "unary"], "'unary' is not one of 'embedded_unary'"),
    (bench_main, ["embedded", "--orders", "500", "--seconds", "5"], "not allowed with --orders"),
    (bench_main, ["full", "--only", "embedded_unary"], "'embedded_unary' is not one of"),
    (bench_main, ["embedded", "--dir", "data/stack"], "No such option: --dir"),
    (bench_main, ["full", "--dir", "x", "--against", "main"], "not allowed with --dir"),
    (bench_main, ["embedded", "--against", "mian"], "there is no commit 'mian' here"),
    (chaos_main, ["--instances", "0"], "'0' is not a whole number from 1"),
    (chaos_main, ["--seed", "x"], "'x' is not a whole number from 0"),
    (chaos_main, ["--only", "no such fault"], "--only names no fault"),
]


@pytest.mark.parametrize(("main", "given", "said"), MISTAKES)
def test_typo_is_one_line_and_exit_code_2(
    main: Main, given: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(given) == ExitCode.USAGE
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("main", "given"),
    [
        (load_command.main, []),
        (demo_command.main, []),
        (bench_main, ["embedded"]),
        (bench_main, ["full"]),
        (chaos_main, []),
    ],
)
def test_help_names_the_options(
    main: Main, given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*given, "--help"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "Usage: " in out
    assert "--json" in out or "--only" in out


def test_names_that_help_shows_are_those_there_are() -> None:
    assert bench_command.SUITES["embedded"] == tuple(embedded.SCENARIOS)
    assert bench_command.SUITES["full"] == tuple(full_suite.SCENARIOS)
    assert tuple(load_run.PROFILES) == load_command.PROFILES
    assert chaos_command.INSTANCES_DEFAULT == campaign.INSTANCES_EACH


def test_machine_without_what_a_stack_needs_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert bench_main(["full"]) == ExitCode.USAGE
    assert capsys.readouterr().err == "bench: there is no Java\n"


def test_folder_without_a_stack_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench_main(["full", "--dir", str(tmp_path)]) == ExitCode.USAGE
    err = capsys.readouterr().err
    assert f"there is no {tmp_path / 'souk.toml'}" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("main", [lambda g: load_command.main(["smoke", *g]), demo_command.main])
def test_server_that_is_not_there_is_one_line_and_exit_code_3(
    main: Main, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOUK_API_KEY", "souk_0_0")
    where = f"127.0.0.1:{engine_process.free_port()}"
    assert main(["--target", where]) == ExitCode.AWAY
    err = capsys.readouterr().err
    assert f"no server answers at {where}" in err
    assert err.count("\n") == 1


def test_missing_key_says_where_one_may_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load_command.main(["smoke", "--data", str(tmp_path)]) == ExitCode.USAGE
    err = capsys.readouterr().err
    assert "SOUK_API_KEY" in err
    assert str(tmp_path / "demo-api-key") in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("content", ["", " \n", "two\nlines", "schlüssel"])
def test_file_without_a_key_is_refused_and_not_repeated(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "key"
    file.write_text(content)
    given = ["smoke", "--api-key-file", str(file)]
    assert load_command.main(given) == ExitCode.USAGE
    err = capsys.readouterr().err
    assert f"{file} holds no API key" in err
    assert not content.strip() or content not in err


def test_key_comes_from_the_file_named_before_all_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "demo-api-key").write_text("of the folder\n")
    (tmp_path / "named").write_text("named")
    server = command_line.Server(data=tmp_path)
    assert command_line.access_of(server).api_key == "of the folder"
    monkeypatch.setenv("SOUK_API_KEY", "variable")
    assert command_line.access_of(server).api_key == "variable"
    named = command_line.Server(data=tmp_path, api_key_file=tmp_path / "named")
    assert command_line.access_of(named).api_key == "named"


def test_shop_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "shop.json"
    file.write_bytes(msgspec.json.encode(shops.small()))
    assert shop.read(file) == shops.small()


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"currency": "EUR", "store_ids": [], "items": []}']
)
def test_file_that_holds_no_shop_is_refused(content: str, tmp_path: Path) -> None:
    file = tmp_path / "shop.json"
    file.write_text(content)
    with pytest.raises(errors.Misconfigured, match=r"shop\.json"):
        shop.read(file)


def test_figure_is_a_line_of_json_and_knows_when_its_goal_is_missed() -> None:
    figure = embedded.Figure("embedded_unary", "orders_per_s", 1234.5, 1000, more_is_better=True)
    wanted = {
        "scenario": "embedded_unary",
        "metric": "orders_per_s",
        "value": 1234.5,
        "must": 1000,
    }
    assert json.loads(bench_command.line_of(figure)) == wanted
    assert not figure.is_missed
    assert msgspec.structs.replace(figure, value=999.9).is_missed
    assert embedded.Figure("embedded_latency", "p50_ms", 15.1, 15).is_missed
    assert not embedded.Figure("embedded_latency", "p50_ms", 15.0, 15).is_missed
    assert not embedded.Figure("embedded_latency", "p99_ms", 1e9).is_missed
