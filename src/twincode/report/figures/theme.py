"""What all figures share: colours of the models, how a chart looks, and how it becomes a file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

from twincode.report.blocks import Figure
from twincode.report.metrics import Measure
from twincode.report.models import Model

if TYPE_CHECKING:
    import pandas as pd

INK, SOFT, LINE = "#1f2430", "#5b616d", "#d5d8de"
PANEL = 270  # pixels: the least width of one panel of several
_FONT = "system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif"
CONFIG: dict[str, Any] = {
    "font": _FONT,
    "background": "#ffffff",
    "view": {"stroke": None},
    "axis": {
        "labelColor": SOFT, "titleColor": SOFT, "titleFontWeight": "normal", "labelFontSize": 11,
        "titleFontSize": 12, "gridColor": "#eceef1", "domainColor": LINE, "tickColor": LINE,
        "labelLimit": 220, "tickCount": 5,
    },
    "legend": {
        "orient": "bottom", "columns": 3, "title": None, "labelLimit": 260, "symbolSize": 70, "symbolOpacity": 1,
        "labelFontSize": 12, "labelColor": INK,
    },
    "header": {"labelFontSize": 12, "labelFontWeight": 600, "labelColor": INK, "title": None,
               "labelLimit": 300, "labelAnchor": "start"},
    "facet": {"spacing": 22},
}  # fmt: skip


TABLE = alt.NamedData(name="{data}")  # of the figure, whichever that is


def coloured(models: Sequence[Model], legend: bool = True) -> alt.Color:
    """Models by their colours, in their order."""
    return alt.Color(
        "model:N",
        scale=alt.Scale(domain=[m.label for m in models], range=[m.colour for m in models]),
        legend=alt.Legend() if legend else None,
    )


def shaped(models: Sequence[Model]) -> alt.Shape:
    """Models by their shapes, in one legend with their colours."""
    return alt.Shape(
        "model:N",
        scale=alt.Scale(domain=[m.label for m in models], range=[m.shape for m in models]),
        legend=alt.Legend(),
    )


def wide(height: int, *layers: alt.Chart) -> dict[str, Any]:
    """Layers over each other as wide as the page."""
    return finished(alt.layer(*layers).properties(width="container", height=height))


def panels(names: Sequence[str], height: int, *layers: alt.Chart, **resolve: str) -> dict[str, Any]:
    """One panel for each of ``names``, the values of the field ``panel``."""
    chart = alt.layer(*layers, data=TABLE).properties(width=PANEL, height=height)
    faceted = chart.facet(alt.Facet("panel:N", sort=list(names), title=None), columns=3)
    return finished(faceted.resolve_scale(**resolve) if resolve else faceted)


def finished(chart: Any) -> dict[str, Any]:
    """The specification of a chart, without altair's own look."""
    specification: dict[str, Any] = chart.to_dict(validate=False)
    for name in ("config", "$schema"):
        specification.pop(name, None)
    return specification


def options(measures: Iterable[Measure]) -> dict[str, str]:
    """Measures to choose from: heading to key."""
    return {measure.heading: measure.key for measure in measures}


def stacked(parts: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Tables as mappings of columns, one under another; one value stands for a whole column."""
    import pandas as pd

    parts = list(parts)
    counts = [max(np.size(values) for values in part.values()) for part in parts]
    names = dict.fromkeys(name for part in parts for name in part)
    return pd.DataFrame(
        {
            name: np.concatenate(
                [
                    np.broadcast_to(part.get(name, np.nan), count)
                    for part, count in zip(parts, counts, strict=True)
                ]
            )
            for name in names
        }
    )


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A table as Vega-Lite reads it: four digits of each number, nothing for NaN."""
    columns = {str(name): _values(frame[name]) for name in frame}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def packed(frame: pd.DataFrame) -> dict[str, Any]:
    """The same for a page, column by column; texts as places in a list of the distinct ones."""
    found: dict[str, Any] = {}
    for name in frame:
        values = _values(frame[name])
        if values and all(isinstance(value, str) for value in values):
            places = {text: place for place, text in enumerate(dict.fromkeys(values))}
            found[str(name)] = {"texts": list(places), "at": [places[text] for text in values]}
        else:
            found[str(name)] = values
    return found


def whole(figure: Figure, choice: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A figure's specification with its data and its look: all that Vega-Lite needs."""
    specification = figure.filled(choice)
    if specification.get("width") == "container":
        specification["width"] = 560
    return {**specification, "datasets": {figure.name: records(figure.data)}, "config": CONFIG}


def _values(column: pd.Series) -> list[Any]:
    return [_short(value) for value in column.tolist()]


def _short(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 1e6 else float(f"{value:.4g}")
