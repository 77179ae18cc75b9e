"""Python's garbage collector, set for a process that works in batches."""

import gc

OBJECTS = 300_000
"""Collected once this many more are alive. A batch's values are alive together and then go by
themselves: with a limit that a batch reaches, each look walks over all of them and frees hardly any
(a tenth of the first stage's processor time with 50,000). Python's default is 700.
"""


def settle() -> None:
    """Never look at what is alive now again, and seldom at the rest. Call it after the start."""
    gc.freeze()
    gc.set_threshold(OBJECTS)
