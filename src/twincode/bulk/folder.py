"""A folder of Parquet files, converted file by file, by one process or several."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from twincode.bulk.job import Job, Piece
from twincode.bulk.parquet import count_rows, read_note
from twincode.bulk.pool import convert_in_processes
from twincode.bulk.ray_tasks import convert_on_ray
from twincode.cluster import check_address
from twincode.errors import TwincodeError, check_count
from twincode.files import held, remove_unfinished
from twincode.model import Model, load_bare_model

SUFFIX = ".parquet"
_HIDDEN = "._"  # how names begin of what is somebody's unfinished work
# Told how many rows are done, and how many there are to do.
Watch = Callable[[int, int], None]


def convert_folder(
    model_folder: str | Path,
    job: Job,
    source: str | Path,
    target: str | Path,
    workers: int = 1,
    device: str = "cpu",
    watch: Watch | None = None,
    ray: str | None = None,
) -> tuple[int, int]:
    """Convert every Parquet file in ``source``, or that file, into one of the same name.

    ``job`` is an ``Encode`` or a ``Decode``, ``device`` ``auto``, ``cpu`` or ``cuda``; ``watch`` is
    told how many rows are done, and of how many.
    Files and folders whose names begin with ``.`` or ``_`` are left out.
    Memory does not grow with their number or size. What was converted before, from the same file
    by the same model in the same way, is left alone: so a stopped run goes on. Returns how many
    files were converted, and how many left alone. Raises TwincodeError where there are no files,
    for one that cannot be converted, and for a target that holds something else; what is converted
    by then stays. One program at a time works on a target. ``workers`` processes each load the
    model and take one file at a time; a program that asks for several must be importable, as
    Python's ``multiprocessing`` demands. ``ray`` is ``local`` or the address of a cluster whose
    nodes see all files under the same paths.
    """
    model_folder, source, target = Path(model_folder), Path(source), Path(target)
    check_count("workers", workers)
    if ray is not None:
        if workers > 1:
            raise TwincodeError("use workers or ray, not both")
        check_address(ray)
        model_folder, source, target = (p.resolve() for p in (model_folder, source, target))
    pairs = _pairs(source, target)
    model = load_bare_model(model_folder, device)
    made = {"model": model.checksum, **job.settings()}
    pieces = [Piece(one, other, {**made, "input": _stamp(one)}) for one, other in pairs]
    if all(map(_finished, pieces)):
        return 0, len(pieces)
    with held(target, f"another program is converting into {target}; wait for it"):
        for folder in {piece.target.parent for piece in pieces}:
            remove_unfinished(folder)
        left = [piece for piece in pieces if not _finished(piece)]
        _convert(model, model_folder, job, left, workers, device, watch, ray)
    return len(left), len(pieces) - len(left)


def _convert(
    model: Model,
    model_folder: Path,
    job: Job,
    pieces: Sequence[Piece],
    workers: int,
    device: str,
    watch: Watch | None,
    ray: str | None,
) -> None:
    """Convert files, here, in other processes or on a cluster."""
    total, done = sum(count_rows(piece.source) for piece in pieces), 0

    def tell(rows: int) -> None:
        nonlocal done
        done += rows
        if watch is not None:
            watch(done, total)

    if ray is not None:
        convert_on_ray(model_folder, job, pieces, ray, device, tell)
    elif workers > 1 and len(pieces) > 1:
        convert_in_processes(model_folder, job, pieces, min(workers, len(pieces)), device, tell)
    else:
        for piece in pieces:
            job.convert(model, piece.source, piece.target, piece.note, tell)


def _pairs(source: Path, target: Path) -> list[tuple[Path, Path]]:
    """The files, in order, and where they go."""
    if not source.exists():
        raise TwincodeError(f"there is no file or folder {source}")
    if not source.is_dir():
        return [(source, target / source.name)]
    if target.resolve().is_relative_to(source.resolve()):
        raise TwincodeError(f"{target} lies in {source}: its files would be taken for series")
    names = sorted(path.relative_to(source) for path in _within(source))
    if not names:
        raise TwincodeError(f"{source} holds no {SUFFIX} files")
    return [(source / name, target / name) for name in names]


def _within(folder: Path) -> Iterator[Path]:
    """The Parquet files at any depth, in folders that are linked to too, each folder once."""
    seen = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if name[0] not in _HIDDEN)
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        own = (name for name in files if name[0] not in _HIDDEN)
        yield from (Path(place, name) for name in own if name.lower().endswith(SUFFIX))


def _stamp(path: Path) -> list[int]:
    """What tells a file from what it was before."""
    state = path.stat()
    return [state.st_size, state.st_mtime_ns]


def _finished(piece: Piece) -> bool:
    """Whether the target is what would be written; TwincodeError where it is something else."""
    if not piece.target.exists():
        return False
    note = read_note(piece.target)
    if note is None:
        raise TwincodeError(f"{piece.target} was not written by twincode; choose another folder")
    differs = [k for k, v in piece.note.items() if k != "input" and note.get(k) != v]
    if differs:
        raise TwincodeError(
            f"{piece.target} was made with other settings (it differs in {', '.join(differs)}); "
            "choose another folder"
        )
    return bool(note["input"] == piece.note["input"])
