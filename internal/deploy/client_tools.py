"""The servers' own command lines, with address and credentials from Souk's settings.

Must not put a password or token on a command line, where every user of the machine could read it.
This process becomes the tool.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from internal.console import exit_codes, output
from internal.deploy import command as deploy_command
from internal.deploy import deploy
from internal.infra import settings
from internal.kernel import errors
from internal.stack import distribution, layout, prerequisites

JAVA_FLAGS = (
    # A command runs for a second or two: no compiling for speed, one thread that collects.
    *("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"),
    *("-Djava.net.preferIPv4Stack=true", "-Dio.netty.leakDetection.level=disabled"),
    "-Djava.util.logging.config.file=/dev/null",  # it would complain that tracing is off
    *("-Dpulsar.log.level=warn", "-Dpulsar.log.root.level=warn"),
    "-Dpulsar.routing.appender.default=Console",
    *("--add-opens", "java.base/sun.net=ALL-UNNAMED"),
    *("--add-opens", "java.base/java.nio=ALL-UNNAMED"),
    *("--add-opens", "java.base/jdk.internal.misc=ALL-UNNAMED"),
)
TOKEN_PLUGIN = "org.apache.pulsar.client.impl.auth.AuthenticationToken"  # noqa: S105 - a class
PULSAR_TOOLS = {
    "pulsar-admin": ("org.apache.pulsar.admin.cli.PulsarAdminTool", "--admin-url"),
    "pulsar-client": ("org.apache.pulsar.client.cli.PulsarClientTool", "--url"),
}
SQL_TOOLS = {"sql": ("mariadb", "mysql"), "sql-dump": ("mariadb-dump", "mysqldump")}
DUMP_VALUED = frozenset(
    {
        *("-h", "-P", "-r", "-S", "-T", "-u", "-w"),
        *("--as-of", "--character-sets-dir", "--compatible", "--default-auth"),
        *("--default-character-set", "--fields-enclosed-by", "--fields-escaped-by"),
        *("--fields-optionally-enclosed-by", "--fields-terminated-by", "--host"),
        *("--ignore-database", "--ignore-error", "--ignore-table", "--ignore-table-data"),
        *("--lines-terminated-by", "--log-error", "--max-allowed-packet"),
        *("--max-statement-time", "--net-buffer-length", "--plugin-dir", "--port", "--protocol"),
        *("--result-file", "--set-gtid-purged", "--socket", "--ssl-ca", "--ssl-capath"),
        *("--ssl-cert", "--ssl-cipher", "--ssl-crl", "--ssl-crlpath", "--ssl-key", "--ssl-mode"),
        *("--system", "--tab", "--tls-version", "--user", "--where"),
    }
)
"""Options of the dump that take the next argument as their value, in MariaDB and MySQL."""
DUMP_ALL = frozenset({"-A", "--all-databases"})


class Program(NamedTuple):
    """The program that this process becomes; it reads `told` from a pipe, if there is any."""

    arguments: list[str]
    told: str = ""


def main(name: str, arguments: Sequence[str]) -> NoReturn:
    """Become one of the tools; exit with 2 when it is not there or a setting is wrong."""
    try:
        file = deploy_command.settings_file(None)
        options = layout.load_settings_of(file)
        deploy.require_full(options)
        program = program_of(name, arguments, options)
    except errors.Misconfigured as error:
        problem = exit_codes.of_error(error)
        output.problem(problem, title=name)
        sys.exit(problem.exit_code)
    _become(program)


def program_of(name: str, arguments: Sequence[str], options: settings.Settings) -> Program:
    """Return the program behind a tool's name.

    Raises:
        Misconfigured: it is not on this machine.
    """
    if name in PULSAR_TOOLS:
        home = distribution.ready(output.progress)
        return pulsar(name, arguments, options.pulsar, home)
    return sql(name, arguments, options.mysql)


def pulsar(
    name: str, arguments: Sequence[str], options: settings.PulsarSettings, home: Path
) -> Program:
    """Return a tool of Pulsar's distribution, started without its scripts.

    The scripts change into the distribution's folder, so that file names would mean other files.

    Raises:
        Misconfigured: there is no Java.
    """
    java = prerequisites.java()
    if java is None:
        raise errors.Misconfigured(f"{name} needs Java {prerequisites.JAVA_OLDEST} or newer")
    of_class, address = PULSAR_TOOLS[name]
    where = options.admin_url if name == "pulsar-admin" else options.service_url
    token, authority = options.token_file, options.tls_ca_file
    secured = [
        *(("--auth-plugin", TOKEN_PLUGIN) if token else ()),
        *(("--auth-params", f"file://{token.absolute()}") if token else ()),
        *(("--tls-trust-cert-path", str(authority)) if authority else ()),
    ]
    logging = [
        f"-Dlog4j.configurationFile={home / 'conf' / 'log4j2.yaml'}",
        f"-Dpulsar.log.dir={home / 'logs'}",  # it would write files into wherever this runs
    ]
    classes = ["-cp", str(home / "lib" / "*"), of_class, str(home / "conf" / "client.conf")]
    started = [java, *JAVA_FLAGS, *logging, *classes]
    return Program([*started, address, where, *secured, *arguments])


def sql(name: str, arguments: Sequence[str], options: settings.MysqlSettings) -> Program:
    """Return a client of the database, logged in as Souk's user.

    It works on Souk's database unless its arguments name another. The client reads the name from
    its options, so that no argument of a person can be taken for it; the dump has no such option.

    Raises:
        Misconfigured: there is none on this machine.
    """
    path = prerequisites.find(*SQL_TOOLS[name])
    if path is None:
        raise errors.Misconfigured(f"this machine has neither {' nor '.join(SQL_TOOLS[name])}")
    if name == "sql":
        return Program(
            [path, *arguments], f"{_login(options)}[mysql]\ndatabase={options.database}\n"
        )
    database = [] if _names_databases(arguments) else [options.database]
    return Program([path, *arguments, *database], _login(options))


def _names_databases(arguments: Sequence[str]) -> bool:
    """Tell whether arguments of the dump name databases, and are not all options and values."""
    rest = iter(arguments)
    for argument in rest:
        if not argument.startswith("-") or argument in DUMP_ALL:
            return True
        if argument in DUMP_VALUED:
            next(rest, None)
    return False


def _login(options: settings.MysqlSettings) -> str:
    """Return the login as a file of options, with backslashes and quotes escaped."""
    password = _password(options).replace("\\", "\\\\").replace('"', '\\"')
    lines = [
        "[client]",
        f"host={options.host}",
        f"port={options.port}",
        "protocol=tcp",
        f"user={options.user}",
        f'password="{password}"',
        *([f"ssl-ca={options.tls_ca_file}"] if options.tls_ca_file else []),
    ]
    return "\n".join(lines) + "\n"


def _password(options: settings.MysqlSettings) -> str:
    file = options.password_file
    return file.read_text().strip() if file else options.password.get_secret_value()


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return a tool's environment, without variables that would lead it to other servers."""
    return {k: v for k, v in inherited.items() if not k.startswith(("MYSQL", "PULSAR", "SOUK_"))}


def _become(program: Program) -> NoReturn:
    path, *arguments = program.arguments
    if program.told:
        arguments = [f"--defaults-file={_pipe(program.told)}", *arguments]
    os.execve(path, [path, *arguments], environment(os.environ))  # noqa: S606 - put together above


def _pipe(text: str) -> str:
    """Name a pipe that holds a text, for the program that this process becomes."""
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    os.set_inheritable(reading, True)  # noqa: FBT003 - the system's
    return f"/dev/fd/{reading}"
