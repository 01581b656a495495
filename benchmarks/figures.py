"""``python -m benchmarks.figures``: the speed page and its figures, from the stored CSV alone."""

import json
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks.memory import GIGABYTE, LATER_STEPS, STEPS
from benchmarks.systems import study_settings
from benchmarks.tables import RESULTS
from twincode.files import write_text

DOCS = Path("docs")
TEMPLATE = "speed_page.md.jinja"
CLOCKS = {
    "process_time": "each process's own, which leaves out what a shared machine gave to others",
    "perf_counter": "the wall's",
}
INK, BLUE, AMBER, GREY = "#1f2430", "#1f6fb2", "#d98200", "#9aa0ab"
LOG = alt.Scale(type="log", base=2, nice=False, padding=8)


def main() -> None:
    """Draw the figures of the CPU suite and write docs/speed.md."""
    _save(ratios_chart(_read("cpu-ratios")), "speed-ratios")
    _save(scaling_chart(_read("cpu-scaling")), "speed-scaling")
    write_text(DOCS / "speed.md", page())


def ratios_chart(ratios: pd.DataFrame) -> Any:
    """How many times ahead each case is, with the lowest and highest round and the goal."""
    rows = ratios.assign(case=ratios.case + " (" + ratios.precision + ")", plain=1)
    title = "times ahead of the plain way; the amber mark is the goal"
    base = alt.Chart(rows).encode(
        y=alt.Y("case:N", sort=None, title=None, axis=alt.Axis(labelLimit=400))
    )
    ratio = alt.X("ratio:Q", scale=LOG, title=title)
    return alt.layer(
        base.mark_bar(color=BLUE, size=12).encode(x=ratio, x2="plain:Q"),
        base.mark_rule(color=INK).encode(x="lowest:Q", x2="highest:Q"),
        base.mark_tick(color=AMBER, thickness=3).encode(x="wanted:Q"),
    ).properties(width=460)


def scaling_chart(scaling: pd.DataFrame) -> Any:
    """Cost against every size, on logarithmic axes, with a dotted line of linear growth."""
    first = scaling.groupby("along")[["size", "seconds"]].transform("first")
    rows = scaling.assign(linear=first.seconds * scaling["size"] / first["size"])
    base = alt.Chart().encode(x=alt.X("size:Q", scale=LOG, title=None))
    colour = alt.Color("curve:N", sort=None, scale=alt.Scale(range=[INK, BLUE, AMBER]), title=None)
    measured = base.mark_line(point=True).encode(
        y=alt.Y("seconds:Q", scale=LOG, title="seconds"), color=colour
    )
    linear = base.mark_line(color=GREY, strokeDash=[2, 3]).encode(y="linear:Q")
    chart = alt.layer(linear, measured, data=rows).properties(width=200, height=150)
    facets = chart.facet(alt.Facet("along:N", sort=None, title=None), columns=3)
    return facets.resolve_scale(x="independent", y="independent")


def page() -> str:
    """docs/speed.md: every number in it comes from the stored files."""
    ratios, scaling, precision = _read("cpu-ratios"), _read("cpu-scaling"), _read("precision")
    encoding, systems, stages = _read("cpu-encoding"), _read("systems"), _read("cpu-stages")
    on_gpu = (RESULTS / "cuda-launches.csv").exists()
    changed = [f"{share:.2%}" for share in (encoding.changed.min(), encoding.changed.max())]
    slopes = [
        (curve, along, slope(points))
        for (curve, along), points in scaling.groupby(["curve", "along"], sort=False)
    ]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(TEMPLATE).render(
        machine=_read_machine("cpu"),
        clocks=CLOCKS,
        load=ratios.load.iloc[0],
        ratios=list(ratios.itertuples()),
        missed=list(ratios[ratios.ratio < ratios.wanted].itertuples()),
        precision=precision,
        datasets=", ".join(precision.dataset.unique()),
        changed=" to ".join(dict.fromkeys(changed)),
        encoded=", ".join(encoding.dataset),
        gpu=_read_machine("cuda")["device"] if on_gpu else None,
        launches=list(_read("cuda-launches").itertuples()) if on_gpu else [],
        sharing=list(_read("cuda-sharing").itertuples()) if on_gpu else [],
        memory=list(_read("memory").itertuples()),
        steps=(STEPS, LATER_STEPS),
        systems=[
            (name, list(rows.itertuples())) for name, rows in systems.groupby("recipe", sort=False)
        ],
        settings=", ".join(f"{name} {value}" for name, value in study_settings().items()),
        gigabyte=GIGABYTE,
        stages=list(stages.itertuples()),
        minutes=stages.seconds.sum() / 60,
        slopes=slopes,
        startup=list(_read("cpu-startup").itertuples()),
    )


def slope(points: pd.DataFrame) -> float:
    """Growth between the two largest sizes: 1 is linear."""
    last = points.sort_values("size").tail(2)
    return float(np.diff(np.log(last.seconds))[0] / np.diff(np.log(last["size"]))[0])


def _read(name: str) -> pd.DataFrame:
    return pd.read_csv(RESULTS / f"{name}.csv")


def _read_machine(device: str) -> Any:
    return json.loads((RESULTS / f"{device}-machine.json").read_text())


def _save(chart: Any, name: str) -> None:
    plain = chart.configure_axis(grid=False, titleFontWeight="normal").configure_view(stroke=None)
    write_text(DOCS / "figures" / f"{name}.svg", vl_convert.vegalite_to_svg(plain.to_dict()))


if __name__ == "__main__":
    main()
