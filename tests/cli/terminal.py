"""A terminal to look at, for the tests of what is shown there."""

import io
import re

import pytest
from rich.console import Console

from twincode.cli import progress, study_progress


class Terminal(io.StringIO):
    """A terminal of 80 columns that remembers what stands on it."""

    def isatty(self):
        return True

    def lines(self):
        rows, row, column = [""], 0, 0
        for control, number, kind, character in re.findall(
            r"(\x1b\[\??(\d*)[\d;]*([A-Za-z]))|(.|\n)", self.getvalue()
        ):
            if kind == "A":
                row -= int(number or 1)
            elif kind == "K":
                rows[row] = ""
            elif character == "\r":
                column = 0
            elif character == "\n":
                row, column = row + 1, 0
                rows += [""] * (row + 1 - len(rows))
            elif not control:
                rows[row] = rows[row][:column].ljust(column) + character + rows[row][column + 1 :]
                column += 1
        return [line.rstrip() for line in rows]


@pytest.fixture
def terminal(monkeypatch):
    for name, value in {"TERM": "xterm", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    terminal = Terminal()
    for module in (progress, study_progress):
        monkeypatch.setattr(module, "Console", lambda stderr: Console(file=terminal, stderr=stderr))
    return terminal


def epoch(number, **changes):
    return {"event": "epoch", "epoch": number, "losses": {"total": 1.25}, "perplexity": 3.5} | (
        changes
    )
