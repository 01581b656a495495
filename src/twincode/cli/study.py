"""The commands below ``study``."""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twincode.cli.command import command, declared
from twincode.cli.errors import FAILED, complain
from twincode.cli.health import tell_health
from twincode.cli.options import (
    Device,
    FigureFormats,
    Form,
    RayAddress,
    ResultsFolder,
    Source,
    typed_command,
)
from twincode.cli.settings import describe_settings, listed, parse_axes, parse_settings
from twincode.errors import TwincodeError

if TYPE_CHECKING:
    from twincode.study.executors.executor import Executor
    from twincode.study.plan import Study
    from twincode.study.runner import Outcome

app = typer.Typer(
    help="Compare models over data sets, seeds and any setting.", rich_markup_mode="rich"
)


@dataclass(frozen=True)
class Workers:
    """Who carries the runs out."""

    workers: Annotated[
        int | None, typer.Option(help="Number of processes, each with its share of the cores.")
    ] = None
    ray: RayAddress = None
    per_run: Annotated[
        str | None, typer.Option(help="With --ray: what a run takes. Default: cpus=1,gpus=0.")
    ] = None

    def executor(self) -> "Executor | None":
        """The executor that these options describe."""
        from twincode.study import Processes, RayCluster

        if self.workers is not None and self.ray is not None:
            raise TwincodeError("use --workers or --ray, not both")
        if self.ray is not None:
            return RayCluster(self.ray, **_resources(self.per_run or ""))
        if self.per_run is not None:
            raise TwincodeError("--per-run is for --ray")
        return None if self.workers is None else Processes(self.workers)


@command(app, settings=partial(describe_settings, without="seed"), metavar="[FILE.toml] [OPTIONS]")
def run(
    context: typer.Context,
    workers: Workers,
    source: Source,
    form: Form,
    datasets: Annotated[
        str | None, typer.Option(help="Names or paths, separated by commas.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for all runs and the page. Default: named like the file, else study."
        ),
    ] = None,
    recipes: Annotated[
        str | None,
        typer.Option(help="Methods to compare. Default: mixture,vqvae,vqvae-augmented,bt-vqvae."),
    ] = None,
    axis: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=V1,V2", help="A setting that varies; may be given again."),
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="How many: 0, 1, ... Default: 3.")] = None,
    device: Device = "auto",
) -> None:
    """Run a study and make its page. What is already there is not run again.

    Example: [bold]twincode study run --datasets GunPoint --axis gamma=0.5,1[/bold]

    Any setting of a model is an option too, for all models that have it, and can be an axis. A TOML
    file can say the same and more; what an option says counts before it. Stop it at any time; the
    same command goes on where it was.
    """
    from twincode.cli.study_progress import StudyProgress
    from twincode.study import run_study

    file, words = _take_file(context.args)
    options = {
        "datasets": None if datasets is None else listed(datasets),
        "recipes": None if recipes is None else listed(recipes),
        "seeds": seeds,
    }
    given = {name: value for name, value in options.items() if value is not None}
    plan = _plan(file, given, parse_settings(words, declared(context)), parse_axes(axis or ()))
    place = out or Path(file.stem if file else "study")
    with StudyProgress() as progress:
        outcome = run_study(
            plan,
            place,
            source.data_dir,
            source.policy,
            device,
            workers.executor(),
            progress.watch,
            typed_command(),
            columns=form.columns,
        )
    _conclude(place, outcome, progress.done(place))


@command(app)
def status(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a study.")],
) -> None:
    """Say how a study stands: what runs, what failed and why, how long the rest will take.

    Example: [bold]twincode study status study[/bold]

    It changes nothing, whether the study is under way or not.
    """
    from twincode.cli.study_progress import describe
    from twincode.study import read_status

    for line in describe(read_status(folder), time.time()):
        typer.echo(line)


