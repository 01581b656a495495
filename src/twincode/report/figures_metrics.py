"""Figures of numbers: the trade-off, metrics during training, metrics as gamma grows."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twincode.report.canvas import Key, Layout, Plot, sheet
from twincode.report.marks import Band, Dot, Level, Line, Mark
from twincode.report.metrics import MAIN_READOUT, metric_of
from twincode.report.models import Model
from twincode.report.results import Results
from twincode.report.runs import Run, Summary, evenly
from twincode.report.scales import Tick
from twincode.report.tables import values_of

LOG_SCALE_FROM = 20.0  # a panel whose values span this factor is drawn on a logarithmic axis
COST = "reconstruction"
_MOST_MARKERS = 12
_MOST_POINTS = 60
_NUDGE = 0.06
_LEVEL_DASHES = ("5 3", "1.5 2.5", "8 3 2 3")
_GAMMA_TICK_GAP = 0.09  # of the axis; ticks that stand closer would touch


@dataclass(frozen=True)
class Point:
    """A model's place in a trade-off: what it costs, what its codes carry."""

    cost: Summary
    gain: Summary


@dataclass(frozen=True)
class TradeOff:
    """One panel: its words, the place of each trained model, the level of each control."""

    title: str
    x_label: str
    y_label: str
    points: Mapping[str, Point]
    levels: Mapping[str, Summary]


@dataclass(frozen=True)
class Course:
    """Mean and sample standard deviation over seeds, epoch by epoch."""

    epochs: list[float]
    means: NDArray
    spreads: NDArray

    def at_end(self) -> Summary:
        """The last mean."""
        return Summary(float(self.means[-1]), None, 1)


# (label, quantity) -> its course
Courses = dict[tuple[str, str], Course]


def trade_off_figure(panels: Sequence[TradeOff], models: Sequence[Model], layout: Layout) -> str:
    """Cost across, gain upwards: a dot a model, a line through the gammas of each method.

    Controls that are not trained stand as horizontal levels.
    """
    shown = {label for panel in panels for label in (*panel.points, *panel.levels)}
    models = [model for model in models if model.label in shown]
    trained = [model for model in models if model.trained]
    controls = [model for model in models if not model.trained]
    keys = [Key(model.label, model.colour, model.marker) for model in trained]
    plots = [
        Plot(
            panel.title,
            [
                *_level_marks(controls, panel.levels),
                *_gamma_paths(trained, panel.points),
                *_trade_off_dots(trained, panel.points),
            ],
            x_label=panel.x_label,
            y_label=panel.y_label,
            grid_x=True,
        )
        for panel in panels
    ]
    columns = layout.columns(min(3, len(plots)), 1)
    return sheet(plots, columns, layout, 230.0, [*keys, *_level_keys(controls)])


def training_figure(
    metrics: Courses,
    losses: Courses,
    models: Sequence[Model],
    names: Sequence[str],
    layout: Layout,
) -> str:
    """Small multiples over epochs: each metric of ``names``, then each training loss.

    Lines are means over seeds, bands one sample standard deviation either way.
    """
    trained = [model for model in models if model.trained]
    controls = [model for model in models if not model.trained]
    quantities = dict.fromkeys(quantity for _, quantity in losses if quantity != "perplexity")
    plots = [_metric_course(name, metrics, trained, controls) for name in names]
    plots += [_loss_course(name, losses, trained) for name in quantities]
    keys = [Key(model.label, model.colour, model.marker, line=True) for model in trained]
    keys += _level_keys(controls if names else [])
    return sheet(plots, layout.columns(4, 2), layout, 118.0, keys)


def gamma_figure(
    results: Results, dataset: str, models: Sequence[Model], names: Sequence[str], layout: Layout
) -> str:
    """Each metric against gamma: twin models as lines, gamma = 0 as single marks, raw as a level.

    Error bars are one sample standard deviation over seeds.
    """
    return gamma_sheet(
        [(metric_of(name).heading, values_of(results, dataset, name)) for name in names],
        models,
        layout,
        [metric_of(name).probe for name in names],
    )


