"""``python -m benchmarks``: the table, measured in one run, and the files figures are made from."""

import argparse
import os
import platform
import resource
import statistics
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.cases import Case, CaseMaker, all_cases
from benchmarks.floor import Machine
from benchmarks.scaling import Point, curves
from benchmarks.startup import Wait, waits
from benchmarks.timing import Comparison, compare
from twincode.files import write_json, write_text
from twincode.train.result import commit, device_name

RESULTS = Path("results/benchmarks")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads for both sides")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the CSV files")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    console = Console()
    machine = Machine.measure(device)
    console.print(
        f"{device_name(device)}, {arguments.threads} thread(s): matrix product "
        f"{machine.float32:.0f} (float32) and {machine.bfloat16:.0f} (bfloat16) x 1e9 operations a "
        f"second, copy {machine.copy:.0f} GB/s"
    )
    cases = all_cases(device.type)
    rows = [row for make in cases if (row := _measure(make, arguments.only, machine))]
    _show(console, rows)
    if not arguments.only:
        points = list(curves("bfloat16", arguments.device))
        _write(arguments.out, device, arguments.threads, machine, rows, points, list(waits()))
        console.print(f"written: {arguments.out}")


def _measure(make: CaseMaker, only: str, machine: Machine) -> dict[str, Any] | None:
    case = make()
    if only not in case.name:
        return None
    return _row(case, compare(case.plain, case.ours, case.rounds, case.warm), machine)


def _row(case: Case, found: Comparison, machine: Machine) -> dict[str, Any]:
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
    rows: list[dict[str, Any]],
    points: list[Point],
    starts: list[Wait],
) -> None:
    """Three tables and what they were measured with."""
    write_text(folder / f"{device.type}-ratios.csv", _csv(pd.DataFrame(rows)))
    write_text(folder / f"{device.type}-scaling.csv", _csv(pd.DataFrame(points)))
    write_text(folder / f"{device.type}-startup.csv", _csv(pd.DataFrame(starts)))
    write_json(
        folder / f"{device.type}-machine.json",
        {
            "command": f"python -m benchmarks --device {device.type} --threads {threads}",
            "device": device_name(device),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "threads": threads,
            "large_pages": os.environ.get("THP_MEM_ALLOC_ENABLE", "0") == "1",
            "matrix_product_float32": machine.float32,
            "matrix_product_bfloat16": machine.bfloat16,
            "copy_gigabytes": machine.copy,
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "torch": torch.__version__,
            "commit": commit(),
            "measured": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        },
    )


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
