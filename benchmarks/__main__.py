"""``python -m benchmarks``: the table, measured in one run, and the files figures are made from."""

import argparse
import os
import platform
import statistics
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.accelerator import launches, sharing
from benchmarks.cases import Case, all_cases
from benchmarks.encoding import agreements
from benchmarks.floor import Machine
from benchmarks.paths import RESULTS
from benchmarks.scaling import curves
from benchmarks.startup import waits
from benchmarks.timing import Side, clock_name, compare
from twincode.errors import TwincodeError
from twincode.files import write_json, write_text
from twincode.memory import keep_freed_memory
from twincode.model import choose_device
from twincode.train.result import commit, device_name


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
    if not arguments.only:
        tables = {"ratios": pd.DataFrame(rows), **_further_tables(device.type)}
        _write(arguments.out, device, arguments.threads, machine, tables)
        console.print(f"written: {arguments.out}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads for both sides")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the CSV files")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    return parser.parse_args()


def _further_tables(device: str) -> dict[str, pd.DataFrame]:
    """What is measured beside the ratios, by the name of its file."""
    tables = {"scaling": pd.DataFrame(curves("bfloat16", device))}
    if device == "cpu":
        return {
            **tables,
            "startup": pd.DataFrame(waits()),
            "encoding": pd.DataFrame(agreements()),
        }
    return {
        **tables,
        "launches": pd.DataFrame(launches(device)),
        "sharing": pd.DataFrame(sharing(device)),
    }


def _row(case: Case, plain: Side, our: Side, machine: Machine) -> dict[str, Any]:
    found = compare(plain, our, (case.plain, case.ours), case.rounds, case.warm)
    ours = statistics.median(found.ours)
    floor = case.least.floor(machine, case.precision) if case.least else None
    return {
        "case": case.name,
        "precision": case.precision,
        "wanted": case.wanted,
        "ratio": found.ratio,
        "lowest": min(found.ratios),
        "highest": max(found.ratios),
        "plain_seconds": statistics.median(found.plain),
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


def _write(
    folder: Path,
    device: torch.device,
    threads: int,
    machine: Machine,
    tables: dict[str, pd.DataFrame],
) -> None:
    """The tables and what they were measured with."""
    for name, table in tables.items():
        write_text(folder / f"{device.type}-{name}.csv", _csv(table))
    write_json(
        folder / f"{device.type}-machine.json",
        {
            "command": f"python -m benchmarks --device {device.type} --threads {threads}",
            "device": device_name(device),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "threads": threads,
            "clock": clock_name(),
            "load": os.getloadavg()[0],
            "matrix_product_float32": machine.float32,
            "matrix_product_bfloat16": machine.bfloat16,
            "copy_gigabytes": machine.copy,
            "torch": torch.__version__,
            "commit": commit(),
            "measured": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        },
    )


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, float_format="%.6g")


if __name__ == "__main__":
    sys.exit(main())
