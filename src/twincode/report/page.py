"""From stored results to one page and the tables beside it."""

import json
import re
from collections.abc import Callable, Sequence
from functools import cache, partial
from operator import methodcaller
from pathlib import Path
from typing import Any

import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from twincode.errors import TwincodeError
from twincode.files import write_text, write_whole
from twincode.report import tables
from twincode.report.blocks import Figure, Section
from twincode.report.figures.theme import CONFIG, SIZES, packed, whole
from twincode.report.pages import PAGES, provenance
from twincode.report.runs import RECORDS_FILE, Results, load_results, records_text

Page = Callable[[Results], list[Section]]


def write_report(folder: Path, pages: Sequence[Page] = PAGES) -> Path:
    """Write ``report.html``, the tables and the tidy results into ``folder``.

    Reads the stored results of a study or of one run and nothing else; equal results give an equal
    page. Returns the page's path. Raises TwincodeError where results are missing or damaged.
    """
    results = load_results(folder)
    sections = [section for page in pages for section in page(results)]
    _write_tables(results)
    path = results.folder / "report.html"
    write_text(path, _render(results, sections))
    return path


def write_figures(folder: Path, formats: Sequence[str] = ("svg",)) -> list[Path]:
    """Write every figure of the page into ``figures/``, a file for each option of its first choice.

    ``formats`` are any of ``svg`` and ``png``. Returns the files' paths. Raises TwincodeError for
    another format, and where results are missing or damaged.
    """
    kinds = dict.fromkeys(formats)
    if not kinds:
        raise TwincodeError("name a format of figures: svg or png")
    for unknown in kinds.keys() - {"svg", "png"}:
        raise TwincodeError(f"figures cannot be written as {unknown!r}; choose svg or png")
    results = load_results(folder)
    written: list[Path] = []
    taken: set[str] = set()
    for figure in _figures([section for page in PAGES for section in page(results)]):
        first = figure.controls[:1]
        choices = [(c.name, words, f"-{v}") for c in first for words, v in c.options.items()]
        for name, words, ending in choices or [("", "", "")]:
            stem = file_name(figure.name + ending, taken)
            for kind in kinds:
                path = results.folder / "figures" / f"{stem}.{kind}"
                content = drawn(figure, kind, {name: words})
                write_whole(path, methodcaller("write_bytes", content))
                written.append(path)
    return written


def drawn(figure: Figure, kind: str = "svg", choice: dict[str, str] | None = None) -> bytes:
    """A figure as the bytes of an ``svg`` or ``png`` file."""
    if kind == "png":
        return bytes(vl_convert.vegalite_to_png(whole(figure, choice), scale=2))
    return str(vl_convert.vegalite_to_svg(whole(figure, choice))).encode()


def _figures(sections: Sequence[Section]) -> list[Figure]:
    return [b for section in sections for b in section.blocks if isinstance(b, Figure)]


def _write_tables(results: Results) -> None:
    frames = {
        "summary": tables.summary_table(results),
        "paired": tables.paired_frame(results),
    }
    if results.generation:
        frames["generation"] = tables.generation_frame(results)
    taken = set(frames)
    for dataset in results.datasets:
        frames[file_name(dataset, taken)] = tables.final_frame(results, dataset)
    place = results.folder / "tables"
    for name, frame in frames.items():
        write_text(place / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
    head = ",".join(tables.FINAL_COLUMNS) + "\n"
    for path in place.glob("*.csv"):
        # Ours of data sets that the study no longer has; what else lies there is somebody's.
        if path.stem not in frames and path.read_bytes().startswith(head.encode()):
            path.unlink()
    write_text(
        results.folder / "results.csv", results.table.to_csv(index=False, lineterminator="\n")
    )
    write_whole(results.folder / "results.parquet", partial(results.table.to_parquet, index=False))
    if any(run.folder != results.folder for run in results.runs):
        # Where the records are all there is, they stay as they are.
        write_text(results.folder / RECORDS_FILE, records_text(results))


def _render(results: Results, sections: Sequence[Section]) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures = {figure.name: figure for figure in _figures(sections)}
    told = {
        name: {"chart": f.template, "controls": {c.name: c.options for c in f.controls}}
        for name, f in figures.items()
    }
    data = {name: packed(figure.data) for name, figure in figures.items()}
    return environment.get_template("page.html.jinja").render(
        results=results,
        sections=sections,
        warnings=list(provenance.warnings(results)),
        kind_of=lambda block: type(block).__name__,
        script=_bundle() if figures else "",
        stored=_inert({"figures": told, "tables": data, "config": CONFIG, **SIZES}),
    )


@cache
def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that may stand inside a page."""
    script = vl_convert.javascript_bundle(None)  # type: ignore[arg-type]
    return str(script).replace("</script", "<\\/script")


def _inert(value: Any) -> str:
    """JSON that may stand inside a script element of a page."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def file_name(name: str, taken: set[str]) -> str:
    """``name`` reduced to what every file system accepts, and unlike those ``taken``, then one."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "unnamed"
    while plain.lower() in taken:
        plain += "-"
    taken.add(plain.lower())
    return plain
