"""The latents of test series in the plane of their first two principal axes."""

from functools import cache
from typing import Any

import altair as alt
import numpy as np

from twincode.report.blocks import Figure
from twincode.report.exhibits import exhibits_of, seeds_text
from twincode.report.figures import theme
from twincode.report.models import HUES
from twincode.report.runs import Results

_POINTS_SHOWN = 300
_CLASSES_IN_LEGEND = 13


def latent_plane(results: Results, dataset: str) -> Figure | None:
    """A panel a model: a point a series, coloured by its class."""
    kept = exhibits_of(results, dataset, "latents_2d", "latents_labels", "latents_explained")
    if not kept:
        return None
    parts = []
    for each in kept:
        points, labels = each.arrays["latents_2d"], each.arrays["latents_labels"]
        count = min(len(points), _POINTS_SHOWN)
        chosen = np.linspace(0, len(points) - 1, count).round().astype(int)
        classes = [each.class_of(label) for label in labels[chosen].tolist()]
        title = f"{each.model.label} ({float(each.arrays['latents_explained'].sum()):.0%})"
        parts.append(
            {"panel": title, "x": points[chosen, 0], "y": points[chosen, 1], "class": classes}
        )
    frame = theme.stacked(parts)
    present = set(frame["class"])
    shown = tuple(name for name in (*kept[0].classes, "unlabelled") if name in present)
    return Figure(
        f"{dataset}-latents", "Latents in the plane",
        "The latents of test series on their first two principal axes; in brackets the share of "
        f"variance. Classes took no part in training. {seeds_text(kept)}",
        _chart(tuple(part["panel"] for part in parts), shown), frame,
    )  # fmt: skip


@cache
def _chart(names: tuple[str, ...], classes: tuple[str, ...]) -> dict[str, Any]:
    colours = [HUES[place % len(HUES)] for place in range(len(classes))]
    bare: dict[str, Any] = {"axis": None, "scale": theme.FREE}
    colour = alt.Color(
        "class:N",
        legend=alt.Legend() if 1 < len(classes) <= _CLASSES_IN_LEGEND else None,
        scale=alt.Scale(domain=list(classes), range=colours),
    )
    points = (
        alt.Chart()
        .mark_point(filled=True, size=14, opacity=0.65)
        .encode(x=alt.X("x:Q", **bare), y=alt.Y("y:Q", **bare), color=colour, tooltip=["class:N"])
    )
    return theme.panels(names, 190, points, x="independent", y="independent")