def gamma_sheet(
    panels: Sequence[tuple[str, Mapping[str, Summary]]],
    models: Sequence[Model],
    layout: Layout,
    with_controls: Sequence[bool],
) -> str:
    """A panel of values by model label against gamma for each title."""
    still = [model for model in models if model.trained and not model.twin]
    controls = [model for model in models if not model.trained]
    methods = families(models)
    largest = max(model.gamma for model in models if model.twin)
    keys = [Key(model.label, model.colour, model.marker, line=True, width=1.0) for model in still]
    keys += [Key(name, members[-1].colour, line=True) for name, members in methods.items()]
    plots = [
        Plot(
            title,
            [
                *_level_marks(controls if controlled else [], values),
                *_still_marks(still, models, values),
                *(mark for members in methods.values() for mark in _gamma_line(members, values)),
            ],
            x_label="γ",
            x_ticks=_gamma_ticks(models),
            x_limits=(-_NUDGE * largest, (1 + _NUDGE) * largest),
        )
        for (title, values), controlled in zip(panels, with_controls, strict=True)
    ]
    columns = layout.columns(4, 2)
    return sheet(plots, columns, layout, 130.0, [*keys, *_level_keys(controls)])


def metric_courses(runs: Sequence[Run], names: Sequence[str]) -> Courses:
    """The metrics of ``names`` under the main readout over epochs."""
    return _courses(runs, lambda run: _main_evaluations(run, names))


def loss_courses(runs: Sequence[Run]) -> Courses:
    """The training losses over epochs."""
    return _courses(runs, lambda run: run.history(_MOST_POINTS))


def families(models: Sequence[Model]) -> dict[str, list[Model]]:
    """Twin models by method, under their name without its gamma, in the order of gamma."""
    methods: dict[str, list[Model]] = {}
    for model in models:
        if model.twin:
            methods.setdefault(model.method, []).append(model)
    return {re.sub(r"\s*γ\s*=.*$", "", members[0].label): members for members in methods.values()}


def _trade_off_dots(models: Sequence[Model], points: Mapping[str, Point]) -> list[Mark]:
    return [
        Dot(
            point.cost.mean,
            point.gain.mean,
            model.colour,
            model.marker,
            point.cost.spread,
            point.gain.spread,
            size=5.5,
        )
        for model in models
        if (point := points.get(model.label))
    ]


def _gamma_paths(models: Sequence[Model], points: Mapping[str, Point]) -> list[Mark]:
    """A thin line through the gammas of each method that has several."""
    found: list[Mark] = []
    for members in families(models).values():
        own = [points[model.label] for model in members if model.label in points]
        if len(own) > 1:
            places = [point.cost.mean for point in own], [point.gain.mean for point in own]
            found.append(Line(*places, members[-1].colour, width=1.0))
    return found


def _level_keys(controls: Sequence[Model]) -> list[Key]:
    return [
        Key(model.label, model.colour, line=True, dashes=_dashes(index), width=1.4)
        for index, model in enumerate(controls)
    ]


def _dashes(index: int) -> str:
    return _LEVEL_DASHES[index % len(_LEVEL_DASHES)]


def _level_marks(controls: Sequence[Model], values: Mapping[str, Summary]) -> list[Mark]:
    """A horizontal line at each control's number, where it has one."""
    return [
        Level(values[model.label].mean, model.colour, _dashes(index))
        for index, model in enumerate(controls)
        if model.label in values and values[model.label].count
    ]


_Rows = Iterable[tuple[int, str, float]]


def _main_evaluations(run: Run, names: Sequence[str]) -> _Rows:
    for epoch, readout, name, value in run.evaluations():
        if readout in ("", MAIN_READOUT) and name in names:
            yield epoch, name, value


def _courses(runs: Sequence[Run], rows: Callable[[Run], _Rows]) -> Courses:
    collected: dict[tuple[str, str], dict[int, list[float]]] = {}
    for run in runs:
        for epoch, name, value in rows(run):
            if math.isfinite(value):
                collected.setdefault((run.label, name), {}).setdefault(epoch, []).append(value)
    return {key: _course(by_epoch) for key, by_epoch in collected.items()}


