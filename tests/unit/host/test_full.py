"""What brings servers up for a demo ends them again, also when it is terminated."""

import os
import signal

import pytest

from internal.host import full


def terminate_this_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()


def test_termination_is_an_interrupt_and_only_within() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), full.ended_like_interrupted():
        terminate_this_process()
    assert signal.getsignal(signal.SIGTERM) is before
