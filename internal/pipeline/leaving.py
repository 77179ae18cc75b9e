"""How an instance in the official runtime leaves: in good order from the first signal on.

The runtime's own handler closes the client while the stage still works, and ends the main thread.
The other threads then live in an interpreter that is shutting down and starts no new thread for
them: a gateway call that needs one fails like a bug, and its good order becomes a dead letter. The
process lives on until it is killed, which counts as a crash. So these handlers replace the
runtime's, and the main thread answers health checks until the process ends.

Knows processes and signals; must not know what a stage does.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

RUNTIME = "python_instance_main.py"
"""The main program of the official runtime."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Those that the runtime handles."""
GONE_S = 9.5
"""The kernel ends the process this long after the signal, whatever holds it up; the functions
worker kills it after 10 s.
"""
HURRIED_S = 4.0
"""The same after a second signal, unless less is left."""
EXIT_LEFT = 0
EXIT_MAIN_ENDED = 70

Leave = Callable[[], None]
"""Called within a signal handler, on the main thread; a second call means: at once."""


class Departure:
    """The end of this process, which any of its threads may prepare for."""

    def __init__(self) -> None:
        self._leave: Leave | None = None

    def watch(self) -> None:
        """Take over the signals; called on the main thread, before there is anything to finish."""
        if not getattr(sys.modules["__main__"], "to_run", True):
            exit_process()  # the runtime's own handler has had a signal already
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        for number in SIGNALS:
            signal.signal(number, self.signalled)
        threading.Thread(target=self._outlive_main, name="leaving", daemon=True).start()

    def begin_with(self, leave: Leave) -> None:
        """Name what leaves in good order, and ends the process; without it a signal ends it."""
        self._leave = leave

    def signalled(self, number: int, frame: FrameType | None) -> None:
        """Leave; called by the interpreter, on the main thread."""
        del number, frame
        if self._leave is None:
            exit_process()
        left_s, _ = signal.getitimer(signal.ITIMER_REAL)
        signal.setitimer(signal.ITIMER_REAL, min(left_s, HURRIED_S) if left_s else GONE_S)
        self._leave()

    def _outlive_main(self) -> None:
        """End the process with its main thread: health checks would get no answer."""
        threading.main_thread().join()
        os._exit(EXIT_MAIN_ENDED)


DEPARTURE = Departure()
"""Of this process."""


def exit_process() -> NoReturn:
    """End the process as one that has left in good order, whatever its threads do."""
    os._exit(EXIT_LEFT)


def is_in_the_runtime() -> bool:
    """Tell whether the official runtime runs this process; any other host has its own handlers."""
    main = getattr(sys.modules["__main__"], "__file__", None) or ""
    return Path(main).name == RUNTIME
