"""``python -m benchmarks``: the table, measured in one run, and the files figures are made from."""

import argparse
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.progress import track

from benchmarks.accelerator import launches, sharing
from benchmarks.cases import Case, all_cases
from benchmarks.encoding import agreements
from benchmarks.floor import Machine
from benchmarks.scaling import curves
from benchmarks.startup import waits
from benchmarks.tables import RESULTS, write_table
from benchmarks.timing import Side, clock_name, compare
from twincode.devices import choose_device, device_name
from twincode.errors import TwincodeError, unknown_name
from twincode.files import write_json
from twincode.memory import keep_freed_memory
from twincode.precision import has_bfloat16
from twincode.train.result import commit


class Ratio(NamedTuple):
    """One row of the table: how many times ahead of the plain way, and how far from the floor."""

    case: str
    precision: str
    wanted: float
    ratio: float
    lowest: float
    highest: float
    plain_seconds: float
    our_seconds: float
    floor_seconds: float | None
    times_floor: float | None
    rounds: int


def main() -> int:
    """Measure, print, write; returns the exit status."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)  # for the processes still to start
    keep_freed_memory()
    try:
        device = choose_device(arguments.device)
        tables = _tables(device, arguments)
        for name in arguments.tables.split(",") if arguments.tables else tables:
            if name not in tables:
                raise unknown_name("table", name, tables)
            path = arguments.out / f"{device.type}-{name}.csv"
            some = name == "ratios" and arguments.only
            write_table(path, tables[name](), ("case", "precision") if some else ())
            print(f"written: {path}")
    except TwincodeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads for both sides")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the CSV files")
    parser.add_argument("--tables", default="", help="which, by the names of their files")
    parser.add_argument(
        "--only", default="", help="ratios: cases whose name contains this, the others' rows stay"
    )
    return parser.parse_args()


def _tables(
    device: torch.device, arguments: argparse.Namespace
) -> dict[str, Callable[[], Iterable[Any]]]:
    """Every table of a device, by the name of its file: what measures it."""
    kind = device.type
    ratios = {
        "ratios": lambda: _ratios(device, arguments),
        "scaling": lambda: curves("bfloat16", kind),
    }
    if kind == "cpu":
        encoding = {"encoding": agreements} if has_bfloat16(device) else {}
        return {**ratios, "startup": waits, **encoding}
    return {**ratios, "launches": lambda: launches(kind), "sharing": lambda: sharing(kind)}


def _ratios(device: torch.device, arguments: argparse.Namespace) -> Iterator[Ratio]:
    """Every row, printed as it is found; what they were measured with is written beside them."""
    machine = Machine.measure(device)
    cases = [
        case
        for case in all_cases(device.type)
        if arguments.only in case.name and (case.precision == "float32" or has_bfloat16(device))
    ]
    with Side(keep_memory=False) as plain, Side(keep_memory=True) as ours:
        for case in track(cases):
            found = _measure(case, plain, ours, machine)
            print(
                f"{found.case}, {found.precision}: {found.ratio:.1f} times ahead "
                f"({found.lowest:.1f} to {found.highest:.1f}; wanted {found.wanted:g})"
            )
            yield found
    if not arguments.only:
        describe(arguments.out, device, arguments.threads, machine)


def _measure(case: Case, plain: Side, our: Side, machine: Machine) -> Ratio:
    found = compare(plain, our, (case.plain, case.ours), case.rounds, case.warm)
    ours = statistics.median(found.second)
    floor = case.least.floor(machine, case.precision) if case.least else None
    return Ratio(
        case.name,
        case.precision,
        case.wanted,
        *found.spread,
        plain_seconds=statistics.median(found.first),
        our_seconds=ours,
        floor_seconds=floor,
        times_floor=ours / floor if floor else None,
        rounds=case.rounds,
    )


def describe(folder: Path, device: torch.device, threads: int, machine: Machine) -> None:
    """Keep what the ratios were measured with."""
    write_json(
        folder / f"{device.type}-machine.json",
        {
            "command": f"python -m benchmarks --device {device.type} --threads {threads}",
            "device": device_name(device),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "threads": threads,
            "clock": clock_name(),
            "matrix_product_float32": machine.float32,
            "matrix_product_bfloat16": machine.bfloat16,
            "copy_gigabytes": machine.copy,
            "torch": torch.__version__,
            "commit": commit(),
            "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )


if __name__ == "__main__":
    sys.exit(main())
