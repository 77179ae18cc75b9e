"""Pulsar as a part of the stack: broker, bookie and functions worker in one Java process.

The functions run as processes of their own, started by it. Each opens a control port and a metrics
port on all interfaces, which cannot be configured: server.py and prometheus_client_fix.py of the
runtime name the addresses, and the broker itself reads the metrics at the machine's own name. A
client of these ports can read a function's counters and reset them, no more; a machine that is open
to strangers needs a firewall.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from internal.kernel import errors
from internal.stack import (
    broker_conf,
    function_restart,
    layout,
    ports,
    prerequisites,
    stale_bookies,
)

NAME = "pulsar"
READY_S = 240
"""About 5 s on an idle machine of two cores, but 16 s of processor time: a busy one is slower."""
STOP_S = 30
"""It takes about 5 s; anything not stored by then is in its journal."""
DEREGISTER_S = 60
"""It takes half a second."""
ANSWER_S = 5.0
READY_PATHS = (
    "/admin/v2/brokers/ready",
    "/admin/v3/functions/public/default",
    "/admin/v2/worker/cluster/leader",
)
"""The second path answers once the functions worker has its own topics, the third once it has
elected itself: until then it changes nothing.
"""
PASSED_ON = ("SOUK_TESTING", "SOUK_FAILPOINTS")
"""The only settings of the caller that functions see; all others come from the stack's file."""
NOT_PASSED_ON = (
    "PULSAR",
    "SOUK_",
    "BOOKIE_",
    "BK_",
    "OPTS",
    "CLASSPATH",
    "PYTHONPATH",
    "PYTHONHOME",
)


class Broker:
    """How the broker is started and polled."""

    name = NAME
    ready_s, stop_s = READY_S, STOP_S

    def __init__(self, of: layout.Folder, chosen: ports.Ports, home: Path) -> None:
        self.folder, self.ports, self.home = of, chosen, home

    @property
    def port_names(self) -> tuple[str, ...]:
        """Names of the stack's ports on which it listens."""
        return ("pulsar", "admin", "bookie")

    def prepare(self) -> None:
        """Write its configuration, and deregister the bookie of a broker that was killed.

        Raises:
            Misconfigured: its metadata cannot be read, or another broker has it open.
        """
        broker_conf.write(self.folder, self.ports, self.home)
        prerequisites.run(
            [sys.executable, stale_bookies.__file__, str(self.home), str(self._metadata)],
            timeout_s=DEREGISTER_S,
            environment=self.environment({}),
        )

    def command(self) -> list[str]:
        """Return the command that starts it."""
        data, conf = self.folder.pulsar / "data", self.folder.pulsar / "conf"
        return [
            str(self.home / "bin" / "pulsar"),
            "standalone",
            *("--metadata-dir", str(self._metadata)),
            *("--bookkeeper-dir", str(data / "bookkeeper")),
            *("--bookkeeper-port", str(self.ports.bookie)),
            *("--functions-worker-conf", str(conf / "functions_worker.yml")),
        ]

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        """Return its environment, which the functions inherit."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(NOT_PASSED_ON)}
        passed_on = {k: os.environ[k] for k in PASSED_ON if k in os.environ}
        java = prerequisites.java()
        return {
            **inherited,
            **passed_on,
            **broker_conf.memory_and_collector(),
            # Not the folder of a link to it: below /usr there may be several.
            **({"JAVA_HOME": str(Path(java).resolve().parents[1])} if java else {}),
            # The functions worker runs the first python3 that it finds.
            "PATH": os.pathsep.join([str(Path(sys.prefix) / "bin"), prerequisites.SEARCH_PATH]),
            "PULSAR_STANDALONE_CONF": str(self.folder.pulsar / "conf" / "standalone.conf"),
            "PULSAR_LOG_DIR": str(self.folder.logs),
            "PULSAR_LOG_APPENDER": "RollingFile",
            "PULSAR_LOG_FILE": self.folder.log(NAME).name,
            "PULSAR_LOG_IMMEDIATE_FLUSH": "true",
            "SOUK_CONFIG": str(self.folder.settings_file),
            # The runtime of a function has a gRPC server of its own, which logs each wrong header.
            "GRPC_VERBOSITY": os.environ.get("GRPC_VERBOSITY", "NONE"),
            **extra,
        }

    def is_ready(self) -> bool:
        """Tell whether broker and functions worker answer."""
        try:
            with httpx.Client(trust_env=False, timeout=ANSWER_S) as client:
                where = f"http://{ports.HOST}:{self.ports.admin}"
                return all(client.get(where + path).is_success for path in READY_PATHS)
        except httpx.HTTPError:
            return False

    def recover(self) -> None:
        """Restart the functions that failed during its own start.

        Raises:
            BusAway: they do not start.
        """
        function_restart.restart_failed(f"http://{ports.HOST}:{self.ports.admin}")

    def away(self, what: str) -> errors.Temporary:
        """Return the error for a broker that does not answer."""
        return errors.BusAway(what)

    @property
    def _metadata(self) -> Path:
        return self.folder.pulsar / "data" / "metadata"
