"""Failures as a person should see them: one line, a status, no traceback."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import typer

from twincode.errors import TwincodeError

FAILED = 1
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
            typer.echo(f"twincode: {error}", err=True)
            raise typer.Exit(FAILED) from error
        except KeyboardInterrupt as interrupt:
            typer.echo("\ntwincode: interrupted; the same command goes on from here", err=True)
            raise typer.Exit(INTERRUPTED) from interrupt

    return run
