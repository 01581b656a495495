"""The one error a user is meant to read, and the one warning."""

from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Integral

_LONGEST_REASON = 200


class TwincodeError(ValueError):
    """Something the user can mend: one line that says what is wrong and what to do.

    A remedy names arguments as Python writes them, ``missing="interpolate"``; the command line
    shows them as options, without a traceback, and exits with a non-zero status. It is a
    ValueError, as scikit-learn and aeon expect of their estimators.
    """


class TwincodeWarning(UserWarning):
    """Something left out or done otherwise that the user may want: one line that says so."""


def installing(extra: str) -> str:
    """The command that installs an extra."""
    return f"pip install 'twincode[{extra}]'"


def one_line(error: BaseException) -> str:
    """An error's text on one line of bounded length."""
    return " ".join(str(error).split())[:_LONGEST_REASON] or type(error).__name__


def first_line(error: BaseException) -> str:
    """The first line of what an error says; empty where it says nothing."""
    return (str(error).splitlines() or [""])[0]


def check_count(name: str, value: object, least: int = 1) -> None:
    """Raise TwincodeError for what is no number of things: not whole, or below ``least``."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise TwincodeError(f"{name} must be a whole number of at least {least}, not {value!r}")


def unknown_name(kind: str, name: object, known: Iterable[str], hint: str = "") -> TwincodeError:
    """The error for a name that is not in a list: it offers the nearest one.

    ``kind`` says what the name should have named (``"recipe"``); ``hint`` replaces the list of
    known names where that list is too long to print. What is no text is shown as text.
    """
    name, choices = str(name), sorted(known)
    lowered = {choice.lower(): choice for choice in choices}
    nearest = get_close_matches(name.lower(), lowered, n=1, cutoff=0.5)
    offer = f"; did you mean {lowered[nearest[0]]!r}?" if nearest else "."
    return TwincodeError(f"unknown {kind} {name!r}{offer} {hint or 'Known: ' + ', '.join(choices)}")
