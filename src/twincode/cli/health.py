"""What went wrong with a codebook, said at the end."""

from collections.abc import Iterable
from pathlib import Path

from twincode.cli.errors import complain


def tell_health(runs: Iterable[tuple[str, Path]]) -> None:
    """One line for each run, of a title and a folder, that ended with a collapse."""
    from twincode.files import read_json
    from twincode.train.result import A_RESULT, RESULT

    for title, folder in runs:
        notices = read_json(folder / RESULT, A_RESULT).get("health") or []
        if notices and notices[-1]["collapsed"]:
            complain(f"{title}: {notices[-1]['message']}")
