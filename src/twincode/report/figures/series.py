"""Series beside what becomes of them: reconstructions and augmented views."""

from __future__ import annotations

from functools import cache

import altair as alt

from twincode.report.blocks import Control, Figure
from twincode.report.figures import theme
from twincode.report.figures.exhibits import curve, exhibits_of, seeds_text
from twincode.report.runs import Results

_EXAMPLES = ("best", "median", "worst")
_ORIGINAL = "#b4bac6"


def reconstructions(results: Results, dataset: str) -> Figure | None:
    """A panel a model: the test series it reconstructs best, in the middle or worst."""
    kept = exhibits_of(results, dataset, "example_series", "example_reconstructions")
    if not kept:
        return None
    parts = [
        {**curve(series), "panel": exhibit.model.label, "example": example, "of": of}
        for exhibit in kept
        for place, example in enumerate(_EXAMPLES)
        for of, series in (
            ("original", exhibit.arrays["example_series"][place]),
            ("reconstruction", exhibit.arrays["example_reconstructions"][place]),
        )
    ]
    names = tuple(exhibit.model.label for exhibit in kept)
    return Figure(
        f"{dataset}-reconstructions", "Original and reconstruction",
        "The test series each model reconstructs best, at the median and worst by mean squared "
        f"error. {seeds_text(kept)}",
        _curves(names, "reconstruction", "datum.example == '{example}'"), theme.stacked(parts),
        (Control("example", "Series", {f"{e} of the test part": e for e in sorted(_EXAMPLES, key="median".__ne__)}),),
    )  # fmt: skip


def augmentations(results: Results, dataset: str) -> Figure | None:
    """A panel an augmentation: one series before and after it."""
    kept = exhibits_of(results, dataset, "augmentation_series", "augmentation_names")
    kept = [exhibit for exhibit in kept if len(exhibit.arrays["augmentation_names"])]
    if not kept:
        return None
    source = next((exhibit for exhibit in kept if exhibit.model.twin), kept[-1])
    original, *views = source.arrays["augmentation_series"]
    names = [str(name).replace("_", " ") for name in source.arrays["augmentation_names"]]
    frame = theme.stacked(
        {**curve(series), "panel": name, "of": of}
        for name, view in zip(names, views, strict=True)
        for of, series in (("original", original), ("augmented", view))
    )
    return Figure(
        f"{dataset}-augmentations", "What each augmentation does",
        f"One series before and after each augmentation alone, as {source.model.label} sees it: "
        f"of 16 draws the one that changes it most. {seeds_text([source])}",
        _curves(tuple(names), "augmented"), frame,
    )  # fmt: skip


@cache
def _curves(names: tuple[str, ...], second: str, filtered: str = "true") -> dict[str, object]:
    lines = (
        alt.Chart()
        .mark_line(strokeWidth=1.6)
        .transform_filter(filtered)
        .encode(
            x=alt.X("step:Q", title=None),
            y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(grid=False)),
            detail="channel:N",
            color=alt.Color("of:N", scale=alt.Scale(
                domain=["original", second], range=[_ORIGINAL, "#0072b2"])),
            tooltip=["of:N", "step:Q", "value:Q"],
        )
    )  # fmt: skip
    return theme.panels(names, 110, lines, y="independent")
