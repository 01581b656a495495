"""Figures of stored examples: reconstructions, augmentations, tokens, codebook use, latents."""

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twincode.report.canvas import Key, Layout, Plot, sheet
from twincode.report.marks import FAINT, INK, PALE, Bars, Cells, Cloud, Level, Line, Mark
from twincode.report.models import Model

CHANNELS_SHOWN = 3
CLASSES_IN_LEGEND = 12
POINTS_SHOWN = 500
EXAMPLES = ("best", "median", "worst")
_CHANNEL_GAP = 1.15
_GOLDEN_ANGLE = 0.381966
_PLANE_HEIGHT = 210.0
_PLANE_HEIGHT_NARROW = 140.0
_UNLABELLED = -1
_REGION_GAP = 0.03  # of a grid's width, between grids side by side
_SERIES_STEPS = 400  # a panel is narrower than this many pixels
_CLASS_COLOURS = (
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377",
    "#777777", "#994f00", "#40b0a6", "#5d3a9b", "#e1be6a", "#1a1a1a",
)  # fmt: skip

Arrays = Mapping[str, NDArray]


@dataclass(frozen=True)
class Exhibit:
    """The stored examples of one model: arrays by name, as the run of the lowest seed left them.

    ``codebooks`` are the names of its codebooks in the order of their codes, one of them empty.
    """

    model: Model
    seed: int
    classes: tuple[str, ...]
    arrays: Arrays
    codebooks: tuple[str, ...] = ("",)

    def has(self, *names: str) -> bool:
        """Whether every one of ``names`` was stored."""
        return all(name in self.arrays for name in names)


def reconstruction_figure(exhibits: Sequence[Exhibit], layout: Layout) -> str:
    """A row per model: its best, median and worst test series and their reconstructions."""
    plots = [
        _pair(
            f"{exhibit.model.label}, {EXAMPLES[index]} "
            f"({float(exhibit.arrays['example_errors'][index]):.3g})",
            exhibit.arrays["example_series"][index],
            exhibit.arrays["example_reconstructions"][index],
            exhibit.model.colour,
        )
        for exhibit in exhibits
        for index in range(len(EXAMPLES))
    ]
    legend = [
        Key("original", PALE, line=True, width=3),
        Key("reconstruction", INK, line=True, width=1.4),
    ]
    return sheet(plots, layout.columns(3, 1), layout, 90.0, legend)


def augmentation_figure(exhibit: Exhibit, layout: Layout) -> str:
    """Each augmentation of one series over the original."""
    original, *augmented = exhibit.arrays["augmentation_series"]
    names = [str(name).replace("_", " ") for name in exhibit.arrays["augmentation_names"]]
    colour = exhibit.model.colour
    plots = [
        _pair(name, original, series, colour) for name, series in zip(names, augmented, strict=True)
    ]
    legend = [Key("original", PALE, line=True, width=3), Key("augmented", colour, line=True)]
    return sheet(plots, layout.columns(3, 2), layout, 95.0, legend)


def token_figure(exhibits: Sequence[Exhibit], layout: Layout) -> str:
    """A row per model: a few series, each above its grid of codes."""
    shown = layout.columns(3, 2)
    largest = max(int(exhibit.arrays["token_codes"].max()) for exhibit in exhibits)
    colours = code_colours(largest + 1)
    plots = [
        Plot(
            _token_title(exhibit, index),
            _tokens(
                exhibit.arrays["token_series"][index],
                _regions(exhibit, exhibit.arrays["token_codes"][index]),
                colours,
            ),
            bare=True,
        )
        for exhibit in exhibits
        for index in _chosen_series(exhibit, shown)
    ]
    return sheet(plots, shown, layout, 130.0)


def codebook_figure(exhibits: Sequence[Exhibit], layout: Layout) -> str:
    """A panel per codebook: the share of each code, most used first, beside an even share."""
    shares = [
        (exhibit.model, name, _shares(counts))
        for exhibit in exhibits
        for name, counts in zip(exhibit.codebooks, _by_codebook(exhibit), strict=True)
    ]
    highest = max(float(share.max()) for *_, share in shares) * 1.05 or 1.0
    plots = [
        Plot(
            _codebook_title(model, name, share),
            [
                Bars(share.tolist(), model.colour),
                Level(1 / len(share), FAINT, dashes="4 3", width=1.0),
            ],
            x_label="codes, most used first",
            y_limits=(0.0, highest),
            x_limits=(0.0, len(share) + 1.0),
            percent=True,
        )
        for model, name, share in shares
    ]
    legend = [Key("even use", FAINT, line=True, dashes="4 3", width=1.0)]
    return sheet(plots, layout.columns(3, 2), layout, 105.0, legend)


def latents_figure(exhibits: Sequence[Exhibit], layout: Layout) -> str:
    """A panel per model: its latents on their first two principal axes, coloured by class."""
    classes = exhibits[0].classes
    present = sorted({int(k) for e in exhibits for k in np.unique(e.arrays["latents_labels"])})
    legend = [
        Key(_class_name(classes, k), _class_colour(k), "s" if _square(k) else "o")
        for k in present[:CLASSES_IN_LEGEND]
    ]
    if len(present) > CLASSES_IN_LEGEND:
        legend.append(Key(f"and {len(present) - CLASSES_IN_LEGEND} more", FAINT))
    plots = [
        Plot(
            exhibit.model.label,
            _clouds(exhibit, present),
            *_axis_names(exhibit.arrays.get("latents_explained")),
            x_ticks=(),
            y_ticks=(),
        )
        for exhibit in exhibits
    ]
    height = layout.columns(1, 0) * _PLANE_HEIGHT or _PLANE_HEIGHT_NARROW
    shown = legend if present != [_UNLABELLED] else []
    return sheet(plots, layout.columns(3, 2), layout, height, shown)


