"""Figures of stored examples: reconstructions, augmentations, tokens, codebook use, latents."""

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from twincode.report.canvas import FAINT, INK, PALE, Layout, Spacing, dot_key, line_key, sheet
from twincode.report.models import GLYPHS, Model

CHANNELS_SHOWN = 3
CLASSES_IN_LEGEND = 12
EXAMPLES = ("best", "median", "worst")
_CHANNEL_GAP = 1.15
_GOLDEN_ANGLE = 0.381966
_LARGEST_NUMBERED_GRID = 64
_PLANE_HEIGHT = 2.1
_PLANE_HEIGHT_NARROW = 1.5
_UNLABELLED = -1
_CLASS_COLOURS = (
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377",
    "#777777", "#994f00", "#40b0a6", "#5d3a9b", "#e1be6a", "#1a1a1a",
)  # fmt: skip


Arrays = Mapping[str, NDArray]


@dataclass(frozen=True)
class Exhibit:
    """The stored examples of one model: arrays by name, as the run of the lowest seed left them."""

    model: Model
    seed: int
    classes: tuple[str, ...]
    arrays: Arrays

    def has(self, *names: str) -> bool:
        """Whether every one of ``names`` was stored."""
        return all(name in self.arrays for name in names)


def reconstruction_figure(exhibits: Sequence[Exhibit], layout: Layout) -> Figure:
    """A row per model: its best, median and worst test series and their reconstructions."""
    cases = [(exhibit, index) for exhibit in exhibits for index in range(len(EXAMPLES))]
    legend = [line_key("original", PALE, lw=2.4), line_key("reconstruction", INK, lw=1.1)]
    figure, axes = sheet(
        len(cases), layout.columns(3, 1), layout, 0.85, legend, Spacing(left=0.36, below=0.24)
    )
    for axis, (exhibit, index) in zip(axes, cases, strict=True):
        arrays, model = exhibit.arrays, exhibit.model
        _draw_pair(
            axis,
            arrays["example_series"][index],
            arrays["example_reconstructions"][index],
            (PALE, model.colour),
        )
        error = float(arrays["example_errors"][index])
        axis.set_title(f"{model.label}, {EXAMPLES[index]} ({error:.3g})")
    return figure


def augmentation_figure(exhibit: Exhibit, layout: Layout) -> Figure:
    """Each augmentation of one series over the original."""
    names = [str(name) for name in exhibit.arrays["augmentation_names"]]
    original, *augmented = exhibit.arrays["augmentation_series"]
    legend = [line_key("original", PALE, lw=2.4), line_key("augmented", exhibit.model.colour)]
    figure, axes = sheet(
        len(names), layout.columns(3, 2), layout, 0.95, legend, Spacing(left=0.36, below=0.24)
    )
    for axis, name, series in zip(axes, names, augmented, strict=True):
        _draw_pair(axis, original, series, (PALE, exhibit.model.colour))
        axis.set_title(name.replace("_", " "))
    return figure


def token_figure(exhibits: Sequence[Exhibit], layout: Layout) -> Figure:
    """A row per model: a few series, each above its grid of codes."""
    shown = layout.columns(3, 2)
    cases = [(exhibit, index) for exhibit in exhibits for index in _chosen_series(exhibit, shown)]
    columns = min(layout.columns(3, 1), len(cases))
    series_height, grid_height, gap = 0.5, 0.85, 0.04
    figure, axes = sheet(
        len(cases),
        columns,
        layout,
        series_height + gap + grid_height,
        spacing=Spacing(left=0.08, right=0.14, below=0.10),
    )
    share = series_height / (series_height + gap + grid_height)
    largest = max(int(exhibit.arrays["token_codes"].max()) for exhibit in exhibits)
    palette = ListedColormap(code_colours(largest + 1))
    for axis, (exhibit, index) in zip(axes, cases, strict=True):
        left, bottom, width, height = axis.get_position().bounds
        top = figure.add_axes((left, bottom + height * (1 - share), width, height * share))
        axis.set_position((left, bottom, width, height * (1 - share) * 0.97))
        _draw_channels(top, exhibit.arrays["token_series"][index], INK, width=1.0)
        top.set_axis_off()
        top.set_title(f"{exhibit.model.label}{_class_of(exhibit, index)}")
        _draw_codes(axis, exhibit.arrays["token_codes"][index], palette)
    return figure


def codebook_figure(exhibits: Sequence[Exhibit], layout: Layout) -> Figure:
    """A panel per model: the share of each code, most used first, beside an even share."""
    legend = [line_key("even use", FAINT, linestyle="--", lw=1.0)]
    figure, axes = sheet(
        len(exhibits), layout.columns(3, 1), layout, 1.05, legend, Spacing(above=0.46, below=0.38)
    )
    shares = [_shares(exhibit.arrays["code_counts"]) for exhibit in exhibits]
    highest = max(float(share.max()) for share in shares)
    for axis, exhibit, share in zip(axes, exhibits, shares, strict=True):
        model = exhibit.model
        axis.bar(np.arange(1, len(share) + 1), share, color=model.colour, width=0.8)
        axis.axhline(1 / len(share), color=FAINT, linestyle="--", lw=1.0)
        axis.set_ylim(0, highest * 1.05 or 1.0)
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axis.yaxis.set_major_locator(MaxNLocator(4))
        axis.set_title(_codebook_title(model, share))
    for axis in axes[-layout.columns(3, 1) :]:
        axis.set_xlabel("codes, most used first", labelpad=1)
    return figure


