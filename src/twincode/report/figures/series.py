"""Series beside what becomes of them: reconstructions and augmented views."""

from functools import cache
from typing import Any

import altair as alt

from twincode.report.blocks import Control, Figure
from twincode.report.exhibits import curve, exhibits_of, seeds_text
from twincode.report.figures import theme
from twincode.report.runs import Results

_EXAMPLES = {"median": 1, "best": 0, "worst": 2}  # where a run stores them


def reconstructions(results: Results, dataset: str) -> Figure | None:
    """A panel a model: the test series it reconstructs best, in the middle or worst."""
    kept = exhibits_of(results, dataset, "example_series", "example_reconstructions")
    if not kept:
        return None
    frame = theme.stacked(
        {**curve(each.arrays[name][place]), "panel": each.model.label, "example": word, "of": of}
        for each in kept
        for word, place in _EXAMPLES.items()
        for of, name in (("original", "example_series"), ("result", "example_reconstructions"))
    )
    names = tuple(each.model.label for each in kept)
    return Figure(
        f"{dataset}-reconstructions", "Original and reconstruction",
        "The test series each model reconstructs best, at the median and worst by mean squared "
        f"error. {seeds_text(kept)}",
        _curves(names, chosen=True), frame,
        (Control("example", "Series", {f"{word} of the test part": word for word in _EXAMPLES}),),
    )  # fmt: skip


def augmentations(results: Results, dataset: str) -> Figure | None:
    """A panel an augmentation: one series before and after it."""
    kept = exhibits_of(results, dataset, "augmentation_series", "augmentation_names")
    kept = [each for each in kept if len(each.arrays["augmentation_names"])]
    if not kept:
        return None
    source = next((each for each in kept if each.model.twin), kept[-1])
    original, *views = source.arrays["augmentation_series"]
    names = [str(name).replace("_", " ") for name in source.arrays["augmentation_names"]]
    frame = theme.stacked(
        {**curve(series), "panel": name, "of": of}
        for name, view in zip(names, views, strict=True)
        for of, series in (("original", original), ("result", view))
    )
    return Figure(
        f"{dataset}-augmentations", "What each augmentation does",
        f"One series before and after each augmentation alone, as {source.model.label} sees it: "
        f"of 16 draws the one that changes it most. {seeds_text([source])}",
        _curves(tuple(names), chosen=False), frame,
    )  # fmt: skip


@cache
def _curves(names: tuple[str, ...], chosen: bool) -> dict[str, Any]:
    colours = alt.Scale(domain=["original", "result"], range=[theme.PALE, theme.BLUE])
    lines = (
        alt.Chart()
        .mark_line(strokeWidth=1.6)
        .transform_filter(theme.chosen("example") if chosen else "true")
        .encode(
            x=alt.X("step:Q", title=None),
            y=alt.Y("value:Q", title=None, scale=theme.FREE, axis=alt.Axis(grid=False)),
            detail="channel:N",
            color=alt.Color("of:N", scale=colours),
            tooltip=["of:N", "step:Q", "value:Q"],
        )
    )
    return theme.panels(names, 110, lines, y="independent")
