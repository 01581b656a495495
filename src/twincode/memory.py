"""Freed memory kept by the process, so that the next training step need not ask for it again.

A step frees and takes back hundreds of megabytes, most of all the gradients of a wide projector.
The C library would hand each large block back to the system and get it again page by page, filled
with zeros: a sixth of a BT-VQVAE step.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twincode.errors import TwincodeError

# Parameters of glibc's mallopt (malloc.h), and values that switch off what costs time.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_NEVER = -1
_PAD_BYTES = 64 * 2**20


def keep_freed_memory() -> bool:
    """Have the C library keep what is freed for what comes next; whether it is one that can.

    For programs that train and little else: the process holds on to the most it ever needed, until
    ``return_freed_memory``. No number changes. Anywhere but under glibc nothing happens.
    """
    library = _glibc()
    if library is None:
        return False
    choices = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _NEVER), (_TOP_PAD, _PAD_BYTES))
    done = [library.mallopt(parameter, value) for parameter, value in choices]
    return all(done)


def return_freed_memory() -> bool:
    """Hand back to the system what is free; whether there was anything, and a way to.

    For a process that is done with one run and may need less for the next.
    """
    library = _glibc()
    return library is not None and bool(library.malloc_trim(0))


def lacks_memory(error: BaseException) -> bool:
    """Whether that is what is wrong. Torch has no type of error for the memory of a processor."""
    from torch import OutOfMemoryError

    lacking = isinstance(error, (MemoryError, OutOfMemoryError))
    return lacking or "can't allocate memory" in str(error)


@contextmanager
def explaining_memory(device: object, remedy: str) -> Iterator[None]:
    """A context in which too little memory of a device is a TwincodeError with a ``remedy``."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        raise TwincodeError(f"{device} has too little memory; {remedy}") from error


def _glibc() -> Any | None:
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):
        return None
    # Other C libraries know mallopt too, but not these parameters.
    return library if hasattr(library, "gnu_get_libc_version") else None
