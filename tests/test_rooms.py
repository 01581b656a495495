"""A room imports only rooms above it."""

import ast
import importlib
from pathlib import Path

import twincode

ROOMS = [
    *("errors", "files", "upgrade", "labels", "memory", "settings", "precision"),
    *("randomness", "distributed", "storage", "devices", "cluster", "hub"),
    "closed_form",
    *("data", "spectral", "augment", "nets", "quantize", "tokenizers", "losses", "priors"),
    *("evaluate", "generate", "config", "recipes", "card"),
    *("model", "train", "estimators", "bulk", "export", "study", "report"),
    *("explorer", "cli"),
]
# What alone a room may know, although more lies above it: a page is made from stored results, the
# equation of a loss needs no more than tensors, and a prior sees codes but neither series nor
# tokenizers.
ALONE = {
    "upgrade": {"errors"},
    "labels": {"errors"},
    "report": {"errors", "files", "upgrade", "labels"},
    "losses": {"settings", "nets"},
    "priors": {
        *("errors", "files", "settings", "precision", "randomness", "storage"),
        *("nets", "quantize"),
    },
}
NAMED = {f"twincode.{room}" for room in ROOMS}
SOURCE = Path(twincode.__file__).parent


def room_of(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_rooms(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        # What the package itself offers is no room: its own file and its programs read that.
        names = [name for name in names if name.count(".") > 1 or name in NAMED]
        yield from (name.split(".")[1] for name in names if name.startswith("twincode."))


def test_every_name_that_is_offered_is_there():
    for path in SOURCE.rglob("__init__.py"):
        module = ".".join(["twincode", *path.parent.relative_to(SOURCE).parts])
        found = importlib.import_module(module)
        assert [name for name in getattr(found, "__all__", ()) if not hasattr(found, name)] == []


def test_every_file_lies_in_a_known_room():
    assert {room_of(path) for path in SOURCE.rglob("*.py")} - {"__init__", "__main__"} <= set(ROOMS)


def test_imports_go_one_way():
    wrong = []
    for path in SOURCE.rglob("*.py"):
        room = room_of(path)
        if room.startswith("__"):
            continue
        for other in imported_rooms(path):
            below = ROOMS.index(other) > ROOMS.index(room)
            if below or other not in {room, *ALONE.get(room, ROOMS)}:
                wrong.append(f"{path.relative_to(SOURCE)} imports {other}")
    assert wrong == []


def test_a_configuration_is_made_of_parts_that_know_nothing_of_it():
    parts = {"augment", "evaluate", "losses", "quantize", "settings", "tokenizers"}
    assert parts <= set(imported_rooms(SOURCE / "config.py"))
