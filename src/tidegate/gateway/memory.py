"""How a worker keeps its memory: what lives as long as the process is not walked again, and what a call frees stays.

Every call of an agent brings 100 to 400 kB. By default glibc gives such blocks back to the kernel as soon as they are
free, and the next call has each of their pages faulted in and cleared again: a tenth of its CPU time.
"""

import ctypes
import gc
from typing import Final

GC_THRESHOLDS: Final = (20_000, 20, 50)  # calls make no cycles: collecting often finds nothing
MAPPED_BYTES_MIN: Final = 8 * 1024 * 1024  # larger blocks are the kernel's, and go back to it at once
KEPT_BYTES_MAX: Final = 16 * 1024 * 1024  # free memory at the top of the heap that is kept for the next calls
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def settle_memory() -> None:
    """Call once, when what lives long has been built. A C library without such settings keeps its own."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc; musl has none
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES_MIN)
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES_MAX)
