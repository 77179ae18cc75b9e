"""Every setting, in groups: what it is for, its unit, its default and the reason for it.

Read from the environment (SOUK_STAGES__BATCH_ORDERS_MAX=200) and from a TOML file named by
SOUK_CONFIG ([stages] batch_orders_max = 200); the environment wins. A wrong or unknown setting
stops the start with a message that names it.
"""

import contextvars
import os
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import pydantic_settings

from internal.infra.data_folder import files
from internal.kernel import addresses, errors

PREFIX = "SOUK_"


def _opening_with(*schemes: str) -> pydantic.AfterValidator:
    def check(url: str) -> str:
        if not url.startswith(schemes):
            raise ValueError(f"{url} does not open with {' or '.join(schemes)}")
        return url

    return pydantic.AfterValidator(check)


class Group(pydantic.BaseModel):
    """A group of settings; unknown names are refused."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def _require_loopback(host: str, name: str, remedy: str) -> None:
    """Refuse an address that other machines reach, or that is on the way to another machine."""
    if not addresses.is_loopback(host):
        raise ValueError(f"{name} {host} is not this machine, and there is no TLS: {remedy}")


def _require_safe_url(name: str, url: str) -> None:
    if not addresses.is_closed_to_listeners(url):
        what = f"{name} {url} would send the token in plain text"
        raise ValueError(f"{what}: use pulsar+ssl:// and https://, or allow_plain_text")


class StorageSettings(Group):
    """Which engine this is, and where the files are that belong to it alone."""

    engine: Literal["embedded", "full"] = "embedded"
    """embedded: SQLite and a broker of its own, both in data_dir. full: the database of the group
    mysql and the broker of the group pulsar.
    """
    data_dir: Path = Path("data")
    """Folder for everything that must survive a restart. One SQLite file, souk.db, holds tables and
    broker.
    """
    synchronous: Literal["FULL", "NORMAL"] = "FULL"
    """FULL waits for the disk at each commit (about 0.35 ms): an OK survives a power cut. NORMAL
    survives kill -9 only.
    """
    busy_timeout_ms: int = pydantic.Field(default=5_000, ge=0, le=60_000)
    """How long to wait for another process (the command line) that holds the file's write lock."""
    readers: int = pydantic.Field(default=2, ge=1, le=32)
    """Threads that answer reads while the writer works."""
    cache_mib: int = pydantic.Field(default=16, ge=1, le=4_096)
    """SQLite's page cache per connection, in MiB."""


class MysqlSettings(Group):
    """The full engine's database: MySQL 8.0.19 or newer, or MariaDB 10.6 or newer."""

    host: str = "127.0.0.1"
    """Name or address of the server. All processes write to the same one: a cluster with several
    writers is not supported.
    """
    port: int = pydantic.Field(default=3_306, ge=1, le=65_535)
    """Its TCP port."""
    user: str = "souk"
    """Needs SELECT, INSERT, UPDATE, DELETE; for migrations also CREATE, ALTER, DROP, INDEX."""
    password: pydantic.SecretStr = pydantic.SecretStr("")
    """From the environment or a file that only Souk reads; never on a command line."""
    password_file: Path | None = None
    """A file with the password; wins over password."""
    database: str = "souk"
    """The schema all tables are in."""
    tls_ca_file: Path | None = None
    """PEM; turns TLS on, and the server must show a certificate of this authority."""
    connections_max: int = pydantic.Field(default=8, ge=1, le=512)
    """Connections of one process; an intake opens two more, for API keys. A stage writes on one at
    a time.
    """
    connect_timeout_s: float = pydantic.Field(default=5.0, gt=0, le=60)
    """How long to wait for a server that does not answer."""
    statement_timeout_s: float = pydantic.Field(default=30.0, gt=0, le=600)
    """A statement without an answer after this time is lost with its connection (half-open links);
    its transaction is tried again. The server itself ends a read at nine tenths of this, and that
    is not tried again.
    """
    allow_plain_text: bool = False
    """Whether password and orders may go to another machine in plain text, without TLS."""

    @pydantic.model_validator(mode="after")
    def _is_closed_to_listeners(self) -> "MysqlSettings":
        if self.tls_ca_file is None and not self.allow_plain_text:
            _require_loopback(self.host, "host", "set tls_ca_file, or allow_plain_text")
        return self