def code_colours(count: int) -> list[str]:
    """``count`` colours, neighbours far apart: hue by golden angle, lightness in three steps."""
    found = []
    for index in range(count):
        parts = colorsys.hls_to_rgb(index * _GOLDEN_ANGLE % 1, (0.42, 0.62, 0.80)[index % 3], 0.5)
        found.append("#" + "".join(f"{round(255 * part):02x}" for part in parts))
    return found


def _pair(title: str, first: NDArray, second: NDArray, colour: str) -> Plot:
    """Two series (C, L) over each other, channels one above the other, three at most."""
    marks: list[Mark] = []
    for series, ink, width in ((first, PALE, 2.8), (second, colour, 1.3)):
        levels = zip(series[:CHANNELS_SHOWN], _offsets(first), strict=True)
        marks += [_series_line(level + offset, ink, width) for level, offset in levels]
    return Plot(title, marks, y_ticks=() if len(first) > 1 else None, grid_y=False)


def _series_line(series: NDArray, colour: str, width: float) -> Line:
    """A series (L,) as a line, every so many steps where it is longer than a panel shows."""
    every = max(1, len(series) // _SERIES_STEPS)
    steps = np.arange(0, len(series), every)
    return Line(steps.tolist(), series[steps].tolist(), colour, width)


def _offsets(series: NDArray) -> NDArray:
    """How far each shown channel is moved down so that none overlaps another."""
    shown = series[:CHANNELS_SHOWN]
    step = float(np.ptp(shown)) * _CHANNEL_GAP
    return -step * np.arange(len(shown))


def _tokens(series: NDArray, regions: Sequence[NDArray], colours: Sequence[str]) -> list[Mark]:
    """Grids of codes (H, W_i), lowest frequency at the bottom, each under the series (C, L)."""
    height, width = len(regions[0]), sum(codes.shape[1] for codes in regions)
    lifted = series[:CHANNELS_SHOWN] + _offsets(series)[:, None]
    spread = float(np.ptp(lifted)) or 1.0
    placed = height * (1.08 + 0.55 * (lifted - lifted.min()) / spread)
    marks: list[Mark] = []
    left = 0.0
    for codes in regions:
        right = left + codes.shape[1]
        across = np.linspace(left, right, series.shape[1]).tolist()
        marks.append(Cells(codes, colours, left))
        marks += [Line(across, level.tolist(), INK, 1.2) for level in placed]
        left = right + _REGION_GAP * width
    return marks


def _regions(exhibit: Exhibit, codes: NDArray) -> list[NDArray]:
    """The grids (H, W_i) that stand side by side in codes (H, W), one for each codebook."""
    ends = np.cumsum(_codebook_sizes(exhibit))
    owners = np.searchsorted(ends, codes[0], side="right")
    borders = np.flatnonzero(np.diff(owners)) + 1
    return np.split(codes, borders, axis=1)


def _codebook_sizes(exhibit: Exhibit) -> NDArray:
    """The size of each codebook; early runs had one and did not store it."""
    arrays = exhibit.arrays
    largest = int(arrays["token_codes"].max()) + 1 if "token_codes" in arrays else 0
    whole = [len(arrays["code_counts"]) if "code_counts" in arrays else largest]
    return arrays.get("codebook_sizes", np.array(whole))


def _by_codebook(exhibit: Exhibit) -> list[NDArray]:
    """The counts of each codebook's codes."""
    return np.split(exhibit.arrays["code_counts"], np.cumsum(_codebook_sizes(exhibit))[:-1])


def _token_title(exhibit: Exhibit, index: int) -> str:
    """The model, then the class and what stands side by side, where these are known."""
    beneath = ", ".join(filter(None, [_class_of(exhibit, index), " | ".join(exhibit.codebooks)]))
    return f"{exhibit.model.label}\n{beneath}" if beneath else exhibit.model.label


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
    return f"class {_class_name(exhibit.classes, int(labels[index]))}"


def _class_colour(index: int) -> str:
    return FAINT if index == _UNLABELLED else _CLASS_COLOURS[index % len(_CLASS_COLOURS)]


def _square(index: int) -> bool:
    """Whether a class has square dots: every other time the colours have run out."""
    return index // len(_CLASS_COLOURS) % 2 == 1


def _shares(counts: NDArray) -> NDArray:
    return np.sort(counts)[::-1] / max(1, int(counts.sum()))


def _codebook_title(model: Model, name: str, share: NDArray) -> str:
    used = share[share > 0]
    perplexity = float(np.exp(-(used * np.log(used)).sum()))
    titled = f"{model.label}, {name}" if name else model.label
    return f"{titled}\nperplexity {perplexity:.1f}, uses {len(used)}/{len(share)}"


def _clouds(exhibit: Exhibit, present: Sequence[int]) -> list[Mark]:
    """The points of each class; evenly spaced ones where there are more than can be told apart."""
    points, labels = exhibit.arrays["latents_2d"], exhibit.arrays["latents_labels"]
    if len(points) > POINTS_SHOWN:
        chosen = np.linspace(0, len(points) - 1, POINTS_SHOWN).round().astype(int)
        points, labels = points[chosen], labels[chosen]
    return [
        Cloud(points[labels == k], _class_colour(k), 3.6, 0.6, _square(k))
        for k in present
        if (labels == k).any()
    ]


def _axis_names(explained: NDArray | None) -> tuple[str, str]:
    shares = ["", ""] if explained is None else [f" ({share:.0%})" for share in explained]
    return f"axis 1{shares[0]}", f"axis 2{shares[1]}"