def _course(by_epoch: Mapping[int, Sequence[float]]) -> Course:
    """At most so many epochs as a panel can show, the first and the last among them."""
    epochs = evenly(sorted(by_epoch), _MOST_POINTS)
    most = max(len(by_epoch[epoch]) for epoch in epochs)
    table = np.full((len(epochs), most), np.nan)
    for place, epoch in enumerate(epochs):
        table[place, : len(by_epoch[epoch])] = by_epoch[epoch]
    counts = np.isfinite(table).sum(axis=1)
    means = np.nanmean(table, axis=1)
    squares = np.nansum((table - means[:, None]) ** 2, axis=1)
    spreads = np.where(counts > 1, np.sqrt(squares / np.maximum(counts - 1, 1)), np.nan)
    return Course([float(epoch) for epoch in epochs], means, spreads)


def _course_marks(name: str, courses: Courses, models: Sequence[Model]) -> list[Mark]:
    """Mean and band over seeds for every model, bands below all lines."""
    bands: list[Mark] = []
    lines: list[Mark] = []
    for model in models:
        own = courses.get((model.label, name))
        if own is None:
            continue
        means = own.means.tolist()
        lows, highs = (own.means - own.spreads).tolist(), (own.means + own.spreads).tolist()
        if np.isfinite(own.spreads).any():
            bands.append(Band(own.epochs, lows, highs, model.colour))
        lines.append(Line(own.epochs, means, model.colour, width=1.5))
        if len(means) <= _MOST_MARKERS:
            places = zip(own.epochs, means, strict=True)
            lines += [Dot(x, y, model.colour, model.marker, size=2.6) for x, y in places]
    return bands + lines


def _metric_course(
    name: str, courses: Courses, trained: Sequence[Model], controls: Sequence[Model]
) -> Plot:
    levels = {
        m.label: courses[m.label, name].at_end() for m in controls if (m.label, name) in courses
    }
    return Plot(
        metric_of(name).heading,
        [
            *_level_marks(controls if metric_of(name).probe else [], levels),
            *_course_marks(name, courses, trained),
        ],
        x_label="epoch",
    )


def _loss_course(name: str, courses: Courses, trained: Sequence[Model]) -> Plot:
    values = [
        value
        for (_, quantity), course in courses.items()
        if quantity == name
        for value in course.means.tolist()
    ]
    wide = bool(values) and min(values) > 0 and max(values) / min(values) > LOG_SCALE_FROM
    title = f"{name.removeprefix('reconstruction_')} loss".replace("_", " ").capitalize()
    return Plot(title, _course_marks(name, courses, trained), x_label="epoch", log_y=wide)


def _gamma_ticks(models: Sequence[Model]) -> list[Tick]:
    """Zero and every gamma, those left out whose label would touch the one before."""
    gammas = sorted({0.0, *(model.gamma for model in models if model.twin)})
    chosen = [gammas[0]]
    for gamma in gammas[1:]:
        if gamma - chosen[-1] >= _GAMMA_TICK_GAP * gammas[-1]:
            chosen.append(gamma)
    return [Tick(gamma, f"{gamma:g}") for gamma in chosen]


def _still_marks(
    still: Sequence[Model], models: Sequence[Model], values: Mapping[str, Summary]
) -> list[Mark]:
    """Models without a twin loss, side by side at gamma = 0, their level carried across."""
    nudge = _NUDGE * max((model.gamma for model in models), default=0.0)
    marks: list[Mark] = []
    for index, model in enumerate(still):
        if model.label in values:
            value = values[model.label]
            marks.append(Level(value.mean, model.colour, width=0.9, opacity=0.55))
            marks.append(_gamma_dot(model, value, index * nudge))
    return marks


def _gamma_line(members: Sequence[Model], values: Mapping[str, Summary]) -> list[Mark]:
    measured = [model for model in members if model.label in values]
    gammas = [model.gamma for model in measured]
    means = [values[model.label].mean for model in measured]
    dots: list[Mark] = [_gamma_dot(model, values[model.label]) for model in measured]
    return [Line(gammas, means, members[-1].colour, width=1.3), *dots]


def _gamma_dot(model: Model, value: Summary, aside: float = 0.0) -> Dot:
    return Dot(model.gamma + aside, value.mean, model.colour, model.marker, None, value.spread, 4.0)
