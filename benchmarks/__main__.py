"""``python -m benchmarks``: the table, measured in one run, and the files figures are made from."""

import argparse
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.accelerator import launches, sharing
from benchmarks.cases import Case, all_cases
from benchmarks.encoding import agreements
from benchmarks.floor import Machine
from benchmarks.scaling import curves
from benchmarks.startup import waits
from benchmarks.tables import RESULTS, write_table
from benchmarks.timing import Side, clock_name, compare
from twincode.errors import TwincodeError, unknown_name
from twincode.files import write_json
from twincode.memory import keep_freed_memory
from twincode.model import choose_device
from twincode.train.result import commit, device_name

Measures = dict[str, Callable[[], Iterable[Any]]]


def main() -> int:
    """Measure, print, write; returns the exit status."""
    arguments = _arguments()
    try:
        device = choose_device(arguments.device)
    except TwincodeError as error:
        print(error, file=sys.stderr)
        return 1
    torch.set_num_threads(arguments.threads)
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)  # for the processes still to start
    keep_freed_memory()
    console = Console()
    tables = _tables(device, arguments, console)
    wanted = arguments.tables.split(",") if arguments.tables else list(tables)
    for name in wanted:
        if name not in tables:
            raise SystemExit(str(unknown_name("table", name, tables)))
        path = arguments.out / f"{device.type}-{name}.csv"
        write_table(path, tables[name]())
        console.print(f"written: {path}")
    return 0


def _tables(device: torch.device, arguments: argparse.Namespace, console: Console) -> Measures:
    """Every table of a device, by the name of its file: what measures it."""
    on_cpu: Measures = {"startup": waits, "encoding": agreements}
    on_accelerator: Measures = {
        "launches": lambda: launches(device.type),
        "sharing": lambda: sharing(device.type),
    }
    return {
        "ratios": lambda: _ratios(device, arguments, console),
        "scaling": lambda: curves("bfloat16", device.type),
        **(on_cpu if device.type == "cpu" else on_accelerator),
    }


def _ratios(
    device: torch.device, arguments: argparse.Namespace, console: Console
) -> list[dict[str, Any]]:
    """The table, shown, and what it was measured with, written."""
    machine = Machine.measure(device)
    console.print(
        f"{device_name(device)}, {arguments.threads} thread(s): matrix product "
        f"{machine.float32:.0f} (float32) and {machine.bfloat16:.0f} (bfloat16) x 1e9 operations a "
        f"second, copy {machine.copy:.0f} GB/s"
    )
    with Side(keep_memory=False) as plain, Side(keep_memory=True) as ours:
        cases = [case for case in all_cases(device.type) if arguments.only in case.name]
        rows = [_row(case, plain, ours, machine) for case in track(cases, console=console)]
    _show(console, rows)
    _describe(arguments.out, device, arguments.threads, machine)
    return rows


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads for both sides")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the CSV files")
    parser.add_argument("--tables", default="", help="which, by the names of their files")
    parser.add_argument("--only", default="", help="ratios: cases whose name contains this")
    return parser.parse_args()


def _row(case: Case, plain: Side, our: Side, machine: Machine) -> dict[str, Any]:
    found = compare(plain, our, (case.plain, case.ours), case.rounds, case.warm)
    ours = statistics.median(found.second)
    floor = case.least.floor(machine, case.precision) if case.least else None
    return {
        "case": case.name,
        "precision": case.precision,
        "wanted": case.wanted,
        "ratio": found.ratio,
        "lowest": min(found.ratios),
        "highest": max(found.ratios),
        "plain_seconds": statistics.median(found.first),
        "our_seconds": ours,
        "floor_seconds": floor,
        "times_floor": ours / floor if floor else None,
        "rounds": case.rounds,
    }


def _show(console: Console, rows: list[dict[str, Any]]) -> None:
    table = Table(title="times ahead of the plain way (median of rounds, lowest to highest)")
    for header in ("case", "precision", "wanted", "ratio", "spread", "ours / floor"):
        table.add_column(header, justify="left" if header in ("case", "precision") else "right")
    for row in rows:
        distance = f"{row['times_floor']:.1f}" if row["times_floor"] else ""
        spread = f"{row['lowest']:.1f} to {row['highest']:.1f}"
        table.add_row(
            row["case"],
            row["precision"],
            f"{row['wanted']:g}",
            f"{row['ratio']:.1f}",
            spread,
            distance,
        )
    console.print(table)


def _describe(folder: Path, device: torch.device, threads: int, machine: Machine) -> None:
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
            "measured": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        },
    )


if __name__ == "__main__":
    sys.exit(main())
