"""The system's clock behind the kernel's port."""

import time


class SystemClock:
    """Wall-clock time, UTC."""

    def now_us(self) -> int:
        """Return microseconds since the Unix epoch."""
        return time.time_ns() // 1_000
