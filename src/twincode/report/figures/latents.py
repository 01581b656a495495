"""The latents of test series in the plane of their first two principal axes."""

from __future__ import annotations

from functools import cache
from typing import Any

import altair as alt
import numpy as np

from twincode.report.blocks import Figure
from twincode.report.figures import theme
from twincode.report.figures.exhibits import exhibits_of, seeds_text
from twincode.report.runs import Results

_POINTS_SHOWN = 300
_CLASS_COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#882255"),
    *("#999933", "#332288", "#a6761d", "#44aa99", "#aa4499", "#666666"),
)
_CLASSES_IN_LEGEND = 13


def latent_plane(results: Results, dataset: str) -> Figure | None:
    """A panel a model: a point a series, coloured by its class."""
    kept = exhibits_of(results, dataset, "latents_2d", "latents_labels")
    if not kept:
        return None
    parts = []
    for exhibit in kept:
        points, labels = exhibit.arrays["latents_2d"], exhibit.arrays["latents_labels"]
        count = min(len(points), _POINTS_SHOWN)
        chosen = np.linspace(0, len(points) - 1, count).round().astype(int)
        shares = exhibit.arrays.get("latents_explained", np.full(2, np.nan))
        told = f" ({float(shares.sum()):.0%})" if np.isfinite(shares).all() else ""
        parts.append(
            {
                "panel": exhibit.model.label + told,
                "x": points[chosen, 0],
                "y": points[chosen, 1],
                "class": [exhibit.class_of(int(label)) for label in labels[chosen]],
            }
        )
    frame = theme.stacked(parts)
    present = set(frame["class"])
    classes = [name for name in (*kept[0].classes, "unlabelled") if name in present]
    return Figure(
        f"{dataset}-latents", "Latents in the plane",
        "The latents of test series on their first two principal axes; in brackets the share of "
        f"variance. Classes took no part in training. {seeds_text(kept)}",
        _chart(tuple(dict.fromkeys(frame.panel)), tuple(classes)), frame,
    )  # fmt: skip


@cache
def _chart(names: tuple[str, ...], classes: tuple[str, ...]) -> dict[str, Any]:
    colours = [_CLASS_COLOURS[place % len(_CLASS_COLOURS)] for place in range(len(classes))]
    legend = alt.Legend() if 1 < len(classes) <= _CLASSES_IN_LEGEND else None
    bare = {"axis": None, "scale": alt.Scale(zero=False)}
    points = (
        alt.Chart()
        .mark_point(filled=True, size=14, opacity=0.65)
        .encode(
            x=alt.X("x:Q", **bare),
            y=alt.Y("y:Q", **bare),
            color=alt.Color(
                "class:N", legend=legend, scale=alt.Scale(domain=list(classes), range=colours)
            ),
            tooltip=["class:N"],
        )
    )
    return theme.panels(names, 190, points, x="independent", y="independent")
