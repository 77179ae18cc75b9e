"""Settings: from the environment and a file; wrong and unknown ones are named."""

import os
from pathlib import Path
from typing import Any

import pytest

from internal.infra import settings
from internal.kernel import errors


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith(settings.PREFIX):
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "souk.toml"
    monkeypatch.setenv("SOUK_CONFIG", str(path))
    return path


def test_nothing_has_to_be_set() -> None:
    loaded = settings.load()
    assert loaded.stages.batch_orders_max == 2_000
    assert loaded.storage.synchronous == "FULL"
    assert loaded.intake.host == "127.0.0.1"


def test_every_setting_says_what_it_is_for() -> None:
    for name, group in settings.Settings.model_fields.items():
        kind = group.annotation
        assert isinstance(kind, type), name
        assert issubclass(kind, settings.Group), name
        assert kind.__doc__, name
        for field, about in kind.model_fields.items():
            assert about.description, f"{name}.{field}"
            assert not about.is_required(), f"{name}.{field}"


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUK_STAGES__BATCH_ORDERS_MAX", "7")
    monkeypatch.setenv("SOUK_STORAGE__DATA_DIR", "elsewhere")
    loaded = settings.load()
    assert loaded.stages.batch_orders_max == 7
    assert loaded.storage.data_dir == Path("elsewhere")


def test_a_file_is_read_and_the_environment_wins(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("[stages]\nbatch_orders_max = 7\neffects_max = 9\n[log]\nlevel = 'DEBUG'\n")
    monkeypatch.setenv("SOUK_STAGES__EFFECTS_MAX", "11")
    loaded = settings.load()
    assert (loaded.stages.batch_orders_max, loaded.stages.effects_max) == (7, 11)
    assert loaded.log.level == "DEBUG"


def test_arguments_win_over_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUK_INTAKE__PORT", "1234")
    monkeypatch.setenv("SOUK_INTAKE__DRAIN_S", "3")
    loaded = settings.load(intake={"port": 99})
    assert (loaded.intake.port, loaded.intake.drain_s) == (99, 3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SOUK_STAGES__BATCH_ORDERS_MAX", "0"),
        ("SOUK_STAGES__BATCH_ORDERS_MAX", "many"),
        ("SOUK_STAGES__BATCH_ORDERS_MAX", "5001"),
        ("SOUK_STORAGE__SYNCHRONOUS", "OFF"),
        ("SOUK_GATEWAY__TIMEOUT_S", "0"),
        ("SOUK_GATEWAY__TIMEOUT_S", "nan"),
        ("SOUK_INTAKE__PORT", "65536"),
        ("SOUK_LOG__LEVEL", "loud"),
        ("SOUK_JANITOR__INTERVAL_S", "-1"),
        ("SOUK_STAGES__BATCH", "1"),
        ("SOUK_STAGE__BATCH_ORDERS_MAX", "1"),
        ("SOUK_STAGES", "1"),
        ("SOUK_PULSAR__SERVICE_URL", "http://127.0.0.1:8080"),
        ("SOUK_PULSAR__SERVICE_URL", "127.0.0.1:6650"),
        ("SOUK_PULSAR__ADMIN_URL", "pulsar://127.0.0.1:6650"),
    ],
)
def test_wrong_and_unknown_settings_are_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(errors.Misconfigured, match=name):
        settings.load()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[stages]\nbatch = 1\n", "SOUK_STAGES__BATCH"),
        ("[stage]\nbatch_orders_max = 1\n", "SOUK_STAGE"),
        ("[stages]\nbatch_orders_max = 'many'\n", "SOUK_STAGES__BATCH_ORDERS_MAX"),
        ("stages = 1\n", "SOUK_STAGES"),
        ("this is no TOML", "souk.toml"),
    ],
)
def test_a_wrong_file_is_named(file: Path, text: str, named: str) -> None:
    file.write_text(text)
    with pytest.raises(errors.Misconfigured, match=named):
        settings.load()


def test_a_missing_file_is_named(file: Path) -> None:
    with pytest.raises(errors.Misconfigured, match=file.name):
        settings.load()


@pytest.mark.parametrize(
    "given", [{"tls_certificate_file": "a"}, {"tls_key_file": "b"}, {"tls_client_ca_file": "c"}]
)
def test_half_a_tls_setting_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(errors.Misconfigured, match=r"SOUK_INTAKE: .*tls_"):
        settings.load(intake=given)


def test_whole_tls_settings_are_taken() -> None:
    whole = {"tls_certificate_file": "a", "tls_key_file": "b", "tls_client_ca_file": "c"}
    assert settings.load(intake=whole).intake.tls_client_ca_file == Path("c")


def test_other_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in settings.OTHER_NAMES - {"CONFIG"}:
        monkeypatch.setenv(settings.PREFIX + name, "x")
    monkeypatch.setenv("SOUKOUS", "music")
    settings.load()


ELSEWHERE = ("0.0.0.0", "::", "192.0.2.7", "souk.example")  # noqa: S104 - they must be refused


def load_group(group: str, **values: object) -> None:
    overrides: dict[str, Any] = {group: values}
    settings.load(**overrides)


@pytest.mark.parametrize("host", ELSEWHERE)
@pytest.mark.parametrize("group", ["intake", "mysql", "metrics"])
def test_plain_text_leaves_the_machine_by_name_only(group: str, host: str) -> None:
    with pytest.raises(errors.Misconfigured, match=rf"SOUK_{group.upper()}: .*allow_plain_text"):
        load_group(group, host=host)
    load_group(group, host=host, allow_plain_text=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
@pytest.mark.parametrize("group", ["intake", "mysql", "metrics"])
def test_plain_text_is_fine_on_this_machine(group: str, host: str) -> None:
    load_group(group, host=host)


def test_tls_and_closed_ports_may_be_anywhere() -> None:
    tls = {"tls_certificate_file": "a", "tls_key_file": "b"}
    settings.load(intake={"host": "souk.example", **tls})
    settings.load(mysql={"host": "souk.example", "tls_ca_file": "a"})
    settings.load(metrics={"host": "souk.example", "port": 0})


@pytest.mark.parametrize("name", ["service_url", "admin_url"])
@pytest.mark.parametrize(
    "place", ["broker:1", "192.0.2.7:1", "127.0.0.1:1,broker:1", "user@broker:1"]
)
def test_a_token_goes_over_tls(name: str, place: str) -> None:
    scheme, safe = {
        "service_url": ("pulsar", "pulsar+ssl"),
        "admin_url": ("http", "https"),
    }[name]
    plain = {name: f"{scheme}://{place}"}
    with pytest.raises(errors.Misconfigured, match=rf"SOUK_PULSAR: .*{name}.*allow_plain_text"):
        settings.load(pulsar={**plain, "token_file": "token"})
    settings.load(pulsar=plain)
    settings.load(pulsar={**plain, "token_file": "token", "allow_plain_text": True})
    settings.load(pulsar={name: f"{safe}://{place}", "token_file": "token"})


def test_no_partition_is_without_a_key() -> None:
    with pytest.raises(errors.Misconfigured, match=r"SOUK_TOPICS.*partitions must not be more"):
        settings.load(topics={"shard_keys": 4, "partitions": 8})
    assert settings.load(topics={"shard_keys": 8, "partitions": 8}).topics.partitions == 8
