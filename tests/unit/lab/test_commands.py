"""The commands' words for mistakes: one line, and an exit code that scripts can use."""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from internal.infra import settings
from internal.kernel import errors
from internal.lab import engine_process
from internal.lab.bench import command as bench_command
from internal.lab.bench import embedded
from internal.lab.bench.full import site as full_site
from internal.lab.demo import command as demo_command
from internal.lab.load import command as load_command
from internal.lab.workload import command_line, shop
from tests.unit.lab.workload import shops

Main = Callable[[Sequence[str], Mapping[str, str]], int]
KEY = {"SOUK_API_KEY": "souk_0_0"}


async def no_deployment(_: settings.Settings, __: int) -> list[full_site.Deployed]:
    raise errors.BusAway("there is no broker")


class NoStack:
    def up(self) -> None:
        raise errors.Misconfigured("there is no Java")

    def reset(self) -> None:
        """Nothing to end."""


def bench_main(given: Sequence[str], _: Mapping[str, str]) -> int:
    provisioning = full_site.Provisioning(
        lambda _: NoStack(), no_deployment, Path("no-such-functions.py")
    )
    places = bench_command.Places(Path(tempfile.gettempdir()), provisioning)
    return bench_command.main(given, places)


MISTAKES = [
    (load_command.main, ["smoek"], "invalid choice: 'smoek'"),
    (load_command.main, [], "profile"),
    (load_command.main, ["smoke", "--oders", "5"], "unrecognized arguments: --oders 5"),
    (load_command.main, ["smoke", "--order", "5"], "unrecognized arguments: --order 5"),
    (load_command.main, ["smoke", "--orders", "0"], "'0' is not a whole number from 1"),
    (load_command.main, ["smoke", "--orders", "many"], "'many' is not a whole number"),
    (load_command.main, ["smoke", "--rate", "-1"], "--rate"),
    (load_command.main, ["smoke", "--rate", "nan"], "'nan' is not a number above zero"),
    (load_command.main, ["smoke", "--batch", "1001"], "from 1 to 1000"),
    (load_command.main, ["smoke", "--target", "localhost"], "'localhost' is not HOST:PORT"),
    (load_command.main, ["smoke", "--target", "http://h:1"], "is not HOST:PORT"),
    (demo_command.main, ["--orders", "1.5"], "'1.5' is not a whole number"),
    (bench_main, ["embeded"], "invalid choice: 'embeded'"),
    (bench_main, ["embedded", "--only", "unary"], "invalid choice: 'unary'"),
    (bench_main, ["embedded", "--orders", "500", "--seconds", "5"], "not allowed with"),
    (bench_main, ["full", "--only", "embedded_unary"], "invalid choice: 'embedded_unary'"),
    (bench_main, ["embedded", "--dir", "data/stack"], "unrecognized arguments: --dir data/stack"),
]


@pytest.mark.parametrize(("main", "given", "said"), MISTAKES)
def test_typo_is_one_line_and_exit_code_2(
    main: Main, given: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(given, {})
    err = capsys.readouterr().err
    assert left.value.code == command_line.ExitCode.USAGE
    assert said in err
    assert err.count("\n") == 1


def test_machine_without_what_a_stack_needs_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert bench_main(["full"], {}) == command_line.ExitCode.USAGE
    assert capsys.readouterr().err == "bench: there is no Java\n"


def test_folder_without_a_stack_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench_main(["full", "--dir", str(tmp_path)], {}) == command_line.ExitCode.USAGE
    err = capsys.readouterr().err
    assert f"there is no {tmp_path / 'souk.toml'}" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "main", [lambda g, e: load_command.main(["smoke", *g], e), demo_command.main]
)
def test_server_that_is_not_there_is_one_line_and_exit_code_3(
    main: Main, capsys: pytest.CaptureFixture[str]
) -> None:
    where = f"127.0.0.1:{engine_process.free_port()}"
    assert main(["--target", where], KEY) == command_line.ExitCode.AWAY
    err = capsys.readouterr().err
    assert f"no server answers at {where}" in err
    assert err.count("\n") == 1


def test_missing_key_says_where_one_may_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load_command.main(["smoke", "--data", str(tmp_path)], {}) == command_line.ExitCode.USAGE
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
    assert load_command.main(given, KEY) == command_line.ExitCode.USAGE
    err = capsys.readouterr().err
    assert f"{file} holds no API key" in err
    assert not content.strip() or content not in err


def test_key_comes_from_the_file_named_before_all_others(tmp_path: Path) -> None:
    (tmp_path / "demo-api-key").write_text("of the folder\n")
    (tmp_path / "named").write_text("named")
    parser = command_line.parser("test", "Tests.")
    command_line.add_server(parser)

    def key(*given: str, **environment: str) -> str:
        options = parser.parse_args(["--data", str(tmp_path), *given])
        return command_line.access_of(options, environment).api_key

    assert key("--api-key-file", str(tmp_path / "named"), SOUK_API_KEY="variable") == "named"
    assert key(SOUK_API_KEY="variable") == "variable"
    assert key() == "of the folder"


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
