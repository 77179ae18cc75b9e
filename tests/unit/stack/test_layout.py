"""A stack's folder and its settings file."""

import os
import stat
from pathlib import Path

import pytest

from internal.kernel import errors
from internal.stack import layout, ports

PORTS = ports.Ports(pulsar=1_111, admin=2_222, bookie=3_333, mysql=4_444)


@pytest.fixture
def place(tmp_path: Path) -> layout.Folder:
    made = layout.Folder(tmp_path)
    made.make()
    return made


def test_settings_are_those_of_the_full_engine(place: layout.Folder) -> None:
    layout.write_settings(place, PORTS)
    options = layout.load_settings(place)
    assert options.storage.engine == "full"
    assert options.storage.data_dir == place.souk
    assert options.mysql.port == 4_444
    assert options.mysql.password.get_secret_value() == layout.password(place)
    assert options.pulsar.service_url == "pulsar://127.0.0.1:1111"
    assert options.pulsar.admin_url == "http://127.0.0.1:2222"


def test_only_the_owner_can_read_them(place: layout.Folder) -> None:
    before = os.umask(0)
    try:
        layout.write_settings(place, PORTS)
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.settings_file.stat().st_mode) == 0o600
    for folder in (place.root, place.run, place.logs, place.souk, place.pulsar / "conf"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_password_is_generated_once_and_own_settings_stay(place: layout.Folder) -> None:
    layout.write_settings(place, PORTS)
    password = layout.password(place)
    with place.settings_file.open("a") as opened:
        opened.write('\n[stages]\nbatch_orders_max = 7\n[log]\nlevel = "DEBUG"\n')
    layout.write_settings(place, ports.Ports())
    options = layout.load_settings(place)
    assert layout.password(place) == password
    assert (options.stages.batch_orders_max, options.log.level) == (7, "DEBUG")
    assert options.mysql.port == ports.Ports().mysql


def test_environment_does_not_change_them(
    place: layout.Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout.write_settings(place, PORTS)
    monkeypatch.setenv("SOUK_MYSQL__PORT", "1")
    assert layout.load_settings(place).mysql.port == 4_444


def test_broken_settings_name_their_file(place: layout.Folder) -> None:
    place.settings_file.write_text("[mysql\n")
    with pytest.raises(errors.Misconfigured, match=r"souk\.toml"):
        layout.load_settings(place)


def test_missing_stack_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.Misconfigured, match="scripts/stack up"):
        layout.load_settings(layout.Folder(tmp_path / "nothing"))


def test_path_that_is_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.Misconfigured, match="too long"):
        layout.Folder(tmp_path / ("x" * 90)).make()


def test_file_instead_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(errors.Misconfigured, match="cannot be used"):
        layout.Folder(tmp_path / "file" / "stack").make()
