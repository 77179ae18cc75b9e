"""docker-compose.yml holds no logic, no secret and no tag that moves.

What it names exists, and agrees with what runs without Docker.
"""

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from internal.infra import settings
from internal.stack import container, database, distribution, layout

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "docker-compose.yml"
TEXT = FILE.read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
MYSQL_OPTIONS = ROOT / "configs" / "docker" / "mysql.cnf"
SOUK_TOML = ROOT / "configs" / "docker" / "souk.toml"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
OURS = ("intake", "deploy", "pulsar")
STACK_ONLY = {"bind_address"}
"""Options of a server that shares its machine: in a container the network decides who comes."""
OTHER_WORDS = {"innodb_log_file_size": "innodb_redo_log_capacity"}
"""What MariaDB calls otherwise than MySQL 8.4."""


def test_every_image_has_an_exact_tag() -> None:
    bases = re.findall(r"^ARG PYTHON=(\S+)", DOCKERFILE, re.MULTILINE)
    for image in [service["image"] for service in SERVICES.values()] + bases:
        assert re.search(r":v?\d+\.\d+\.\d+(-[a-z]+)*$", image), image


def test_our_images_carry_our_version() -> None:
    for name in OURS:
        assert SERVICES[name]["image"].endswith(f":{VERSION}")


def test_every_base_image_in_the_dockerfile_is_the_pinned_one() -> None:
    stages = re.findall(r"^FROM (\S+) AS (\S+)", DOCKERFILE, re.MULTILINE)
    names = {name for _, name in stages}
    assert {base for base, _ in stages} - names == {"${PYTHON}"}
    assert {SERVICES[name]["build"]["target"] for name in OURS} <= names


def test_the_same_pulsar_as_without_docker() -> None:
    assert "distribution.ready(" in DOCKERFILE
    assert distribution.VERSION not in DOCKERFILE


def test_ports_are_published_on_loopback_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_whoever_runs_for_long_is_watched() -> None:
    for name, service in SERVICES.items():
        assert ("healthcheck" in service) != (service["restart"] == "no"), name


def test_secrets_are_files_outside_the_tree() -> None:
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": f"./data/docker/secrets/{name}"}
    assert "/data/" in (ROOT / ".gitignore").read_text().split()
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN|KEY", name):
                assert str(value).startswith("/run/secrets/"), name


def test_mounted_files_are_in_the_tree() -> None:
    mounts = [v for s in SERVICES.values() for v in s.get("volumes", []) if v.startswith("./")]
    assert mounts
    for mount in mounts:
        source, _, mode = mount.split(":")
        assert (ROOT / source).exists(), source
        assert mode == "ro"


def test_volumes_are_declared_and_used() -> None:
    mounts = [v for s in SERVICES.values() for v in s.get("volumes", []) if not v.startswith("./")]
    assert {mount.partition(":")[0] for mount in mounts} == set(COMPOSE["volumes"])


def test_commands_are_those_of_the_scripts() -> None:
    started = re.findall(r'^CMD \["python", "(\S+)"', DOCKERFILE, re.MULTILINE)
    deployed = SERVICES["deploy"]["entrypoint"]
    for script, command in (("start", started[0]), ("deploy_functions", deployed[-1])):
        assert f'exec python "$SOUK_ROOT/{command}"' in (ROOT / "scripts" / script).read_text()


def test_settings_are_valid_and_hold_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOUK_CONFIG", raising=False)
    options = layout.load_settings_of(SOUK_TOML)
    assert options.storage.engine == "full"
    assert not options.mysql.password.get_secret_value()
    assert f"{options.storage.data_dir}" in {
        mount.split(":")[1] for mount in SERVICES["intake"]["volumes"]
    }


def test_settings_name_the_services() -> None:
    options = settings.load(**tomllib.loads(SOUK_TOML.read_text()))
    assert options.mysql.host in SERVICES
    assert options.pulsar.service_url == f"pulsar://{container.HOST}:6650"
    assert options.pulsar.admin_url == f"http://{container.HOST}:8080"
    assert SERVICES[container.HOST]["hostname"] == container.HOST
    files = {options.mysql.password_file, options.mysql.tls_ca_file}
    for name in OURS:
        assert {Path("/run/secrets", secret) for secret in SERVICES[name]["secrets"]} == files


def test_mysql_has_the_options_of_the_stack() -> None:
    parser = configparser.ConfigParser(allow_no_value=True, inline_comment_prefixes=None)
    parser.read(MYSQL_OPTIONS)
    here = {name.replace("-", "_"): value for name, value in parser["mysqld"].items()}
    for option in database.OPTIONS:
        name, _, value = option.text.removeprefix("--").partition("=")
        name = name.replace("-", "_")
        if name in OTHER_WORDS:
            assert OTHER_WORDS[name] in here
        elif name not in STACK_ONLY:
            assert _same(here[name], value), option.text


def test_mysql_finds_its_secrets() -> None:
    named = set(re.findall(r"/run/secrets/(\w+)", MYSQL_OPTIONS.read_text()))
    assert named
    assert named <= set(SERVICES["mysql"]["secrets"])


def test_compose_itself_takes_the_file() -> None:
    command = _checker()
    if command is None:
        assert "CI" not in os.environ, "docker compose or compose-spec is missing: see .ci/run"
        pytest.skip("neither docker compose nor compose-spec is installed: the file was not run")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    assert set(json.loads(done.stdout)["services"]) == set(SERVICES)


def _checker() -> list[str] | None:
    """Return what prints the file as Docker Compose understands it."""
    if shutil.which("docker"):
        compose = ["docker", "compose"]
        asked = subprocess.run([*compose, "version"], capture_output=True, check=False)
        if not asked.returncode:
            return [*compose, "config", "--format", "json"]
    spec = shutil.which("compose-spec") or str(ROOT / ".cache" / "bin" / "compose-spec")
    return [spec, "-format", "json", str(FILE)] if Path(spec).is_file() else None


def _same(here: str | None, there: str) -> bool:
    words = {"ON": "", "OFF": "0", None: ""}
    return words.get(here, here) == there


def test_what_has_no_wheel_is_locked_and_named_once() -> None:
    script = (ROOT / "scripts" / "check_wheels").read_text()
    (name,) = re.findall(r"^source_only=(\S+)", script, re.MULTILINE)
    lock = (ROOT / "requirements.lock").read_text()
    assert re.search(rf"^{name}==", lock, re.MULTILINE)
    assert re.search(r"^setuptools==", lock, re.MULTILINE), "the Dockerfile builds it with that"


def test_pulsar_starts_after_its_killed_bookie_was_struck_off(tmp_path: Path) -> None:
    (command,) = re.findall(r"^CMD (\[\"sh\".*\])$", DOCKERFILE, re.MULTILINE)
    (here, there) = re.findall(r"^COPY (\S+/stale_bookies.py) (\S+)$", DOCKERFILE, re.MULTILINE)[0]
    shell, option, script = json.loads(command)
    assert there in script
    script = script.replace("python", sys.executable, 1).replace(there, str(ROOT / here))
    broker = tmp_path / "bin" / "pulsar"
    broker.parent.mkdir()
    broker.write_text('#!/bin/sh\necho "$@"\n')
    broker.chmod(0o755)

    def started() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [shell, option, script], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    assert started().stdout == "standalone\n"
    metadata = tmp_path / "data" / "metadata"
    metadata.mkdir(parents=True)
    (metadata / "CURRENT").write_text("MANIFEST-000001\n")
    refused = started()
    assert refused.returncode != 0
    assert "standalone" not in refused.stdout
    assert "data/metadata: . is not a Pulsar" in refused.stderr
