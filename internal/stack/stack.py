"""A stack: a real broker and a real database on this machine, in one folder, on ports of its own.

All methods block: call them in a thread if an event loop runs. The stack's processes outlive the
program that started them; `down` ends all of them and touches nothing else.
"""

import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from internal.infra import settings
from internal.infra.data_folder import private
from internal.kernel import errors
from internal.stack import (
    broker,
    database,
    distribution,
    layout,
    log_tail,
    patience,
    ports,
    prerequisites,
    processes,
)

INSTANCES_STOP_S = 12.0
"""An instance finishes what it has, and is gone within 10 s."""
NO_ENVIRONMENT: Mapping[str, str] = {}


class Part(Protocol):
    """A service of the stack."""

    name: str
    ready_s: int
    """How long it may take until it answers, from the last line of its log on."""
    stop_s: int
    """How long it may take to end before it is killed."""

    @property
    def port_names(self) -> tuple[str, ...]:
        """Names of the stack's ports on which it listens."""
        ...

    def prepare(self) -> None:
        """Write the files that it reads at its start."""
        ...

    def command(self) -> list[str]:
        """Return the command that starts it."""
        ...

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        """Return its environment."""
        ...

    def is_ready(self) -> bool:
        """Tell whether it answers."""
        ...

    def recover(self) -> None:
        """Complete a start that the part leaves incomplete."""
        ...

    def away(self, what: str) -> errors.Temporary:
        """Return the error for this part."""
        ...


def _silence(_: str) -> None:
    """Report nothing."""


