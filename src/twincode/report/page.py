"""From stored results to one page and the tables beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twincode.errors import TwincodeError
from twincode.files import write_text, write_whole
from twincode.report import blocks, compare
from twincode.report.pages import PAGES, provenance
from twincode.report.runs import RECORDS_FILE, Results, load_results, records_text

if TYPE_CHECKING:
    import pandas as pd

PAGE_FILE = "report.html"
FORMATS = ("svg", "png")
Page = Callable[[Results], "list[blocks.Section]"]


def write_report(folder: Path, pages: Sequence[Page] = PAGES) -> Path:
    """Write ``report.html``, the tables and the tidy results into ``folder``.

    Reads the stored results of a study or of one run and nothing else; equal results give an equal
    page. Returns the page's path. Raises TwincodeError where results are missing or damaged.
    """
    results = load_results(folder)
    sections = [section for page in pages for section in page(results)]
    _write_tables(results)
    path = results.folder / PAGE_FILE
    write_text(path, _render(results, sections))
    return path


def write_figures(folder: Path, formats: Sequence[str] = ("svg",)) -> list[Path]:
    """Write every figure of the page into ``figures/``, one file for each choice a reader has.

    ``formats`` are any of ``svg`` and ``png``. Returns the files' paths. Raises TwincodeError for
    another format, and where results are missing or damaged.
    """
    for unknown in set(formats) - set(FORMATS):
        raise TwincodeError(f"figures cannot be written as {unknown!r}; choose svg or png")
    results = load_results(folder)
    written = []
    for page in PAGES:
        for figure in (figure for section in page(results) for figure in section.figures):
            for name, choice in _choices(figure):
                for kind in formats:
                    path = results.folder / "figures" / f"{name}.{kind}"
                    write_whole(
                        path,
                        lambda place, c=choice, f=figure, k=kind: place.write_bytes(drawn(f, k, c)),
                    )
                    written.append(path)
    return written


def drawn(figure: blocks.Figure, kind: str = "svg", choice: dict[str, str] | None = None) -> bytes:
    """A figure as the bytes of an ``svg`` or ``png`` file."""
    import vl_convert

    from twincode.report.figures.theme import whole

    specification = whole(figure, choice)
    if kind == "png":
        return bytes(vl_convert.vegalite_to_png(specification, scale=2))
    return str(vl_convert.vegalite_to_svg(specification)).encode()


def _choices(figure: blocks.Figure) -> Iterator[tuple[str, dict[str, str]]]:
    """A file name for each option of a figure's first control; the others stay at their first."""
    if not figure.controls:
        yield file_name(figure.name), {}
        return
    control = figure.controls[0]
    for words, value in control.options.items():
        yield file_name(f"{figure.name}-{value}"), {control.name: words}


def _write_tables(results: Results) -> None:
    tables, taken = results.folder / "tables", {"summary", "paired", "paired-by-dataset"}
    final = results.final.assign(
        half=[
            compare.half_interval(*each)
            for each in zip(results.final["std"], results.final["count"], strict=True)
        ]
    )
    final = final.assign(low=final["mean"] - final.half, high=final["mean"] + final.half)
    for dataset in results.datasets:
        name = unused(file_name(dataset), taken)
        _write_csv(tables / f"{name}.csv", final[final.dataset == dataset].drop(columns="half"))
    by_dataset = compare.differences(results)
    _write_csv(tables / "summary.csv", compare.summary_table(results))
    _write_csv(tables / "paired.csv", compare.paired(results, by_dataset))
    _write_csv(tables / "paired-by-dataset.csv", by_dataset)
    _write_parquet(tables / "history.parquet", results.history)
    _write_csv(results.folder / "results.csv", results.table)
    _write_parquet(results.folder / "results.parquet", results.table)
    write_text(results.folder / RECORDS_FILE, records_text(results))


def _write_csv(path: Path, frame: pd.DataFrame) -> None:
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))


def _write_parquet(path: Path, frame: pd.DataFrame) -> None:
    write_whole(path, lambda temporary: frame.to_parquet(temporary, index=False))


def _render(results: Results, sections: Sequence[blocks.Section]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from twincode.report.figures.theme import CONFIG, PANEL, packed

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures = [figure for section in sections for figure in section.figures]
    told = [
        {
            "chart": figure.template,
            "table": figure.name,
            "controls": [{"name": c.name, "options": c.options} for c in figure.controls],
        }
        for figure in figures
    ]
    return environment.get_template("page.html.jinja").render(
        results=results,
        sections=sections,
        warnings=provenance.warnings(results),
        kind_of=lambda block: type(block).__name__,
        place_of={id(figure): place for place, figure in enumerate(figures)},
        id=id,
        script=_bundle() if figures else "",
        page={
            "figures": _inert(told),
            "tables": _inert({figure.name: packed(figure.data) for figure in figures}),
            "config": _inert({**CONFIG, "panel": PANEL}),
        },
    )


@cache
def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that may stand inside a page."""
    import vl_convert

    return str(vl_convert.javascript_bundle()).replace("</script", "<\\/script")


def _inert(value: Any) -> str:
    """JSON that may stand inside a script element of a page."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def file_name(name: str) -> str:
    """``name`` reduced to what every file system accepts."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "unnamed"


def unused(name: str, taken: set[str]) -> str:
    """``name``, numbered where it is taken, also on systems that ignore case; it is taken then."""
    candidates: Iterable[str] = (name, *(f"{name}-{number}" for number in range(2, 10_000)))
    chosen = next(each for each in candidates if each.lower() not in taken)
    taken.add(chosen.lower())
    return chosen
