"""How many threads a worker may use, said before it loads the libraries that would take all."""

import os

# OpenMP, and so torch and scikit-learn; then the two linear algebra libraries NumPy comes with.
_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_variables(threads: int) -> dict[str, str]:
    """The environment variables for ``threads`` threads, or for as many as the user has set."""
    return {name: os.environ.get(_VARIABLES[0]) or str(threads) for name in _VARIABLES}
