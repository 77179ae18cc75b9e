"""Writes shares as percentages. Pure."""

import functools

from internal.catalogue.messages import PPM

BASIS_POINTS = 10_000
"""Basis points in a whole: 10 % is 1,000 of them."""
PPM_PER_BASIS_POINT = PPM // BASIS_POINTS
_PPM_PER_PERCENT = PPM // 100


@functools.lru_cache(maxsize=1024)
def text(rate_ppm: int) -> str:
    """Return parts per million as a percentage: 88_750 is "8.875 %"."""
    percent, rest = divmod(rate_ppm, _PPM_PER_PERCENT)
    return f"{percent}.{rest:04}".rstrip("0").rstrip(".") + " %"
