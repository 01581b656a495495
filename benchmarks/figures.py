"""``python -m benchmarks.figures``: the speed page and its figures, from the stored CSV alone."""

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.memory import GIGABYTE, LATER_STEPS, STEPS
from benchmarks.systems import STUDY
from benchmarks.tables import RESULTS
from twincode.files import write_text, write_whole
from twincode.study.study_file import read_study_file

DOCS = Path("docs")
TEMPLATE = Path(__file__).with_name("speed_page.md")
CLOCKS = {
    "process_time": "each process's own, which leaves out what a shared machine gave to others",
    "perf_counter": "the wall's",
}
MILLION = 1e6
INK, BLUE, AMBER = "#1f2430", "#1f6fb2", "#d98200"
COLOURS = {"vqvae step": INK, "bt-vqvae step": BLUE, "encode": AMBER}


def main() -> None:
    """Draw every figure of the CPU suite and write docs/speed.md."""
    ratios = pd.read_csv(RESULTS / "cpu-ratios.csv")
    scaling = pd.read_csv(RESULTS / "cpu-scaling.csv")
    startup = pd.read_csv(RESULTS / "cpu-startup.csv")
    machine = json.loads((RESULTS / "cpu-machine.json").read_text())
    mpl.rcParams.update({"svg.hashsalt": "twincode", "font.size": 9})
    _save(ratios_figure(ratios), "speed-ratios")
    _save(scaling_figure(scaling), "speed-scaling")
    write_text(DOCS / "speed.md", page(ratios, scaling, startup, machine))


def ratios_figure(ratios: pd.DataFrame) -> Figure:
    """How many times ahead each case is, with the lowest and highest round."""
    figure = Figure(figsize=(7.2, 0.42 * len(ratios) + 0.9), layout="constrained")
    axis = figure.subplots()
    names = [f"{row.case} ({row.precision})" for row in ratios.itertuples()]
    places = range(len(ratios))[::-1]
    spread = [ratios.ratio - ratios.lowest, ratios.highest - ratios.ratio]
    axis.barh(list(places), ratios.ratio, color=BLUE, height=0.55, xerr=spread, ecolor=INK)
    axis.plot(ratios.wanted, list(places), "|", color=AMBER, markersize=16, markeredgewidth=2.5)
    axis.axvline(1, color=INK, linewidth=0.8)
    axis.set_xscale("log")
    axis.set_xticks([1, 2, 4, 8, 16, 32], ["1", "2", "4", "8", "16", "32"])
    axis.minorticks_off()
    axis.set_yticks(list(places), names)
    axis.set_xlabel("times ahead of the plain way; the amber mark is the goal")
    _clean(axis)
    return figure


