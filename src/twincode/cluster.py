"""Ray, where it is asked for: found, joined and left quietly."""

import importlib.util
import logging
import os
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from twincode.errors import TwincodeError, first_line, installing

LOCAL = "local"
# How long the address of a cluster may take to answer.
ANSWER_SECONDS = 5.0
_ADDRESS = re.compile(r"[^:/\s]+:\d{1,5}")
_LOOPBACK = ("localhost", "127.0.0.1")

# Nobody is to be told of this use of Ray.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}
# It counts those of a task that it ends for want of memory apart.
LIMITED = {"RAY_task_oom_retries": "2"}
# A Ray of our own listens to this machine alone and exports no metrics.
OWN = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_enable_metrics_collection": "0"}


def check_address(address: str) -> None:
    """Raise TwincodeError for what is no address, and where Ray is not installed."""
    if address != LOCAL and not _ADDRESS.fullmatch(address):
        raise TwincodeError(
            f"Ray is either {LOCAL} or at an address such as 10.0.0.1:6379, not {address!r}"
        )
    if importlib.util.find_spec("ray") is None:
        raise TwincodeError(f"Ray is not installed; install it with {installing('ray')}")


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Ray, begun quietly and left when done; one that was begun before is used and kept."""
    with variables({**QUIET, **LIMITED, **(OWN if address == LOCAL else {})}):
        import ray

        own = not ray.is_initialized()
        if own:
            if address != LOCAL:
                check_answer(address, ray.util.get_node_ip_address())
            try:
                ray.init(
                    address=address,
                    include_dashboard=False if address == LOCAL else None,
                    log_to_driver=False,
                    logging_level=logging.CRITICAL,
                )
            except (ConnectionError, RuntimeError, ValueError, OSError) as error:
                reason = first_line(error) or type(error).__name__
                raise TwincodeError(f"cannot work with Ray at {address!r}: {reason}") from error
    try:
        yield ray
    finally:
        if own:
            ray.shutdown()


def check_answer(address: str, own_host: str) -> None:
    """Raise TwincodeError where nothing listens: Ray itself would try for minutes.

    Ray takes the loopback address for this machine's address in its network, ``own_host``.
    """
    host, _, port = address.rpartition(":")
    for each in (host, own_host) if host in _LOOPBACK else (host,):
        with suppress(OSError), socket.create_connection((each, int(port)), ANSWER_SECONDS):
            return
    raise TwincodeError(f"nothing answers at {address}; give the address of a Ray cluster")


def outcome(ray: Any, reference: Any, attempts: int) -> str | None:
    """Why a task failed: what it says, what it raised, or that its workers died; None else."""
    try:
        reason: str | None = ray.get(reference)
    except ray.exceptions.RayError as error:
        if isinstance(error, ray.exceptions.RayTaskError) and error.cause is not None:
            return f"{type(error.cause).__name__}: {first_line(error.cause)}"
        return f"its worker died {attempts} times ({type(error).__name__}: {first_line(error)})"
    return reason


@contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for as long as it takes to start something."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