class PulsarSettings(Group):
    """The full engine's broker: Apache Pulsar 4.0 or newer."""

    service_url: Annotated[str, _opening_with("pulsar://", "pulsar+ssl://")] = (
        "pulsar://127.0.0.1:6650"
    )
    """Where clients connect; pulsar+ssl:// for TLS."""
    admin_url: Annotated[str, _opening_with("http://", "https://")] = "http://127.0.0.1:8080"
    """Where topics are made and backlogs are asked for."""
    tenant: str = pydantic.Field(default="souk", pattern=r"^[A-Za-z0-9_=:.-]+$")
    """Made by scripts/deploy_functions if it is missing."""
    namespace: str = pydantic.Field(default="pos", pattern=r"^[A-Za-z0-9_=:.-]+$")
    """Holds all topics and functions: two installations may share a broker."""
    token_file: Path | None = None
    """A file with a JWT, for brokers that ask for one."""
    tls_ca_file: Path | None = None
    """PEM of the authority behind pulsar+ssl:// and https://; none means the system's."""
    send_timeout_s: float = pydantic.Field(default=10.0, gt=0, le=120)
    """A message without a receipt after this time is unknown: publishing again is safe."""
    operation_timeout_s: float = pydantic.Field(default=10.0, gt=0, le=120)
    """For connecting, subscribing and everything at the admin address."""
    allow_plain_text: bool = False
    """Whether the token of token_file may go to another machine in plain text, without TLS."""

    @pydantic.model_validator(mode="after")
    def _token_is_closed_to_listeners(self) -> "PulsarSettings":
        if self.token_file is not None and not self.allow_plain_text:
            for name, url in (("service_url", self.service_url), ("admin_url", self.admin_url)):
                _require_safe_url(name, url)
        return self

    def topic(self, name: str) -> str:
        """Return the full name of one of Souk's topics."""
        return f"persistent://{self.tenant}/{self.namespace}/{name}"


class TopicSettings(Group):
    """How orders are spread over the topics.

    Both numbers are fixed when tables and topics are made, and compared at every start. How to
    choose them: docs/decisions/0015-partitions-and-shard-keys.md.
    """

    shard_keys: int = pydantic.Field(default=16, ge=1, le=1_024)
    """Keys that the orders share: the most instances of a function that have work."""
    partitions: int = pydantic.Field(default=2, ge=1, le=64)
    """Of each topic: Pulsar spreads them over its brokers. The embedded broker has none."""

    @pydantic.model_validator(mode="after")
    def _every_partition_has_a_key(self) -> "TopicSettings":
        if self.partitions > self.shard_keys:
            raise ValueError("partitions must not be more than shard_keys: some would stay empty")
        return self


class StageSettings(Group):
    """How much work the three functions take at a time."""

    batch_orders_max: int = pydantic.Field(default=2_000, ge=1, le=5_000)
    """Orders in one transaction: all that wait, up to this many. Embedded: 500 at most."""
    unacked_messages_max: int = pydantic.Field(default=1_000, ge=1, le=100_000)
    """Messages a function may hold before the broker stops sending: its back-pressure."""
    effects_max: int = pydantic.Field(default=1_024, ge=1, le=10_000)
    """Orders that may wait for the payment gateway at once."""


class GatewaySettings(Group):
    """The payment gateway."""

    name: str = "simulator"
    """One that payments/gateways/registry.py knows; the simulator is the only one yet."""
    timeout_s: float = pydantic.Field(default=5.0, gt=0, le=120)
    """A call without an answer after this time is UNKNOWN, never failed."""
    simulator_seed: int = 1
    """Decides what the simulator does with tok_random; the same seed does the same."""
    simulator_latency_ms: int = pydantic.Field(default=0, ge=0, le=60_000)
    """How long the simulator takes to answer."""