@command(app)
def report(folder: ResultsFolder, figures: FigureFormats = None) -> None:
    """Make the page and the tables of a study, or of one run, from the stored results alone.

    Example: [bold]twincode study report study --figures svg[/bold]
    """
    from twincode.report import write_figures, write_report

    # Figures first: a format that there is not leaves the page as it was.
    drawn = None if figures is None else write_figures(folder, listed(figures))
    typer.echo(f"page: {write_report(folder)}")
    if drawn is not None:
        typer.echo(f"figures: {len(drawn)} files in {folder / 'figures'}")


def _take_file(words: list[str]) -> tuple[Path | None, list[str]]:
    """The study file among the words that are no declared option, and the others."""
    files = [word for word in words if word.endswith(".toml") and not word.startswith("-")]
    if len(files) > 1:
        raise TwincodeError(f"one study file at a time, not {' and '.join(files)}")
    rest = [word for word in words if word not in files]
    if rest and not rest[0].startswith("-"):
        raise TwincodeError(
            f"unexpected argument {rest[0]!r}; the name of a study file ends in .toml"
        )
    return (Path(files[0]) if files else None), rest


def _plan(
    file: Path | None,
    options: Mapping[str, Any],
    settings: Mapping[str, str],
    axes: Mapping[str, Sequence[Any]],
) -> "Study":
    """The study of the file, its entries replaced by what options say."""
    from twincode.study import Study
    from twincode.study.plan import BUDGET
    from twincode.study.study_file import read_study_file

    in_file = read_study_file(file) if file else {}
    if "datasets" not in {**in_file, **options}:
        raise TwincodeError("name data sets with --datasets, or a study file; see study run --help")
    said = {*settings, *axes}
    said |= BUDGET if said & BUDGET else set()

    def unsaid(table: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in table.items() if name not in said}

    overrides = {name: unsaid(table) for name, table in in_file.get("overrides", {}).items()}
    changed: dict[str, Any] = {
        "settings": {**unsaid(in_file.get("settings", {})), **settings},
        "axes": {**unsaid(in_file.get("axes", {})), **axes},
        "overrides": overrides,
    }
    if "recipes" not in options:
        return Study(**{**in_file, **options, **changed})
    # The file is for its own recipes, of which options may leave some out.
    whole = Study(**{"datasets": options.get("datasets"), **in_file})
    whole.configs()
    changed["overrides"] = {n: t for n, t in overrides.items() if n in options["recipes"]}
    priors = whole.priors and whole.priors.only(options["recipes"])
    plan = Study(**{**in_file, **options, **changed, "priors": priors})
    idle = {*plan.unread()} - said
    return dataclasses.replace(
        plan,
        settings={n: v for n, v in plan.settings.items() if n not in idle},
        axes={n: v for n, v in plan.axes.items() if n not in idle},
    )


def _resources(text: str) -> dict[str, float]:
    """``cpus=1,gpus=0.5`` as what a run takes."""
    try:
        found = {name: float(number) for name, number in (i.split("=") for i in listed(text))}
    except ValueError:
        found = {"": 0.0}
    if not {"cpus", "gpus"} >= set(found):
        raise TwincodeError(f"--per-run looks like cpus=1,gpus=0.5, not {text!r}")
    return found


def _conclude(place: Path, outcome: "Outcome", done: list[tuple[str, Path]]) -> None:
    from twincode.cli.tables import show_by
    from twincode.report import load_results, summary_table, write_report

    typer.echo(f"runs: {outcome.trained} trained, {outcome.present} already there")
    _tell_failures(outcome)
    tell_health(done)
    if outcome.failed and not outcome.trained + outcome.present:
        raise typer.Exit(FAILED)
    page = write_report(place)
    title = "{}: mean ± standard deviation over seeds"
    show_by(summary_table(load_results(place)), "data set", title)
    typer.echo(f"page: {page}")
    if outcome.failed:
        raise typer.Exit(FAILED)


def _tell_failures(outcome: "Outcome") -> None:
    """One line for each reason, whichever runs it struck."""
    for reason in dict.fromkeys(outcome.failed.values()):
        titles = [title for title, found in outcome.failed.items() if found == reason]
        more = f" and {len(titles) - 1} more" if len(titles) > 1 else ""
        complain(f"failed: {titles[0]}{more}: {reason}")
