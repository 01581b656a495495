"""Failures as a person should see them: one line, a status, no traceback."""

import functools
import io
import os
import re
import shlex
import sys
import warnings
from collections.abc import Callable
from typing import ParamSpec, TextIO, TypeVar

import typer

from twincode.errors import TwincodeError, TwincodeWarning
from twincode.memory import lacks_memory

FAILED = 1
USAGE = 2
INTERRUPTED = 130  # what shells expect of a program ended by Ctrl-C

P = ParamSpec("P")
R = TypeVar("R")


def readable(command: Callable[P, R]) -> Callable[P, R]:
    """Run a command; what the user can mend becomes one line on the error stream."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except TwincodeError as error:
            complain(str(error))
            raise typer.Exit(FAILED) from error
        except BrokenPipeError:
            raise  # whoever read the output has seen enough; typer ends quietly
        except OSError as error:
            complain(_system_message(error))
            _drop_output()
            raise typer.Exit(FAILED) from error
        except (MemoryError, RuntimeError) as error:
            if not lacks_memory(error):
                raise
            complain("there is too little memory; ask for less at once")
            raise typer.Exit(FAILED) from error
        except KeyboardInterrupt as interrupt:
            complain("interrupted; run the same command again to go on")
            raise typer.Exit(INTERRUPTED) from interrupt

    return run


def complain(message: str) -> None:
    """Print one line on the error stream."""
    typer.echo(f"twincode: {' '.join(_with_options(message).split())}", err=True)


def _with_options(message: str) -> str:
    """``missing="interpolate"``, as Python writes it, becomes ``--missing interpolate``."""
    return re.sub(
        r'\b([a-z]\w*)="([^"]+)"',
        lambda found: f"--{found[1].replace('_', '-')} {shlex.quote(found[2])}",
        message,
    )


def tell_warnings() -> None:
    """Let our own warnings be one line each."""
    others = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, TwincodeWarning):
            complain(str(message))
        else:
            others(message, category, filename, lineno, file, line)

    warnings.showwarning = show


def tolerate_any_encoding() -> None:
    """Where a stream cannot show a letter such as γ, let it show a question mark."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def usage_message(error: typer.TyperException) -> str:
    """What is wrong with a command line, and where to read how it should be."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "twincode"
    message = error.format_message().rstrip(".")
    return f"{message}{' ' if message.endswith('?') else '; '}see {command} --help"


def _system_message(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else reason


def _drop_output() -> None:
    """Forget output that could not be written, lest Python complain of it again at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
