"""The commands of the second stage: fit a prior to codes, and use it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twincode.cli.command import command, declared
from twincode.cli.options import Device, Form, Gaps, RunFolder, SeriesFile, Source, typed_command
from twincode.cli.settings import (
    describe_filling,
    describe_prior_settings,
    describe_sampling,
    parse_sampling,
    parse_settings,
)
from twincode.errors import TwincodeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from twincode.data import Columns, Dataset
    from twincode.evaluate.generation import Score
    from twincode.model import Model

app = typer.Typer()

PriorName = Annotated[str, typer.Option(help="The subfolder of DIR with the prior.")]
Labels = Annotated[str, typer.Option(help="none, or the class that the series are of.")]
Output = Annotated[Path, typer.Option("--out", "-o", help="A .csv, .parquet, .npy or .npz file.")]
Seed = Annotated[int, typer.Option(help="What is drawn depends on it alone.")]
SERIES = "series"  # the column that numbers series which nothing names


@command(app, settings=describe_prior_settings)
def prior(
    context: typer.Context,
    folder: RunFolder,
    source: Source,
    form: Form,
    kind: Annotated[
        str,
        typer.Option(help="masked, autoregressive, tree, independent, or timevqvae, as published."),
    ] = "masked",
    name: PriorName = "prior",
    dataset: Annotated[
        str | None, typer.Option(help="The model's own data, if not found by their name.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Fit a prior to a model's codes: what generates, fills gaps and finds surprises.

    Example: [bold]twincode prior run --kind masked --steps 2000[/bold]

    Stop it at any time; the same command goes on where it was.
    """
    from twincode.cli.progress import RunProgress
    from twincode.cli.tables import show_final
    from twincode.model import PRIOR, load_bare_model
    from twincode.priors import prior as build
    from twincode.train import fit_prior

    if Path(name).name != name or name in ("", ".."):
        raise TwincodeError(f"--name is that of a subfolder of {folder}, not {name!r}")
    settings = build(kind, **parse_settings(context.args, declared(context)))
    model = load_bare_model(folder, device)
    data = own_data(model, source, dataset, form.columns)
    title = f"{data.name}  {kind} prior"
    with RunProgress(title) as progress:
        fit_prior(settings, model, data, folder / name, progress.watch, typed_command())
    if not progress.seen_anything:
        typer.echo(f"{folder / name} holds this prior already; nothing was run again")
    show_final(folder / name, f"{title}, bits a token")
    chosen = "" if name == PRIOR else f" --prior {name}"
    series = f"twincode sample {folder}{chosen} -n 100 -o samples.csv"
    typer.echo(f"prior: {folder / name}   series: {series}")


@command(app, settings=describe_sampling)
def sample(
    context: typer.Context,
    folder: RunFolder,
    out: Output,
    n: Annotated[int, typer.Option("-n", help="How many series.")] = 100,
    labels: Annotated[
        str, typer.Option(help="train, as often as there (the default); none; or one class.")
    ] = "",
    seed: Seed = 0,
    prior: PriorName = "prior",
    device: Device = "cpu",
) -> None:
    """Draw new series from a model and its prior. How they are drawn are options too.

    Example: [bold]twincode sample run -n 500 --labels train -o samples.parquet[/bold]
    """
    import pyarrow as pa

    from twincode.cli.output import check_target, write_rows
    from twincode.data.tables import step_columns
    from twincode.model import load_model

    check_target(out)
    model = load_model(folder, device, prior)
    settings = parse_sampling(context.args, declared(context))
    series, told = model.sample(n, labels or None, seed, **settings)
    more = {} if told is None else {"label": told}
    write_rows(out, series, step_columns(*series.shape[1:]), pa.table(more))
    typer.echo(f"written: {out} ({len(series)} series)")


@command(app, settings=describe_filling)
def impute(
    context: typer.Context,
    folder: RunFolder,
    file: SeriesFile,
    out: Output,
    form: Form,
    draws: Annotated[int, typer.Option(help="How many times each gap is filled.")] = 1,
    labels: Labels = "none",
    seed: Seed = 0,
    prior: PriorName = "prior",
    device: Device = "cpu",
) -> None:
    """Fill gaps: empty cells, and what a series lacks at its end, which is a forecast.

    Example: [bold]twincode impute run gaps.csv -o filled.csv --draws 20[/bold]

    With several draws each is a row; columns say which series and which draw it is.
    """
    import numpy as np

    from twincode.cli.output import check_free, check_target, write_rows
    from twincode.data.tables import step_columns
    from twincode.generate import Filling
    from twincode.model import load_model

    check_target(out, file)
    settings = parse_sampling(context.args, declared(context), Filling)
    model = load_model(folder, device, prior)
    series, beside, label = _with_gaps(file, form, model)
    if draws > 1:
        check_free(beside, ["draw"])
    filled = model.impute(series, draws, seed, labels, **settings)
    n, columns = len(series), step_columns(*series.shape[1:])
    rows = filled.swapaxes(0, 1).reshape(n * draws, *series.shape[1:])
    if draws > 1:
        which = {"draw": np.tile(np.arange(draws), n)}
        beside = _beside_each(beside, label, [draws] * n, which)
    write_rows(out, rows, columns, beside)
    typer.echo(f"written: {out} ({n} series, {draws} {'draw' if draws == 1 else 'draws'} each)")


