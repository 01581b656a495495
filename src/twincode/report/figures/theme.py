"""What all figures share: how charts look, models by colour, panels, and data for Vega-Lite."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from twincode.report.blocks import Figure
from twincode.report.metrics import Measure
from twincode.report.models import Model

INK, SOFT, PALE, BLUE = "#1f2430", "#5b616d", "#b4bac6", "#0072b2"
# Pixels: a figure's width, the least one of a panel of several, a legend's letters and symbols.
WIDTH, PANEL, LETTER, SYMBOL = 560, 270, 6.6, 24
SIZES = {"panel": PANEL, "legend": {"letter": LETTER, "symbol": SYMBOL}}  # as pages are told
TABLE = alt.NamedData(name="{data}")  # of the figure, whichever that is
FREE = alt.Scale(zero=False)
CONFIG: dict[str, Any] = {
    "font": "system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif",
    "background": "#ffffff",
    "view": {"stroke": None},
    "axis": {
        "labelColor": SOFT, "titleColor": SOFT, "titleFontWeight": "normal", "labelFontSize": 11,
        "titleFontSize": 12, "gridColor": "#eceef1", "domainColor": "#d5d8de",
        "tickColor": "#d5d8de", "labelLimit": 220, "tickCount": 5,
    },
    "legend": {
        "orient": "bottom", "columns": 3, "title": None, "labelLimit": 260, "symbolSize": 70,
        "symbolOpacity": 1, "labelFontSize": 12, "labelColor": INK, "columnPadding": 32,
        "layout": {"bottom": {"direction": "vertical", "anchor": "start"}},
    },
    "header": {"labelFontSize": 12, "labelFontWeight": 600, "labelColor": INK, "title": None,
               "labelLimit": 300, "labelAnchor": "start"},
}  # fmt: skip


def models(channel: type[Any], shown: Sequence[Model], legend: bool = True) -> Any:
    """Models by their colours or shapes, in their order; ``channel`` is alt.Color or alt.Shape."""
    values = {m.label: m.colour if channel is alt.Color else m.shape for m in shown}
    return named(channel, "model", values, legend)


def named(channel: type[Any], field: str, values: Mapping[str, str], legend: bool = True) -> Any:
    """The texts of a field by the colours or shapes that ``values`` gives them."""
    scale = alt.Scale(domain=list(values), range=list(values.values()))
    return channel(f"{field}:N", scale=scale, legend=alt.Legend() if legend else None)


def wide(height: int, *layers: alt.Chart) -> dict[str, Any]:
    """Layers over each other as wide as the page."""
    return _plain(alt.layer(*layers).properties(width=WIDTH, height=height))


def panels(names: Sequence[str], height: int, *layers: alt.Chart, **scales: Any) -> dict[str, Any]:
    """One panel for each of ``names``, the values of the field ``panel``."""
    chart = alt.layer(*layers, data=TABLE).properties(width=PANEL, height=height)
    faceted = chart.facet(alt.Facet("panel:N", sort=list(names), title=None), columns=3)
    return _plain(faceted.resolve_scale(**scales))


def chosen(control: str) -> alt.FieldEqualPredicate:
    """Only rows whose field of a control's name has the value that readers chose by it."""
    return alt.FieldEqualPredicate(field=control, equal=f"{{{control}}}")


def options(measures: Iterable[Measure]) -> dict[str, str]:
    """Measures to choose from: heading to key."""
    return {measure.heading: measure.key for measure in measures}


def stacked(parts: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Tables as mappings of columns, one under another; one value stands for a whole column."""
    parts = list(parts)
    counts = [max(np.size(values) for values in part.values()) for part in parts]
    columns = {}
    for name in dict.fromkeys(name for part in parts for name in part):
        filled = [
            np.broadcast_to(p.get(name, np.nan), n) for p, n in zip(parts, counts, strict=True)
        ]
        columns[name] = np.concatenate(filled)
    return pd.DataFrame(columns)


def packed(frame: pd.DataFrame) -> dict[str, Any]:
    """A table for a page, column by column: four digits a number, texts as places in a list."""
    found: dict[str, Any] = {}
    for name in frame:
        values = [_short(value) for value in frame[name].tolist()]
        found[str(name)] = values
        if values and isinstance(values[0], str):
            places = {text: place for place, text in enumerate(dict.fromkeys(values))}
            found[str(name)] = {"texts": list(places), "at": [places[text] for text in values]}
    return found


def whole(figure: Figure, choice: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A figure's specification with its data and its look: all that Vega-Lite needs."""
    columns = {str(n): [_short(v) for v in figure.data[n].tolist()] for n in figure.data}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    legend = {**CONFIG["legend"], "columns": _legend_columns(figure.data)}
    config = {**CONFIG, "legend": legend}
    return {**figure.filled(choice), "datasets": {figure.name: rows}, "config": config}


def _legend_columns(data: pd.DataFrame) -> int:
    """As many as the longest name of a model leaves room for, at most three."""
    longest = data["model"].astype(str).str.len().max() if "model" in data else 0
    return int(min(3, max(1, WIDTH // (LETTER * longest + SYMBOL))))


def _plain(chart: Any) -> dict[str, Any]:
    """The specification of a chart, without altair's own look."""
    found: dict[str, Any] = chart.to_dict(validate=False)
    return {name: part for name, part in found.items() if name not in ("config", "$schema")}


def _short(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 1e6 else float(f"{value:.4g}")