def latents_figure(exhibits: Sequence[Exhibit], layout: Layout) -> Figure:
    """A panel per model: its latents on their first two principal axes, coloured by class."""
    classes = exhibits[0].classes
    present = sorted({int(k) for e in exhibits for k in np.unique(e.arrays["latents_labels"])})
    legend = [
        dot_key(_class_name(classes, k), *_class_look(k)) for k in present[:CLASSES_IN_LEGEND]
    ]
    if len(present) > CLASSES_IN_LEGEND:
        legend.append(dot_key(f"and {len(present) - CLASSES_IN_LEGEND} more", "none", "o"))
    figure, axes = sheet(
        len(exhibits),
        layout.columns(3, 2),
        layout,
        _PLANE_HEIGHT if layout.columns(3, 2) == 3 else _PLANE_HEIGHT_NARROW,
        legend if present != [_UNLABELLED] else [],
        Spacing(left=0.30, right=0.15, below=0.36),
    )
    for axis, exhibit in zip(axes, exhibits, strict=True):
        points, labels = exhibit.arrays["latents_2d"], exhibit.arrays["latents_labels"]
        for k in present:
            _draw_class(axis, points[labels == k], k, len(points))
        axis.set(xticks=[], yticks=[])
        axis.set_title(exhibit.model.label)
        _name_axes(axis, exhibit.arrays.get("latents_explained"))
    return figure


def code_colours(count: int) -> list[tuple[float, float, float]]:
    """``count`` colours, neighbours far apart: hue by golden angle, lightness in three steps."""
    return [
        colorsys.hls_to_rgb(index * _GOLDEN_ANGLE % 1, (0.42, 0.62, 0.80)[index % 3], 0.5)
        for index in range(count)
    ]


def _draw_channels(axis: Axes, series: NDArray, colour: str, width: float) -> None:
    """Series (C, L): channels one above the other, each on its own level, three at most."""
    for level, offset in zip(series[:CHANNELS_SHOWN], _offsets(series), strict=True):
        axis.plot(level + offset, color=colour, lw=width)


def _offsets(series: NDArray) -> NDArray:
    """How far each shown channel is moved down so that none overlaps another."""
    shown = series[:CHANNELS_SHOWN]
    step = float(np.ptp(shown)) * _CHANNEL_GAP
    return -step * np.arange(len(shown))


def _draw_pair(axis: Axes, first: NDArray, second: NDArray, colours: tuple[str, str]) -> None:
    """Two series (C, L) over each other, on the first one's levels."""
    offsets = _offsets(first)
    for series, colour, width in ((first, colours[0], 2.4), (second, colours[1], 1.1)):
        for level, offset in zip(series[:CHANNELS_SHOWN], offsets, strict=True):
            axis.plot(level + offset, color=colour, lw=width)
    axis.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
    axis.yaxis.set_major_locator(MaxNLocator(3))
    axis.margins(x=0.01)
    if len(first) > 1:
        axis.set_yticks([])


def _chosen_series(exhibit: Exhibit, most: int) -> list[int]:
    """A few series, of different classes as far as there are any, in stored order."""
    count = len(exhibit.arrays["token_codes"])
    labels = exhibit.arrays.get("token_labels", np.full(count, _UNLABELLED))
    firsts = sorted(np.unique(labels, return_index=True)[1].tolist())
    others = [index for index in range(count) if index not in firsts]
    return sorted((firsts + others)[:most])


def _class_name(classes: Sequence[str], index: int) -> str:
    return classes[index] if 0 <= index < len(classes) else "unlabelled"


def _class_of(exhibit: Exhibit, index: int) -> str:
    labels = exhibit.arrays.get("token_labels")
    if labels is None or labels[index] == _UNLABELLED:
        return ""
    return f", class {_class_name(exhibit.classes, int(labels[index]))}"


def _class_look(index: int) -> tuple[str, str]:
    """Colour and marker of a class; markers change when the colours have run out."""
    if index == _UNLABELLED:
        return FAINT, "o"
    colours, markers = len(_CLASS_COLOURS), tuple(GLYPHS)
    return _CLASS_COLOURS[index % colours], markers[index // colours % len(markers)]


def _draw_codes(axis: Axes, codes: NDArray, palette: ListedColormap) -> None:
    """Codes (H, W) as coloured cells, lowest frequency at the bottom, numbered where few."""
    axis.imshow(
        codes,
        cmap=palette,
        vmin=-0.5,
        vmax=palette.N - 0.5,
        aspect="auto",
        origin="lower",
        interpolation="nearest",
    )
    axis.set_axis_off()
    if codes.size > _LARGEST_NUMBERED_GRID:
        return
    for (row, column), code in np.ndenumerate(codes):
        dark = int(code) % 3 == 0
        colour = "white" if dark else INK
        axis.text(column, row, str(code), size=5.5, color=colour, ha="center", va="center_baseline")


def _shares(counts: NDArray) -> NDArray:
    return np.sort(counts)[::-1] / max(1, int(counts.sum()))


def _codebook_title(model: Model, share: NDArray) -> str:
    used = share[share > 0]
    perplexity = float(np.exp(-(used * np.log(used)).sum()))
    return f"{model.label}\nperplexity {perplexity:.1f}, {len(used)} of {len(share)} used"


def _draw_class(axis: Axes, points: NDArray, index: int, total: int) -> None:
    colour, marker = _class_look(index)
    size, opacity = (9.0, 0.75) if total <= 800 else (4.0, 0.5)
    axis.scatter(
        points[:, 0],
        points[:, 1],
        s=size,
        color=colour,
        marker=marker,
        alpha=opacity,
        linewidths=0,
        rasterized=True,
    )


def _name_axes(axis: Axes, explained: NDArray | None) -> None:
    shares = ["", ""] if explained is None else [f" ({share:.0%})" for share in explained]
    axis.set_xlabel(f"axis 1{shares[0]}", labelpad=2)
    axis.set_ylabel(f"axis 2{shares[1]}", labelpad=2)
