"""The commands ``study`` and ``study status``."""

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twincode.cli.errors import FAILED, complain
from twincode.cli.health import tell_health
from twincode.cli.options import DataDir, Device, Lengths, Missing, typed_command
from twincode.cli.settings import listed, numbers, parse_settings
from twincode.errors import TwincodeError
from twincode.study.plan import Study
from twincode.study.study_file import read_study_file

if TYPE_CHECKING:
    from twincode.study import Outcome
    from twincode.study.executors.contract import Executor

# The second word is part of the name, so that ``twincode study --datasets ...`` can be a command.
STATUS = "study status"


def _usual(name: str) -> str:
    """The default of a field of a study, for a help text."""
    value = getattr(Study, name)
    parts = value if isinstance(value, tuple) else [value]
    text = ",".join(f"{part:g}" if isinstance(part, float) else str(part) for part in parts)
    return f"Default: {text}."


def study(
    context: typer.Context,
    datasets: Annotated[
        str | None, typer.Option(help="Names or paths, separated by commas.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for all runs and the page. Default: study.")
    ] = None,
    recipes: Annotated[
        str | None, typer.Option(help=f"Methods to compare; see train. {_usual('recipes')}")
    ] = None,
    gammas: Annotated[
        str | None, typer.Option(help=f"Twin loss weights. {_usual('gammas')}")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help=f"How many seeds: 0, 1, ... {_usual('seeds')}")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Instead of --epochs: the epochs nearest to so many optimiser steps."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="So many processes, each with its share of the cores.")
    ] = None,
    ray: Annotated[
        str | None, typer.Option(help="Use Ray: local, or the address of a cluster.")
    ] = None,
    cpus_per_run: Annotated[float | None, typer.Option(help="With --ray. Default: 1.")] = None,
    gpus_per_run: Annotated[
        float | None, typer.Option(help="With --ray; may be a fraction. Default: 0.")
    ] = None,
    device: Device = "auto",
    data_dir: DataDir = None,
    missing: Missing = "error",
    lengths: Lengths = "error",
) -> None:
    """Compare models over data sets, gammas and seeds. What is already there is not run again.

    Example: [bold]twincode study --datasets GunPoint,OSULeaf --epochs 50[/bold]

    A TOML file can say the same, and settings for single recipes: [bold]twincode study my.toml
    --workers 4[/bold]. What an option says counts before the file. Stop it at any time; the same
    command goes on where it was.
    """
    from twincode.cli.study_progress import StudyProgress
    from twincode.data import Policy
    from twincode.study import run_study
    from twincode.study.board import DONE
    from twincode.study.runner import RUNS

    file, words = _take_file(context.args)
    options = {
        "datasets": None if datasets is None else listed(datasets),
        "recipes": None if recipes is None else listed(recipes),
        "gammas": None if gammas is None else numbers(gammas, "gammas"),
        "seeds": seeds,
        "steps": steps,
    }
    plan = _plan(file, options, parse_settings(words))
    place = out or Path(file.stem if file else "study")
    executor = _executor(workers, ray, cpus_per_run, gpus_per_run)
    with StudyProgress() as progress:
        outcome = run_study(
            plan,
            place,
            data_dir,
            Policy(missing, lengths),
            device,
            executor,
            progress.watch,
            progress.announce,
            typed_command(),
        )
    done = [(row.title, place / RUNS / row.name) for row in progress.board.of(DONE)]
    _conclude(place, outcome, done)


def status(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a study.")],
) -> None:
    """Say how a study stands: what runs, what failed and why, how long the rest will take.

    Example: [bold]twincode study status study[/bold]

    It reads the study's ledger and changes nothing, whether the study is under way or not.
    """
    from twincode.cli.study_progress import describe
    from twincode.study import read_status

    for line in describe(read_status(folder), time.time()):
        typer.echo(line)


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


def _plan(file: Path | None, options: Mapping[str, object], settings: dict[str, str]) -> Study:
    """The study of the file, its entries replaced by what options say."""
    in_file = read_study_file(file) if file else {}
    entries = in_file | {name: value for name, value in options.items() if value is not None}
    both = {**entries.get("settings", {}), **settings}
    if settings.get("epochs") is not None and options["steps"] is None:
        entries.pop("steps", None)
    if options["steps"] is not None and "epochs" not in settings:
        both.pop("epochs", None)
    if "datasets" not in entries:
        raise TwincodeError("name data sets with --datasets, or a study file; see study --help")
    plan = Study(**{**entries, "settings": both})
    plan.check_read(settings)
    if file:
        _check_file(plan, in_file)
    return plan


def _check_file(plan: Study, in_file: Mapping[str, Any]) -> None:
    """Its settings are for the recipes it names, even where options leave some of them out."""
    recipes = (*in_file.get("recipes", Study.recipes), *plan.recipes)
    settings = {name: plan.settings[name] for name in in_file["settings"] if name in plan.settings}
    whole = dataclasses.replace(plan, recipes=recipes, settings=settings)
    whole.check_read(settings)


def _executor(
    workers: int | None, ray: str | None, cpus: float | None, gpus: float | None
) -> "Executor | None":
    from twincode.study import Processes, RayCluster

    if workers is not None and ray is not None:
        raise TwincodeError("use --workers or --ray, not both")
    if ray is None and not cpus is gpus is None:
        raise TwincodeError("--cpus-per-run and --gpus-per-run are for --ray")
    if ray is not None:
        usual = RayCluster.cpus, RayCluster.gpus
        return RayCluster(
            ray, usual[0] if cpus is None else cpus, usual[1] if gpus is None else gpus
        )
    return None if workers is None else Processes(workers)


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