def scaling_figure(scaling: pd.DataFrame) -> Figure:
    """Cost against every size, log-log, with a line of slope one for comparison."""
    along = list(dict.fromkeys(scaling.along))
    figure = Figure(figsize=(9.6, 5.2), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    for axis, size in zip(axes, along, strict=False):
        part = scaling[scaling.along == size]
        for curve, points in part.groupby("curve", sort=False):
            colour = COLOURS[str(curve)]
            axis.loglog(points["size"], points.seconds, "o-", color=colour, label=curve)
        first = part.iloc[0]
        sizes = part["size"].to_numpy()
        axis.loglog(sizes, first.seconds * sizes / first["size"], ":", color="#9aa0ab")
        axis.set_xticks(sorted(set(sizes)), [str(value) for value in sorted(set(sizes))])
        axis.minorticks_off()
        axis.set_xlabel(size)
        axis.set_ylabel("seconds")
        axis.legend(frameon=False, fontsize=8)
        _clean(axis)
    for axis in axes[len(along) :]:
        axis.remove()
    return figure


def page(ratios: pd.DataFrame, scaling: pd.DataFrame, startup: pd.DataFrame, machine: dict) -> str:
    """docs/speed.md: every number in it comes from the stored files."""
    rows = "\n".join(
        f"| {row.case} | {row.precision} | {row.wanted:g} | **{row.ratio:.1f}** | "
        f"{row.lowest:.1f} to {row.highest:.1f} | {floor} |"
        for row, floor in zip(ratios.itertuples(), ratios.times_floor.map(_times), strict=True)
    )
    slopes = "\n".join(
        f"| {curve} | {along} | {_slope(points):.2f} |"
        for (curve, along), points in scaling.groupby(["curve", "along"], sort=False)
    )
    starts = "\n".join(
        f"| {row.what} | {row.seconds:.2f} | {row.lowest:.2f} to {row.highest:.2f} | "
        f"{row.processor:.2f} |"
        for row in startup.itertuples()
    )
    return TEMPLATE.read_text(encoding="utf-8").format(
        rows=rows,
        slopes=slopes,
        starts=starts,
        shorts=_shorts(ratios),
        clock_words=CLOCKS[machine.get("clock", "perf_counter")],
        load_words=_load(ratios),
        accelerator=accelerator_section(),
        **_precision(),
        **_encoding(),
        memory=memory_section(),
        systems=systems_section(),
        **machine,
    )


def _precision() -> dict[str, object]:
    """What training in lower precision does to the final metrics."""
    precision = pd.read_csv(RESULTS / "precision.csv")
    return {
        "within": int(precision.within_spread.sum()),
        "compared": len(precision),
        "seeds": int(precision.seeds.min()),
        "datasets": ", ".join(precision.dataset.unique()),
    }


def _encoding() -> dict[str, object]:
    """How many codes lower precision moves."""
    found = pd.read_csv(RESULTS / "cpu-encoding.csv")
    shares = [f"{share:.2%}" for share in (found.changed.min(), found.changed.max())]
    return {"changed": " to ".join(dict.fromkeys(shares)), "encoded": ", ".join(found.dataset)}


def _load(ratios: pd.DataFrame) -> str:
    """How busy the machine was, where that was noted."""
    return f"; the machine's load was {ratios.load.iloc[-1]:.1f}" if "load" in ratios else ""


def memory_section() -> str:
    """The table of peaks, or that it has not been measured."""
    if not (RESULTS / "memory.csv").exists():
        return "`make bench-memory` measures what a run of each data set needs; not done yet."
    rows = "\n".join(
        f"| {row.dataset} | {row.train} + {row.test} | {row.length} | {row.first_steps:.2f} | "
        f"{row.later_steps:.2f} | {row.evaluation:.2f} |"
        for row in pd.read_csv(RESULTS / "memory.csv").itertuples()
    )
    return (
        "The most a run needs, in gigabytes, each in a fresh process (`make bench-memory`; "
        "BT-VQVAE, batch 128, projector width 4096; random walks of the sizes of these sets): "
        f"after {STEPS} training steps, after {LATER_STEPS} more, and after evaluation has "
        "embedded both parts.\n\n"
        "| data set | train + test | length | first steps | later steps | evaluation |\n"
        f"|---|---|---|---|---|---|\n{rows}"
    )


def systems_section() -> str:
    """The table of systems, a row a recipe, or that it has not been measured."""
    if not (RESULTS / "systems.csv").exists():
        return "`make bench-systems` times a step of every recipe; not done yet."
    measured = pd.read_csv(RESULTS / "systems.csv")
    columns = [f"step, L {L} | memory | parameters" for L in measured.length.unique()]
    rows = "\n".join(
        f"| `{name}` | {' | '.join(map(_cost, lengths.itertuples()))} |"
        for name, lengths in measured.groupby("recipe", sort=False)
    )
    settings = ", ".join(f"{k} {v}" for k, v in read_study_file(STUDY)["settings"].items())
    return (
        "A training step of every recipe as a multiple of the naive model's (`vqvae`), with the "
        "lowest and the highest round, measured in turns on one thread; the most memory of a fresh "
        f"process after {STEPS} steps, in gigabytes; and all parameters that the optimiser trains, "
        "projector included, in millions (`make bench-systems`; the settings of "
        f"`results/systems.toml`: {settings}).\n\n| recipe | {' | '.join(columns)} |\n"
        f"|---|{'---|---|---|' * len(columns)}\n{rows}"
    )


def _cost(row: Any) -> str:
    """What a recipe costs at one length, as three cells."""
    return (
        f"**{row.ratio:.2f}** ({row.lowest:.2f} to {row.highest:.2f}) | "
        f"{row.peak_memory / GIGABYTE:.2f} | {row.parameters / MILLION:.2f}"
    )


def accelerator_section() -> str:
    """What recording and sharing were found to bring, or that it has not been measured."""
    if not (RESULTS / "cuda-launches.csv").exists():
        return "None of this has been measured yet; `make bench-gpu` does and writes it down here."
    steps = pd.read_csv(RESULTS / "cuda-launches.csv")
    runs = pd.read_csv(RESULTS / "cuda-sharing.csv")
    device = json.loads((RESULTS / "cuda-machine.json").read_text())["device"]
    recorded = "\n".join(
        f"| {row.recipe} step, L {row.length} | {row.precision} | {row.ratio:.1f} | "
        f"{row.lowest:.1f} to {row.highest:.1f} |"
        for row in steps.itertuples()
    )
    shared = "\n".join(
        f"| {row.recipe}, L {row.length} | {row.precision} | {row.runs} | "
        f"{row.steps_a_second:.0f} | {row.times_one:.1f} |"
        for row in runs.itertuples()
    )
    return (
        f"Measured on {device}:\n\n| what | precision | times ahead of single launches | "
        f"lowest to highest round |\n|---|---|---|---|\n{recorded}\n\n| runs that share the GPU | "
        f"precision | runs | steps a second | times one run |\n|---|---|---|---|---|\n{shared}"
    )


def _times(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.1f}"


def _slope(points: pd.DataFrame) -> float:
    """Growth between the two largest sizes: 1 is linear."""
    import numpy as np

    last = points.sort_values("size").tail(2)
    return float(np.diff(np.log(last.seconds))[0] / np.diff(np.log(last["size"]))[0])


def _shorts(ratios: pd.DataFrame) -> str:
    """The cases that miss their goal, said plainly."""
    missed = ratios[ratios.ratio < ratios.wanted]
    if missed.empty:
        return "Every case reaches its goal."
    cases = ", ".join(
        f"{row.case} in {row.precision} ({row.ratio:.1f} of {row.wanted:g})"
        for row in missed.itertuples()
    )
    return f"Short of their goal: {cases}."


def _clean(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)


def _save(figure: Figure, name: str) -> None:
    path = DOCS / "figures" / f"{name}.svg"
    write_whole(path, lambda temporary: figure.savefig(temporary, metadata={"Date": None}))


if __name__ == "__main__":
    main()
