"""Markdown from plain values: tables and lists of words."""

from collections.abc import Iterable, Sequence

MOST_COLUMNS = 9


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, its first column to the left and the others to the right."""
    marks = ["---", *["---:"] * (len(header) - 1)]
    lines = [header, marks, *rows]
    return "\n".join(f"| {' | '.join(_cell(text) for text in line)} |" for line in lines)


def upright(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, turned on its side where it would be too wide to read."""
    if len(header) <= MOST_COLUMNS or len(header) < len(rows):
        return table(header, rows)
    first, *others = zip(header, *rows, strict=True)
    return table(first, others)


def listed(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def points(lines: Iterable[str]) -> str:
    """A bullet a line."""
    return "\n".join(f"- {line}" for line in lines)


def plural(count: int, one: str, many: str = "") -> str:
    """``1 seed``, ``2 seeds``."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
