"""The critical-difference diagram: average ranks on a line, and who cannot be told apart.

As in Demšar (2006), "Statistical comparisons of classifiers over multiple data sets", figure 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from twincode.report.canvas import (
    AXIS,
    FONT_SIZE,
    LINE_HEIGHT,
    SMALL,
    WIDE,
    Layout,
    document,
    shortened,
    text_width,
    words,
)
from twincode.report.marks import INK, shape
from twincode.report.models import Model
from twincode.report.statistics import Ranking, cliques

_HEAD = 54.0
_BAR_GAP = 7.0
_GAP = 14.0
_MOST_SIDE = 0.4  # of a diagram's width, for the names at either side
_RANK_ROOM = 4.6  # of the letters' size, for a rank and what parts it from the line
_LABEL_EVERY = 16.0
_NARROW_SIZE = 9.5


@dataclass(frozen=True)
class _Ruler:
    """The line of ranks 1 to ``count``, at height ``y``."""

    left: float
    width: float
    y: float
    count: int

    def at(self, rank: float) -> float:
        return self.left + self.width * (rank - 1) / max(1, self.count - 1)

    def draw(self) -> str:
        ranks = range(1, self.count + 1)
        ticks = "".join(f"M{self.at(rank):.1f} {self.y:.1f}v-5" for rank in ranks)
        labels = "".join(
            words(self.at(rank), self.y - 8, f"{rank}", text_anchor="middle", font_size=SMALL)
            for rank in ranks[:: 1 + int(self.count * _LABEL_EVERY / self.width)]
        )
        return _stroke(f"M{self.at(1):.1f} {self.y:.1f}H{self.at(self.count):.1f}{ticks}") + labels

    def draw_critical(self, critical: float) -> str:
        """The critical difference to scale, as long as the line at most."""
        y, end = self.y - 28, self.at(1 + min(critical, self.count - 1))
        text = words(end + 6, y + 4, f"CD {critical:.2f}", font_size=SMALL)
        return _stroke(f"M{self.at(1):.1f} {y - 3:.1f}v6m0 -3H{end:.1f}m0 -3v6") + text


def rank_figure(
    rankings: Sequence[tuple[str, Ranking]], models: Sequence[Model], layout: Layout
) -> str:
    """A diagram for each (title, ranking), two beside each other where there is room."""
    by_label = {model.label: model for model in models}
    columns = layout.columns(min(2, len(rankings)), 1)
    width = layout.width / columns
    parts, top = [], 0.0
    for start in range(0, len(rankings), columns):
        row = rankings[start : start + columns]
        parts += [
            _diagram(title, ranking, by_label, index * width, top, width - _GAP, layout)
            for index, (title, ranking) in enumerate(row)
        ]
        top += max(_height(ranking) for _, ranking in row)
    return document(layout.width, top, parts)


def _height(ranking: Ranking) -> float:
    bars = len(_bars(ranking)) * _BAR_GAP
    return _HEAD + bars + LINE_HEIGHT * ((len(ranking.labels) + 1) // 2) + 2 * _GAP


def _bars(ranking: Ranking) -> list[tuple[int, int]]:
    return cliques(sorted(ranking.ranks), ranking.critical) if ranking.critical else []


def _diagram(
    title: str,
    ranking: Ranking,
    models: Mapping[str, Model],
    left: float,
    top: float,
    width: float,
    layout: Layout,
) -> str:
    """Best ranks to the left; names down either side, as leads from their places on the line."""
    size = FONT_SIZE if layout is WIDE else _NARROW_SIZE
    widest = max(text_width(label, size) for label in ranking.labels)
    side = min(_MOST_SIDE * width, widest + _RANK_ROOM * size)
    ruler = _Ruler(left + side, width - 2 * side, top + _HEAD, len(ranking.labels))
    parts = [words(left, top + 14, shortened(title, width), font_weight=600), ruler.draw()]
    if ranking.critical:
        parts.append(ruler.draw_critical(ranking.critical))
    bars = _bars(ranking)
    ranks = sorted(ranking.ranks)
    for place, (first, last) in enumerate(bars):
        y = ruler.y + 8 + place * _BAR_GAP
        ends = ruler.at(ranks[first]) - 3, ruler.at(ranks[last]) + 3
        parts.append(_stroke(f"M{ends[0]:.1f} {y:.1f}H{ends[1]:.1f}", width=3.2))
    below = ruler.y + _GAP + len(bars) * _BAR_GAP
    order = sorted(zip(ranking.ranks, ranking.labels, strict=True))
    for place, (rank, label) in enumerate(order):
        parts.append(_lead(ruler, models[label], rank, place, below, side, size))
    return "".join(parts)


def _lead(
    ruler: _Ruler, model: Model, rank: float, place: int, below: float, side: float, size: float
) -> str:
    """From a model's place on the line down and out to its name: the better half to the left."""
    to_left = place < (ruler.count + 1) // 2
    y = below + LINE_HEIGHT * ((place if to_left else ruler.count - 1 - place) + 0.5)
    end = ruler.left - 6 if to_left else ruler.left + ruler.width + 6
    name = shortened(model.label, side - _RANK_ROOM * size, size)
    text = f"{name}  {rank:.2f}" if to_left else f"{rank:.2f}  {name}"
    beside, anchor = (end - 4, "end") if to_left else (end + 4, "start")
    return (
        _stroke(f"M{ruler.at(rank):.1f} {ruler.y:.1f}V{y:.1f}H{end:.1f}", AXIS)
        + shape(model.marker, ruler.at(rank), ruler.y, 4.2, model.colour)
        + words(beside, y + 4, text, text_anchor=anchor, font_size=size)
    )


def _stroke(path: str, colour: str = INK, width: float = 1.0) -> str:
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}"/>\n'
