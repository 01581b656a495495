"""A room imports only rooms above it."""

import ast
from pathlib import Path

import twincode

ROOMS = [
    "errors", "files", "upgrade", "memory", "conditions", "config", "recipes", "precision",
    "distributed", "data", "spectral", "augment", "nets", "quantize", "tokenizers", "losses",
    "evaluate", "model", "train", "study", "report", "cli",
]  # fmt: skip
# What a room may not know although it lies above: a page is made from stored results alone.
APART = {"report": {"data", "nets", "tokenizers", "losses", "evaluate", "model", "train", "study"}}
SOURCE = Path(twincode.__file__).parent


def imported_rooms(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        yield from (name.split(".")[1] for name in names if name.startswith("twincode."))


def test_every_file_lies_in_a_known_room():
    rooms = {path.relative_to(SOURCE).parts[0].removesuffix(".py") for path in SOURCE.rglob("*.py")}
    assert rooms - {"__init__", "__main__"} == set(ROOMS)


def test_imports_go_one_way():
    wrong = []
    for path in SOURCE.rglob("*.py"):
        room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        if room.startswith("__"):
            continue
        for other in imported_rooms(path):
            if ROOMS.index(other) > ROOMS.index(room) or other in APART.get(room, ()):
                wrong.append(f"{path.relative_to(SOURCE)} imports {other}")
    assert wrong == []