class Stack:
    """A stack of two parts: "pulsar" and "mysql"."""

    def __init__(
        self,
        root: Path,
        wanted: ports.Ports | None = None,
        *,
        environment: Mapping[str, str] = NO_ENVIRONMENT,
        tell: prerequisites.Tell = _silence,
    ) -> None:
        """Describe a stack; nothing is started.

        Args:
            root: the stack's folder.
            wanted: its ports; None means those of its last start, or the usual ones.
            environment: added to the environment of Pulsar and its functions.
            tell: is called with each step that takes a while.
        """
        self.folder = layout.Folder(root.absolute())
        self._wanted, self._environment, self._tell = wanted, environment, tell

    def up(self, *, may_install: bool = True) -> list[str]:
        """Start all parts that do not run, wait until all answer; return the parts started.

        Raises:
            Misconfigured: something is missing on this machine, or a port is taken.
            Temporary: a part does not start; the message ends with its log.
        """
        prerequisites.ensure(["java", "database"], self._tell, may_install=may_install)
        distribution.ready(self._tell, may_install=may_install)
        self.folder.make()
        with self._locked():
            self._choose_ports()
            layout.write_settings(self.folder, self.ports)
            started = [part for part in self._parts() if self.pid_of(part.name) is None]
            for part in started:
                self._launch(part)
            for part in self._parts():
                self._await(part)
            for part in started:
                part.recover()
        return [part.name for part in started]

    def down(self) -> list[str]:
        """End every process of this stack; return the names of the parts that ran."""
        if not self.is_there:
            return []
        with self._locked():
            return [part.name for part in self._parts() if self._end(part)]

    def reset(self) -> None:
        """End all processes and delete the stack's folder; a folder without a stack stays."""
        if self.is_there:
            self.down()
            shutil.rmtree(self.folder.root)

    @contextlib.contextmanager
    def logs_kept(self, place: Path) -> Iterator[None]:
        """Keep the logs of a stack that is deleted if anything fails here; the error names them."""
        try:
            yield
        except Exception as error:
            if kept := self.keep_logs(place):
                error.add_note(f"the logs of the stack are kept in {kept}")
            raise

    def keep_logs(self, place: Path) -> Path | None:
        """Copy all logs into a new folder at `place` and return it; None if there are none."""
        if not self.folder.logs.is_dir():
            return None
        place.mkdir(parents=True, exist_ok=True)
        kept = Path(tempfile.mkdtemp(prefix="souk-logs-", dir=place))
        shutil.copytree(self.folder.logs, kept, dirs_exist_ok=True)
        return kept

    def start(self, name: str) -> None:
        """Start one part and wait until it answers. The stack must have been up before.

        Raises:
            Misconfigured: the part does not exist, or its port is taken.
            Temporary: it does not start.
        """
        with self._locked():
            part = self._part(name)
            is_new = self.pid_of(name) is None
            if is_new:
                self._launch(part)
            self._await(part)
            if is_new:
                part.recover()

    def stop(self, name: str) -> bool:
        """End one part with all its processes; return whether there were any."""
        with self._locked():
            return self._end(self._part(name))

    def pid_of(self, name: str) -> int | None:
        """Return the id of a part's first process; None if it does not run."""
        known = processes.recall(self.folder.pid_file(name))
        return known or processes.first(self._mark(name))

    def pids_of(self, name: str) -> list[int]:
        """Return all processes of a part, including Pulsar's function instances."""
        return processes.marked(self._mark(name))

    def is_ready(self, name: str) -> bool:
        """Tell whether a part runs and answers."""
        return self.pid_of(name) is not None and self._part(name).is_ready()

    def port_names_of(self, name: str) -> tuple[str, ...]:
        """Return the names of a part's ports."""
        return self._part(name).port_names

    def settings(self) -> settings.Settings:
        """Return the settings for every process that works with this stack.

        Raises:
            Misconfigured: it was never started.
        """
        return layout.load_settings(self.folder)

    @property
    def is_there(self) -> bool:
        """Tell whether the folder contains a stack."""
        return self.folder.ports_file.is_file()

    @property
    def ports(self) -> ports.Ports:
        """The ports of its last start; before the first start, those that are wanted."""
        return ports.recalled(self.folder.ports_file) or self._wanted or ports.Ports()

    @property
    def names(self) -> list[str]:
        """The names of its parts."""
        return [part.name for part in self._parts()]

    def _parts(self) -> list[Part]:
        home = distribution.CACHE / f"pulsar-{distribution.VERSION}"
        return [
            broker.Broker(self.folder, self.ports, home),
            database.Database(self.folder, self.ports),
        ]

    def _part(self, name: str) -> Part:
        for part in self._parts():
            if part.name == name:
                return part
        raise errors.Misconfigured(f"there is no part {name!r}; there are {', '.join(self.names)}")

    def _choose_ports(self) -> None:
        before = ports.recalled(self.folder.ports_file)
        if self._wanted is None or (before and _fit(self._wanted, before)):
            chosen = before or ports.resolved(ports.Ports())
        else:
            chosen = ports.resolved(self._wanted)
        idle = [part for part in self._parts() if self.pid_of(part.name) is None]
        running = [name for name in self.names if name not in {part.name for part in idle}]
        if before is not None and chosen != before and running:
            raise errors.Misconfigured(
                f"{' and '.join(running)} run on other ports: scripts/stack down first"
            )
        ports.refuse_taken(chosen, [name for part in idle for name in part.port_names])
        ports.remember(self.folder.ports_file, chosen)

    def _launch(self, part: Part) -> None:
        ports.refuse_taken(self.ports, part.port_names)
        self._tell(f"starting {part.name}")
        part.prepare()
        pid = processes.spawn(
            part.command(),
            part.environment(self._environment),
            self._mark(part.name),
            self.folder.log(f"{part.name}-output"),
        )
        processes.remember(self.folder.pid_file(part.name), pid)

    def _await(self, part: Part) -> None:
        """Wait until a part answers or ends, as long as it writes to its logs."""
        patience.until(
            lambda: self.pid_of(part.name) is None or part.is_ready(),
            lambda: [log_tail.size_bytes(file) for file in self._logs_of(part.name)],
            part.ready_s,
        )
        if self.pid_of(part.name) is None:
            raise part.away(f"{part.name} ended at its start: {self._log_tail(part.name)}")
        if not part.is_ready():
            raise part.away(
                f"{part.name} does not answer, and its last line is {part.ready_s} s old:"
                f" {self._log_tail(part.name)}"
            )

    def _end(self, part: Part) -> bool:
        """End a part's first process, which ends the others; then end those that are left."""
        first = self.pid_of(part.name)
        if first is not None:
            self._tell(f"stopping {part.name}")
            processes.end([first], part.stop_s)
        left = self.pids_of(part.name)
        processes.end(left, INSTANCES_STOP_S)
        self.folder.pid_file(part.name).unlink(missing_ok=True)
        return first is not None or bool(left)

    def _mark(self, name: str) -> str:
        return f"{self.folder.root}:{name}"

    def _log_tail(self, name: str) -> str:
        files = self._logs_of(name)
        lines = [line for file in files for line in log_tail.of(file)]
        return "\n".join(["", *lines, *(f"see {file}" for file in files if file.is_file())])

    def _logs_of(self, name: str) -> list[Path]:
        return [self.folder.log(name), self.folder.log(f"{name}-output")]

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock of this stack; wait for other commands that start or stop parts."""
        private.make_folder(self.folder.root)
        with self.folder.lock.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._tell(f"waiting for another scripts/stack that works on {self.folder.root}")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _fit(wanted: ports.Ports, before: ports.Ports) -> bool:
    """Tell whether a stack's ports match the wanted ones; 0 matches any port."""
    pairs = zip(wanted.named().values(), before.named().values(), strict=True)
    return all(one in {0, other} for one, other in pairs)