class JanitorSettings(Group):
    """The watch over orders whose stage has let its deadline pass, UNKNOWN payments among them."""

    interval_s: float = pydantic.Field(default=1.0, gt=0, le=600)
    """How often it looks."""
    orders_max: int = pydantic.Field(default=500, ge=1, le=10_000)
    """How many orders it drives on per look."""
    redrive_after_s: float = pydantic.Field(default=30.0, gt=0, le=3_600)
    """How long a redriven order is left alone."""
    requests_kept_days: int = pydantic.Field(default=30, ge=1, le=3_650)
    """How long the answers to commands are kept, for those that are sent again."""
    subscription_lag_max_s: float = pydantic.Field(default=604_800.0, ge=1, le=31_536_000)
    """A subscription to Souk's topics that is not Souk's own is dropped when its oldest message is
    older: what one integrator has forgotten would fill the broker's disk.
    """


class IntakeSettings(Group):
    """The gRPC door."""

    host: str = "127.0.0.1"
    """Address to listen on. Anything but loopback needs TLS, or allow_plain_text."""
    port: int = pydantic.Field(default=50_051, ge=0, le=65_535)
    """0 takes a free one."""
    tls_certificate_file: Path | None = None
    """PEM; with tls_key_file it turns TLS on."""
    tls_key_file: Path | None = None
    """PEM, readable by this process only."""
    tls_client_ca_file: Path | None = None
    """PEM; clients must then show a certificate of this authority (mTLS)."""
    reflection: bool = True
    """Lets grpcurl list methods; turn it off in production."""
    drain_s: float = pydantic.Field(default=10.0, ge=0, le=600)
    """How long open calls may take to end when the door closes."""
    backlog_orders_max: int = pydantic.Field(default=50_000, ge=1, le=10_000_000)
    """Orders waiting for the stages before new ones are refused with RESOURCE_EXHAUSTED."""
    allow_plain_text: bool = False
    """Whether API keys may come in plain text from other machines: without TLS, on an address that
    is not loopback. For a proxy or a container that adds TLS in front of it.
    """
    connections_max: int = pydantic.Field(default=4_096, ge=1, le=60_000)
    """Connections open at once, as far as the process may have descriptors; others are closed."""
    idle_s: float = pydantic.Field(default=300.0, ge=1, le=86_400)
    """A connection without a call for this long is closed."""
    age_s: float = pydantic.Field(default=1_800.0, ge=1, le=86_400)
    """A connection this old takes no new calls; clients open another. Those on it have 10 min."""

    @pydantic.model_validator(mode="after")
    def _is_closed_to_listeners(self) -> "IntakeSettings":
        if self.tls_key_file is None and not self.allow_plain_text:
            _require_loopback(
                self.host, "host", "set tls_certificate_file and tls_key_file, or allow_plain_text"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _tls_is_whole(self) -> "IntakeSettings":
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_certificate_file and tls_key_file go together")
        if self.tls_client_ca_file and self.tls_certificate_file is None:
            raise ValueError("tls_client_ca_file needs tls_certificate_file")
        return self


class MetricsSettings(Group):
    """Prometheus."""

    host: str = "127.0.0.1"
    """Address of /metrics."""
    allow_plain_text: bool = False
    """Whether /metrics may be read from other machines; it has neither TLS nor a password."""
    port: int = pydantic.Field(default=9_464, ge=0, le=65_535)
    """Port of /metrics; 0 turns it off."""

    @pydantic.model_validator(mode="after")
    def _is_closed_to_strangers(self) -> "MetricsSettings":
        if self.port and not self.allow_plain_text:
            _require_loopback(self.host, "host", "set allow_plain_text")
        return self


class TracesSettings(Group):
    """OpenTelemetry."""

    endpoint: str = ""
    """Where spans go, by OTLP over HTTP: http://127.0.0.1:4318/v1/traces. None are made without."""
    sample_ratio: float = pydantic.Field(default=1.0, gt=0, le=1)
    """Share of the orders that are traced, chosen by trace id: all their spans or none."""
    timeout_s: float = pydantic.Field(default=5.0, gt=0, le=60)
    """How long to wait for the receiver; spans that it does not take are dropped."""


class LogSettings(Group):
    """JSON lines."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """DEBUG adds a line per batch and stage."""
    file: Path | None = None
    """Where to; none means standard error."""
    rotation_mib: int = pydantic.Field(default=64, ge=1, le=10_000)
    """A file larger than this is set aside; five are kept."""


class Settings(pydantic_settings.BaseSettings):
    """All groups."""

    model_config = pydantic_settings.SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    storage: StorageSettings = StorageSettings()
    mysql: MysqlSettings = MysqlSettings()
    pulsar: PulsarSettings = PulsarSettings()
    topics: TopicSettings = TopicSettings()
    stages: StageSettings = StageSettings()
    gateway: GatewaySettings = GatewaySettings()
    janitor: JanitorSettings = JanitorSettings()
    intake: IntakeSettings = IntakeSettings()
    metrics: MetricsSettings = MetricsSettings()
    traces: TracesSettings = TracesSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[pydantic_settings.BaseSettings],
        init_settings: pydantic_settings.PydanticBaseSettingsSource,
        env_settings: pydantic_settings.PydanticBaseSettingsSource,
        dotenv_settings: pydantic_settings.PydanticBaseSettingsSource,
        file_secret_settings: pydantic_settings.PydanticBaseSettingsSource,
    ) -> tuple[pydantic_settings.PydanticBaseSettingsSource, ...]:
        """Order the sources: arguments, environment, file; Souk reads no others."""
        del dotenv_settings, file_secret_settings
        toml = pydantic_settings.TomlConfigSettingsSource(settings_cls, _config_file.get())
        return init_settings, env_settings, toml


OTHER_NAMES = frozenset(
    {
        "API_KEY",
        "CONFIG",
        "FAILPOINTS",
        "ROOT",
        "TARGET",
        "TEST_MYSQL",
        "TEST_PULSAR",
        "TEST_SEED",
        "TESTING",
        "VENV",
    }
)
"""SOUK_ variables that are no settings of the engine."""


_config_file: contextvars.ContextVar[Path | None] = contextvars.ContextVar("_config_file")


def load(*, config: Path | None = None, **overrides: Any) -> Settings:  # noqa: ANN401 - {group: {name: value}}, checked by pydantic
    """Read the settings.

    Args:
        config: a TOML file, where SOUK_CONFIG names none.
        overrides: what wins over everything else.

    Raises:
        Misconfigured: one is wrong or unknown; the message names it.
    """
    _refuse_unknown_variables()
    named = os.environ.get(f"{PREFIX}CONFIG")
    if named and not Path(named).is_file():
        raise errors.Misconfigured(f"{PREFIX}CONFIG names {named}, which is not a file")
    file = Path(named) if named else config
    token = _config_file.set(file)
    try:
        return Settings(**overrides)
    except pydantic.ValidationError as error:
        raise errors.Misconfigured("; ".join(map(_say, error.errors()))) from error
    except (OSError, ValueError) as error:
        raise errors.Misconfigured(f"{file or 'settings'}: {error}") from error
    finally:
        _config_file.reset(token)


def of_folder(folder: Path | None) -> Settings:
    """Read the settings for a folder that somebody named.

    It is that of a stack, with a file of settings in it; else the engine's files are there.

    Raises:
        Misconfigured: as for load.
    """
    if folder and (folder / files.CONFIG).is_file():
        return load(config=folder / files.CONFIG)
    return load(storage={"data_dir": folder} if folder else {})


def _say(problem: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    place = "__".join(str(part) for part in problem["loc"]).upper()
    return f"{PREFIX}{place}: {problem['msg']}"


def _refuse_unknown_variables() -> None:
    groups = {name.upper() for name in Settings.model_fields}
    for variable in os.environ:
        if not variable.startswith(PREFIX):
            continue
        group = variable.removeprefix(PREFIX).split("__")[0].upper()
        if group not in groups and group not in OTHER_NAMES:
            known = ", ".join(sorted(groups))
            raise errors.Misconfigured(f"{variable}: no such group of settings; there are {known}")
