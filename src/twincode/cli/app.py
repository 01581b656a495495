"""The commands. Heavy imports wait until a command needs them."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import twincode
from twincode.cli import generation, study
from twincode.cli.command import command, declared
from twincode.cli.errors import complain, tell_warnings, tolerate_any_encoding, usage_message
from twincode.cli.generation import PriorName, judge_generation, measured_data
from twincode.cli.health import tell_health
from twincode.cli.options import (
    DataDir,
    DatasetArgument,
    Device,
    Form,
    Gaps,
    RayAddress,
    RunFolder,
    SeriesFile,
    SeriesSource,
    Source,
    Workers,
    typed_command,
)
from twincode.cli.settings import describe_judging, describe_settings, parse_settings
from twincode.errors import TwincodeError
from twincode.memory import keep_freed_memory

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from twincode.bulk.job import Job
    from twincode.data.policy import FloatArray
    from twincode.data.tables import Rows
    from twincode.model import Model

app = typer.Typer(
    help="Discrete codes for time series: train, compare and look at vector-quantised models.",
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
)


@app.callback(invoke_without_command=True)
def _program(
    version: Annotated[bool, typer.Option("--version", help="Say which version this is.")] = False,
) -> None:
    if version:
        typer.echo(f"twincode {twincode.__version__}")


@command(app)
def datasets(data_dir: DataDir = None) -> None:
    """List what can be loaded here and from where.

    Example: [bold]twincode datasets --data-dir UCRArchive_2018[/bold]
    """
    from twincode.cli.tables import show
    from twincode.data import list_datasets

    found = list_datasets(data_dir)
    for source in sorted({info.source for info in found}):
        rows = [
            (d.name, d.n_train, d.n_test, d.channels, d.length or "varies", d.classes)
            for d in found
            if d.source == source
        ]
        show(["data set", "train", "test", "channels", "length", "classes"], rows, source)


@command(app, settings=describe_settings)
def train(
    context: typer.Context,
    dataset: DatasetArgument,
    out: Annotated[Path, typer.Option(help="Folder for the model, its log and its results.")],
    source: Source,
    form: Form,
    recipe: Annotated[str, typer.Option(help="Method; all are named below.")] = "mixture",
    device: Device = "auto",
) -> None:
    """Train one model. Any setting of the configuration is an option too.

    Example: [bold]twincode train GunPoint --bits 200 --out run[/bold]

    Example: [bold]twincode train GunPoint --recipe bt-vqvae --gamma 1 --epochs 50 --out run[/bold]

    Stop it at any time; the same command goes on where it was.
    """
    from twincode import distributed
    from twincode.cli.progress import RunProgress
    from twincode.cli.tables import show_final
    from twincode.recipes import recipe as build
    from twincode.recipes import title
    from twincode.train import fit

    config = build(recipe, **parse_settings(context.args, declared(context)))
    data = source.load(dataset, form.columns)
    epochs = config.training.epochs_for(len(data.X_train))
    with RunProgress(f"{data.name}  {title(config)}", epochs) as progress:
        fit(config, data, out, device, progress.watch, typed_command())
    speaks = distributed.rank() == 0
    distributed.leave()
    if not speaks:
        return
    if not progress.seen_anything:
        typer.echo(f"{out} holds this model already; nothing was run again")
    called = f"{data.name}, {title(config)}"
    show_final(out, f"{called}, {epochs} epochs")
    tell_health([(called, out)])
    typer.echo(f"model: {out}   page: twincode study report {out}")


@command(app, settings=describe_judging)
def evaluate(
    context: typer.Context,
    folder: RunFolder,
    source: Source,
    form: Form,
    dataset: Annotated[
        str | None, typer.Option(help="Another data set of the same shape; default: its own.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="CSV to write; default in DIR: evaluation.csv, generation.csv."),
    ] = None,
    generation: Annotated[
        bool, typer.Option("--generation", help="Judge series drawn from the prior instead.")
    ] = False,
    prior: PriorName = "prior",
    device: Device = "cpu",
) -> None:
    """Judge a trained model by every probe, as a table and a CSV.

    Example: [bold]twincode evaluate run --dataset GunPoint[/bold]

    With --generation it is the prior that is judged, by series drawn from it beside controls; how
    they are drawn and judged are options too.

    Example: [bold]twincode evaluate run --generation --extractor-seeds 3 --cas true[/bold]
    """
    import pandas as pd

    from twincode.cli.output import check_place
    from twincode.cli.tables import show_measurements, show_scores
    from twincode.files import write_text
    from twincode.model import PRIOR, load_bare_model, load_model

    if out is not None:
        check_place(out)
    model = load_model(folder, device, prior) if generation else load_bare_model(folder, device)
    options = [] if generation else [*parse_settings(context.args, declared(context))]
    options += ["prior"] if prior != PRIOR and not generation else []
    if options:
        raise TwincodeError(f"{', '.join(options)} can be chosen with --generation only")
    data = measured_data(model, source, form.columns, dataset)
    title, target = f"{model.source.name} model on {data.name}", out or folder / "evaluation.csv"
    if generation:
        scores = judge_generation(model, data, context.args, declared(context))
        target = out or folder / "generation.csv"
        show_scores(scores, f"series of the {title}")
        frame = pd.DataFrame(scores)
    else:
        measurements = model.evaluate(data)
        if not measurements:
            raise TwincodeError(
                "there is nothing to measure: the data have no test part, or the model no metrics"
            )
        show_measurements(measurements, title)
        frame = pd.DataFrame(measurements)
    write_text(target, frame.to_csv(index=False))
    typer.echo(f"written: {target}")


@command(app)
def encode(
    folder: RunFolder,
    file: SeriesSource,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="A .parquet, .csv, .npy or .npz file, or a folder."),
    ],
    gaps: Gaps,
    form: Form,
    device: Device = "cpu",
    precision: Annotated[
        str, typer.Option(help="float32, or the faster bfloat16, which moves a few codes.")
    ] = "float32",
    stride: Annotated[
        int, typer.Option(help="Cut longer series into windows that begin so many steps apart.")
    ] = 0,
    workers: Workers = 1,
    ray: RayAddress = None,
) -> None:
    """Turn your series into codes: one row a series, one column a place in the token grid.

    Example: [bold]twincode encode run my_series.csv -o codes.parquet[/bold]

    Parquet files of any size and number go file by file into a folder, codes in one list column:

    Example: [bold]twincode encode run series/ -o codes/ --workers 4[/bold]

    The same command goes on where a stopped one was.
    """
    from twincode.cli.output import check_target, code_columns, write_rows
    from twincode.model import load_bare_model

    if _is_bulk(file, out):
        from twincode.bulk import Encode

        job = Encode(form.columns, gaps.policy, stride, precision)
        _convert("encode", job, folder, file, out, workers, device, ray)
        return
    check_target(out, file)
    if stride or workers != 1 or ray:
        raise TwincodeError("--stride, --workers and --ray are for Parquet files: give -o a folder")
    model = load_bare_model(folder, device)
    series, beside = _read(model, file, gaps, form)
    codes = model.encode(series, precision)
    write_rows(out, codes, code_columns(*codes.shape[1:]), beside)
    typer.echo(f"written: {out} ({len(codes)} series, {codes[0].size} codes each)")


@command(app)
def decode(
    folder: RunFolder,
    file: Annotated[
        Path, typer.Argument(metavar="CODES", help="A folder or file that encode has written.")
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="A .csv, .parquet, .npy or .npz file, or a folder."),
    ],
    form: Form,
    device: Device = "cpu",
    workers: Workers = 1,
    ray: RayAddress = None,
) -> None:
    """Turn codes back into series.

    Example: [bold]twincode decode run codes.csv -o series.csv[/bold]

    Example: [bold]twincode decode run codes/ -o series/[/bold]
    """
    from twincode.bulk.parquet import check_codes_of, read_note
    from twincode.cli.output import check_target, write_rows
    from twincode.data.files import read_rows
    from twincode.data.tables import step_columns
    from twincode.model import load_bare_model

    if _is_bulk(file, out):
        from twincode.bulk import Decode
        from twincode.data import Columns

        if form.columns != Columns():
            raise TwincodeError("codes of a folder say what their columns hold; leave that out")
        _convert("decode", Decode(), folder, file, out, workers, device, ray)
        return
    check_target(out, file)
    if workers != 1 or ray:
        raise TwincodeError("--workers and --ray are for Parquet files: give -o a folder")
    model, rows = load_bare_model(folder, device), read_rows(file, form.columns)
    if file.suffix.lower() == ".parquet":
        made = read_note(file)
        if made is not None:
            check_codes_of(model.checksum, made, file)
    series = model.decode(_grid(model, rows, file))
    write_rows(out, series, step_columns(*series.shape[1:]), rows.beside)
    typer.echo(f"written: {out} ({len(series)} series)")


@command(app)
def reconstruct(
    folder: RunFolder,
    file: SeriesFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="A .csv, .parquet, .npy or .npz file.")],
    gaps: Gaps,
    form: Form,
    device: Device = "cpu",
) -> None:
    """Pass your series through the codes and back.

    Example: [bold]twincode reconstruct run my_series.csv -o out.csv[/bold]
    """
    from twincode.cli.output import check_target, write_rows
    from twincode.data.tables import step_columns
    from twincode.model import load_bare_model

    check_target(out, file)
    model = load_bare_model(folder, device)
    given, beside = _read(model, file, gaps, form)
    series = model.reconstruct(given)
    write_rows(out, series, step_columns(*series.shape[1:]), beside)
    typer.echo(f"written: {out} ({len(series)} series)")


@command(app)
def export(
    folder: RunFolder,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the graphs.")],
) -> None:
    """Write a model as ONNX graphs: an encoder, its decoder if any, and a description of both.

    Example: [bold]twincode export run -o graphs[/bold]
    """
    from twincode.export import DECODER, DESCRIPTION, ENCODER, export_onnx
    from twincode.model import load_bare_model

    model = load_bare_model(folder)
    export_onnx(model, out)
    graphs = [ENCODER, DECODER] if model.tokenizer.has_decoder else [ENCODER]
    typer.echo(f"written: {out} ({', '.join([*graphs, DESCRIPTION])})")


@command(app)
def explore(
    folder: RunFolder,
    source: Source,
    form: Form,
    out: Annotated[Path, typer.Option("--out", "-o", help="The page, an .html file.")],
    dataset: Annotated[
        str | None,
        typer.Argument(metavar="DATA", help="A name or a path; default: the model's own data."),
    ] = None,
    device: Device = "cpu",
) -> None:
    """Show what each code stands for: one page to look at in a browser.

    Example: [bold]twincode explore run -o codes.html[/bold]

    Example: [bold]twincode explore run my_series.csv -o codes.html[/bold]

    The page says how often a code is used, where along time, in which classes, and what difference
    it makes to the series.
    """
    from twincode.cli.output import check_place
    from twincode.explorer import explore as write_page
    from twincode.model import load_bare_model

    if out.suffix.lower() != ".html":
        raise TwincodeError(f"cannot write {out}: its name must end in .html")
    check_place(out)
    model = load_bare_model(folder, device)
    remedy = "give a name or a path after the folder"
    data = measured_data(model, source, form.columns, dataset, remedy)
    typer.echo(f"written: {write_page(model, data, out)}")


app.add_typer(generation.app)
app.add_typer(study.app, name="study")


def _read(model: "Model", file: Path, gaps: Gaps, form: Form) -> tuple["FloatArray", "pa.Table"]:
    """Series of the model's length, and what else the file says of each."""
    from twincode.data import apply_policy
    from twincode.data.files import read_rows

    rows = read_rows(file, form.columns)
    X = apply_policy(rows.series, gaps.policy, target_length=model.tokenizer.length)
    return X, rows.beside