@command(app)
def surprise(
    folder: RunFolder,
    file: SeriesFile,
    out: Output,
    gaps: Gaps,
    form: Form,
    labels: Labels = "none",
    prior: PriorName = "prior",
    device: Device = "cpu",
) -> None:
    """Say how surprising every step is, in bits: one line a step, one column a frequency row.

    Example: [bold]twincode surprise run series.csv -o surprise.csv[/bold]

    Series may be longer than those of train, each of a length of its own.
    """
    import numpy as np

    from twincode.cli.output import check_free, check_target, write_rows
    from twincode.data.files import read_rows
    from twincode.data.policy import apply_policy, fill_gaps, rows_by_length
    from twincode.model import load_model
    from twincode.priors import NO_LABEL

    check_target(out, file)
    model = load_model(folder, device, prior)
    given = read_rows(file, form.columns)
    check_free(given.beside, ["step", "surprise"])
    given_as = gaps.policy
    series = (
        fill_gaps(given.series, given_as.missing)
        if given_as.lengths == "error"
        else list(apply_policy(given.series, given_as))
    )
    found = [np.empty(0, np.float32)] * len(series)
    for own in rows_by_length(series).values():
        scores = model.surprise(np.stack([series[row] for row in own]), labels)
        for row, each in zip(own, scores, strict=True):
            found[row] = each.T
    rows, steps = np.concatenate(found), [len(each) for each in found]
    total = rows.sum(1)
    which = {"step": np.concatenate([np.arange(T) for T in steps]), "surprise": total}
    columns = [f"row{h}" for h in range(rows.shape[1])]
    write_rows(out, rows, columns, _beside_each(given.beside, given.label, steps, which))
    typer.echo(f"written: {out} ({len(series)} series, mean {total.mean():.4g} bits)")
    # The threshold is that of series whose class is not told.
    if labels == NO_LABEL and model.prior is not None and model.prior.threshold is not None:
        above = int((total > model.prior.threshold).sum())
        typer.echo(f"above {model.prior.threshold:.4g} bits, 1 % of ordinary steps: {above} steps")


def own_data(
    model: "Model",
    source: Source,
    dataset: str | None = None,
    columns: "Columns | None" = None,
    remedy: str = "give a name or a path with --dataset",
) -> "Dataset":
    """The data a model was trained on, if they can be found and are the same."""
    try:
        data = source.load(dataset or model.source.name, columns)
    except TwincodeError as error:
        raise TwincodeError(f"cannot load the model's own data: {error}; or {remedy}") from error
    if data.checksum != model.source.checksum:
        remedy = "they differ in values, labels or test part" if dataset else remedy
        raise TwincodeError(
            f"the model was trained on another {data.name} ({model.source.origin}) "
            f"than is found now ({data.origin}); {remedy}"
        )
    return data


def measured_data(
    model: "Model",
    source: Source,
    columns: "Columns",
    dataset: str | None,
    remedy: str = "give a name or a path with --dataset",
) -> "Dataset":
    """The data set that is named, of the model's length where the policy allows; else its own."""
    if not dataset:
        return own_data(model, source, None, columns, remedy)
    return source.load(dataset, columns, model.tokenizer.length)


def judge_generation(
    model: "Model", data: "Dataset", words: "Sequence[str]", options: "Mapping[str, str]"
) -> "list[Score]":
    """Scores of series drawn from a model, under options of judging and of drawing."""
    from twincode.evaluate.generation import GenerationSettings

    return model.evaluate_generation(data, **parse_sampling(words, options, GenerationSettings))


def _with_gaps(
    file: Path, form: Form, model: "Model"
) -> "tuple[NDArray[np.floating], pa.Table, str | None]":
    """The series (n, C, L) of a file, shorter ones with a gap at their end, and what is beside,
    with the name of the label."""
    import numpy as np

    from twincode.data.files import read_rows

    rows = read_rows(file, form.columns)
    L, C = model.tokenizer.length, model.tokenizer.channels
    for i, each in enumerate(rows.series, 1):
        if each.shape[0] != C or each.shape[1] > L:
            raise TwincodeError(
                f"series {i} of {file} has {each.shape[0]} channels and {each.shape[1]} steps; "
                f"this model was made for {C} and at most {L}"
            )
    series = np.stack(
        [np.pad(s, ((0, 0), (0, L - s.shape[1])), constant_values=np.nan) for s in rows.series]
    ).astype(np.float64)
    return series, rows.beside, rows.label


def _beside_each(
    beside: "pa.Table", label: str | None, times: "Sequence[int]", which: "dict[str, NDArray]"
) -> "pa.Table":
    """Beside each of so many rows a series: what the file says, and ``which``.

    A number tells the series where nothing but a label does.
    """
    import numpy as np
    import pyarrow as pa

    if not {*beside.column_names} - {label}:
        beside = pa.table(
            {SERIES: np.arange(len(times)), **{k: beside[k] for k in beside.column_names}}
        )
    repeated = beside.take(pa.array(np.repeat(np.arange(len(times)), times)))
    for name, values in which.items():
        repeated = repeated.append_column(name, pa.array(values))
    return repeated
