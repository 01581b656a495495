"""How a function becomes a command."""

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

import typer
from typer.core import TyperCommand

from twincode.cli.errors import readable

# Options that a command does not declare are settings.
_EXTRA = {"allow_extra_args": True, "ignore_unknown_options": True}


def _with_settings(describe: Callable[[], str]) -> type[TyperCommand]:
    """A command whose help names every setting; they are looked up only when somebody asks."""

    class WithSettings(TyperCommand):
        def format_help(self, ctx: Any, formatter: Any) -> None:
            self.epilog = describe()
            super().format_help(ctx, formatter)

    return WithSettings


def command(
    app: typer.Typer, settings: Callable[[], str] | None = None, metavar: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the function below to ``app``: a command whose failures are one line each.

    A parameter annotated with a dataclass is an option for each of its fields. ``settings``
    describes what are options too, without being declared; the function finds them in its context.
    """

    def add(function: Callable[..., None]) -> Callable[..., None]:
        parameters = list(_parameters(function))

        @functools.wraps(function)
        def run(**values: Any) -> None:
            for name, bundle in _bundles(function).items():
                options = {each.name: values.pop(each.name) for each in fields(bundle)}
                values[name] = bundle(**options)
            function(**values)

        run.__annotations__ = {each.name: each.annotation for each in parameters}
        run.__dict__["__signature__"] = inspect.Signature(parameters)
        more: dict[str, Any] = (
            {"cls": _with_settings(settings), "context_settings": _EXTRA} if settings else {}
        )
        app.command(options_metavar=metavar or "[OPTIONS]", **more)(readable(run))
        return function

    return add


def declared(context: typer.Context) -> dict[str, str]:
    """The options that a command declares, as they are written, by name."""
    longest = {str(each.name): max(each.opts, key=len) for each in context.command.params}
    return {name: option for name, option in longest.items() if option.startswith("-")}


def _bundles(function: Callable[..., None]) -> dict[str, Any]:
    return {name: hint for name, hint in get_type_hints(function).items() if is_dataclass(hint)}


def _parameters(function: Callable[..., None]) -> Iterator[inspect.Parameter]:
    """Those of ``function``; after them the fields of dataclasses, in place of these."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    hints, bundles = get_type_hints(function, include_extras=True), _bundles(function)
    for name, parameter in inspect.signature(function).parameters.items():
        if name not in bundles:
            yield parameter.replace(kind=keyword, annotation=hints[name])
    for bundle in bundles.values():
        inner = get_type_hints(bundle, include_extras=True)
        for each in fields(bundle):
            yield inspect.Parameter(
                each.name, keyword, default=each.default, annotation=inner[each.name]
            )
