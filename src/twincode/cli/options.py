"""Options that several commands share."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from twincode.cli.settings import describe_settings

# Options a command does not declare are settings of the configuration.
WITH_SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True}
SETTINGS = describe_settings()

DatasetArgument = Annotated[
    str, typer.Argument(metavar="DATASET", help="A UCR/UEA name, or a path to your own series.")
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        envvar="TWINCODE_DATA", help="Folder in UCRArchive_2018 layout or of NAME.npz files."
    ),
]
Missing = Annotated[str, typer.Option(help="Missing values: error or interpolate.")]
Lengths = Annotated[str, typer.Option(help="Unequal lengths: error, resample or truncate.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, or auto.")]
RunFolder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a trained model.")]
SeriesFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="Your series: csv, tsv, npy, npz, parquet or ts.")
]


def typed_command() -> list[str]:
    """The command as a person would type it again, wherever the program lies."""
    return ["twincode", *sys.argv[1:]]
