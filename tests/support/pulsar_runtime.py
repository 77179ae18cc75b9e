"""A program that is named like the main program of Pulsar's runtime, and has its signal handler."""

import os
import subprocess
import sys
from pathlib import Path

from internal.pipeline import leaving

ROOT = Path(__file__).parents[2]
PROGRAM = """
import signal, threading
to_run = {to_run}
def atexit_function(signo, frame):
    global to_run
    to_run = False
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, atexit_function)
from internal.pipeline import leaving
assert leaving.is_in_the_runtime()
leaving.DEPARTURE.watch()
{body}"""


def start(folder: Path, body: str, *, to_run: bool = True) -> "subprocess.Popen[str]":
    """Start it with the handlers of an instance, and then this body, on the main thread."""
    file = folder / leaving.RUNTIME
    file.write_text(PROGRAM.format(to_run=to_run, body=body))
    return subprocess.Popen(
        [sys.executable, str(file)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