def _grid(model: "Model", rows: "Rows", file: Path) -> "NDArray[np.int64]":
    """Codes (n, H, W) that a file holds as one row a series."""
    import numpy as np

    if not model.tokenizer.layout.grids:
        raise TwincodeError(f"{model.name} is continuous: it has no codes to decode")
    codes = [each.reshape(-1) for each in rows.series]
    H, width = model.tokenizer.grid[0], model.tokenizer.layout.width
    if {len(each) for each in codes} != {H * width} or any((c % 1 != 0).any() for c in codes):
        raise TwincodeError(f"{file} does not hold {H * width} codes a series, as this model's are")
    return np.stack(codes).astype(np.int64).reshape(-1, H, width)


def _is_bulk(file: Path, out: Path) -> bool:
    """Whether Parquet files go into a folder; what is not there is for that to tell."""
    from twincode.cli.output import SUFFIXES

    parquet = file.is_dir() or file.suffix.lower() == ".parquet"
    if parquet and (file.is_dir() or out.is_dir()):
        return out.suffix.lower() not in SUFFIXES
    return out.suffix == "" and (parquet or not file.exists())


def _convert(
    verb: str,
    job: "Job",
    model: Path,
    source: Path,
    out: Path,
    workers: int,
    device: str,
    ray: str | None,
) -> None:
    from twincode.bulk import convert_folder
    from twincode.cli.progress import RowsProgress

    with RowsProgress(f"{verb} {source.name}") as progress:
        converted, left = convert_folder(
            model, job, source, out, workers, device, progress.watch, ray
        )
    typer.echo(f"written: {out} (files: {converted} new, {left} there already)")


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line, by default the program's own; returns the exit status."""
    tolerate_any_encoding()
    tell_warnings()
    keep_freed_memory()
    arguments = list(sys.argv[1:] if words is None else words)
    if arguments in ([], ["study"]):
        arguments.append("--help")
    try:
        status = app(arguments, prog_name="twincode", standalone_mode=False)
    except typer.TyperException as error:
        complain(usage_message(error))
        return error.exit_code
    return int(status or 0)
