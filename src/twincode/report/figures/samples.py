"""Series drawn from priors: beside real ones, while a grid is decoded, and beside train's."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np

from twincode.report.blocks import Control, Figure
from twincode.report.exhibits import Exhibit, curve, exhibits_of, seeds_text
from twincode.report.figures import theme
from twincode.report.figures.grids import above, code_colour, grid_layers
from twincode.report.runs import Results

_POINTS = 80  # of a curve; there are many
_SAMPLE, _TRAIN = "series drawn", "nearest of train"


def gallery(results: Results, dataset: str) -> Figure | None:
    """A panel each for test, its reconstruction and every prior, by class."""
    kept = exhibits_of(results, dataset, "gallery_series")
    if not kept:
        return None
    parts: list[dict[str, Any]] = []
    names, classes = dict[str, None](), dict[str, None]()
    for each in kept:
        rows = zip(
            *(each.arrays[f"gallery_{a}"] for a in ("rows", "labels", "series")), strict=True
        )
        for place, (row, label, series) in enumerate(rows):
            panel, of_class = str(row), each.class_of(int(label))
            names[panel], classes[of_class] = None, None
            told = {"panel": panel, "class": of_class, "place": place, "model": each.model.label}
            parts.append({**curve(series, _POINTS), **told})
    lines = _lines(theme.BLUE).encode(detail=["channel:N", "place:N"])
    return Figure(
        f"{dataset}-gallery", "Real and drawn series, by class",
        "The first few series of test, the same kind of series through the codes, and series drawn "
        f"from each prior, scaled, of at most six classes. {seeds_text(kept)}",
        _chosen(theme.panels(tuple(names), 110, lines), "class"), theme.stacked(parts),
        (_models(kept), Control("class", "Class", {name: name for name in sorted(classes)})),
    )  # fmt: skip


def decoding(results: Results, dataset: str) -> Figure | None:
    """A panel a step: the series that a grid stands for, above the grid as it fills."""
    kept = exhibits_of(results, dataset, "decoding_series", "decoding_codes")
    if not kept:
        return None
    frame = theme.stacked(part for each in kept for part in _steps(each))
    steps = dict.fromkeys(frame.sort_values("at", kind="stable")["panel"])
    return Figure(
        f"{dataset}-decoding", "A grid being decoded",
        "One sample after some of the steps in which it is drawn: grey tokens are not kept yet, "
        "and the series above is what their present draw stands for. Grids of several codebooks "
        "stand side by side; those that have not begun stand for the codes most usual in train. "
        f"{seeds_text(kept)}",
        _chosen(_strip(tuple(steps), int(frame["code"].max()) + 1)), frame, (_models(kept),),
    )  # fmt: skip


def nearest(results: Results, dataset: str) -> Figure | None:
    """A panel a series drawn, beside the train series that is nearest to it."""
    kept = exhibits_of(results, dataset, "nearest_samples", "nearest_train")
    if not kept:
        return None
    parts, names = [], dict[str, None]()
    for each in kept:
        count: dict[str, int] = {}
        arrays = (each.arrays[f"nearest_{a}"] for a in ("rows", "samples", "train"))
        for row, *pair in zip(*arrays, strict=True):
            count[row] = count.get(row, 0) + 1
            panel = f"{row} {count[row]}"
            names[panel] = None
            for of, series in zip((_SAMPLE, _TRAIN), pair, strict=True):
                told = {"panel": panel, "of": of, "model": each.model.label}
                parts.append({**curve(series, _POINTS), **told})
    colours = theme.named(alt.Color, "of", {_TRAIN: theme.PALE, _SAMPLE: theme.BLUE})
    lines = _lines().encode(detail="channel:N", color=colours)
    return Figure(
        f"{dataset}-nearest", "Drawn series beside the nearest of train",
        "The first series drawn from each prior, and the train series nearest to each, through the "
        f"codes, scaled. A prior that copies train shows here. {seeds_text(kept)}",
        _chosen(theme.panels(tuple(names), 110, lines)), theme.stacked(parts), (_models(kept),),
    )  # fmt: skip


def fid_against_spread(results: Results) -> Figure | None:
    """Every row of the tables as a point: nearness to test upwards, variety across."""
    scores: dict[tuple[str, str, str], dict[str, float]] = {}
    for (dataset, label, row, metric), value in results.generation.items():
        if metric in ("fid", "spread"):
            scores.setdefault((dataset, label, row), {})[metric] = value.mean
    rows = [
        {"dataset": dataset, "model": label, "row": row, **found}
        for (dataset, label, row), found in scores.items()
        if {"fid", "spread"} <= found.keys() and found["fid"] > 0 and "no labels" not in row
    ]
    if not rows:
        return None
    shown = [m for m in results.models if m.label in {row["model"] for row in rows}]
    kinds = dict.fromkeys(str(row["row"]) for row in rows)
    points = (
        alt.Chart(theme.TABLE)
        .transform_filter(theme.chosen("dataset"))
        .mark_point(size=90, filled=True, opacity=0.85)
        .encode(
            x=alt.X("spread:Q", title="Spread within classes, 1 as test", scale=theme.FREE),
            y=alt.Y("fid:Q", title="FID ↓", scale=alt.Scale(type="log", nice=False, padding=14)),
            color=theme.models(alt.Color, shown),
            shape=theme.named(alt.Shape, "row", _shapes(list(kinds))),
            tooltip=["model:N", "row:N", "fid:Q", "spread:Q"],
        )
    )
    present = dict.fromkeys(row["dataset"] for row in rows)
    chosen = [name for name in results.datasets if name in present]
    return Figure(
        "fid-spread", "FID against spread",
        "Rows of the table above but for those without labels, means over seeds. What lies low on "
        "the left has a good FID at the cost of variety.",
        theme.wide(360, points), theme.stacked(rows),
        (Control("dataset", "Data set", {name: name for name in chosen}),),
    )  # fmt: skip


# Of a unit's radius, as Vega wants what it has no name for.
_STAR = "M0,-1L.23,-.31L.95,-.31L.36,.12L.59,.81L0,.38L-.59,.81L-.36,.12L-.95,-.31L-.23,-.31Z"
_PENTAGON = "M0,-1L.95,-.31L.59,.81L-.59,.81L-.95,-.31Z"


def _shapes(names: Sequence[str]) -> dict[str, str]:
    shapes = (
        *("cross", "square", "triangle-down", "triangle-left", "circle", "diamond", "triangle-up"),
        *("triangle-right", _STAR, _PENTAGON),
    )
    return {name: shapes[place % len(shapes)] for place, name in enumerate(names)}


def _models(kept: Sequence[Exhibit]) -> Control:
    return Control("model", "Tokenizer", {each.model.label: each.model.label for each in kept})


def _chosen(chart: dict[str, Any], *more: str) -> dict[str, Any]:
    """Only what readers chose, before panels are made of it."""
    tests = [theme.chosen(name).to_dict() for name in ("model", *more)]
    return {**chart, "transform": [{"filter": {"and": tests}}]}


def _lines(colour: str = theme.INK) -> alt.Chart:
    return (
        alt.Chart()
        .mark_line(strokeWidth=1.4, color=colour, opacity=0.8)
        .encode(
            x=alt.X("step:Q", title=None),
            y=alt.Y("value:Q", title=None, scale=theme.FREE, axis=alt.Axis(grid=False)),
        )
    )


def _steps(exhibit: Exhibit) -> Iterator[Mapping[str, Any]]:
    """For each step the cells of its grids, and the series above each of them."""
    arrays = exhibit.arrays
    ends = np.cumsum(arrays["decoding_widths"])
    for at, codes, hidden, series in zip(
        *(arrays[f"decoding_{a}"] for a in ("steps", "codes", "hidden", "series")), strict=True
    ):
        own = {"panel": f"step {at}", "at": int(at), "model": exhibit.model.label}
        rows, columns = np.indices(codes.shape)
        gap = np.searchsorted(ends, np.arange(codes.shape[1]), side="right") * 0.04 * len(columns.T)
        yield {
            **own, "left": (columns + gap).ravel(), "low": rows.ravel(), "code": codes.ravel(),
            "hidden": hidden.ravel().astype(int),
        }  # fmt: skip
        yield {**own, **above(series, _POINTS, len(codes), 0, codes.shape[1] + gap[-1])}


def _strip(names: Sequence[str], count: int) -> dict[str, Any]:
    colour = alt.condition("datum.hidden", alt.value("#e3e5ea"), code_colour(count))
    layers = grid_layers(alt.Chart(), colour, stroke="#ffffff")
    return theme.panels(names, 150, *layers, x="independent", y="independent")
