"""Options that several commands share."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from twincode.data import Columns, Dataset, Policy

DatasetArgument = Annotated[
    str, typer.Argument(metavar="DATASET", help="A UCR/UEA name, or a path to your own series.")
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        envvar="TWINCODE_DATA", help="Folder in UCRArchive_2018 layout or of NAME.npz files."
    ),
]
Device = Annotated[str, typer.Option(help="cpu, cuda, or auto.")]
RunFolder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a trained model.")]
SeriesFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="Your series: csv, tsv, npy, npz, parquet or ts.")
]
SeriesSource = Annotated[
    Path, typer.Argument(metavar="FILE", help="Your series: a file, or a folder of Parquet files.")
]
Workers = Annotated[int, typer.Option(help="Processes that take a Parquet file each at a time.")]
RayAddress = Annotated[
    str | None, typer.Option("--ray", help="Use Ray: local, or the address of a cluster.")
]
FigureFormats = Annotated[
    str | None, typer.Option(help="Write the charts as files too: svg, png, or svg,png.")
]
ResultsFolder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a study or a run.")]


@dataclass(frozen=True)
class Gaps:
    """What is done about series that are not whole or not of one length."""

    missing: Annotated[str, typer.Option(help="Missing values: error or interpolate.")] = "error"
    lengths: Annotated[str, typer.Option(help="Unequal lengths: error, resample or truncate.")] = (
        "error"
    )

    @property
    def policy(self) -> "Policy":
        """What the data room is told."""
        from twincode.data import Policy

        return Policy(self.missing, self.lengths)


@dataclass(frozen=True)
class Form:
    """What the columns of a table of series hold."""

    layout: Annotated[
        str, typer.Option(help="Of a table: wide, a series a row, or long, a time step a row.")
    ] = "wide"
    id_column: Annotated[str, typer.Option(help="Column that names the series.")] = ""
    label_column: Annotated[str, typer.Option(help="Column of labels.")] = ""
    time_column: Annotated[str, typer.Option(help="Column of times, in the long layout.")] = ""

    @property
    def columns(self) -> "Columns":
        """What the data room is told."""
        from twincode.data import Columns

        return Columns(self.layout, self.id_column, self.label_column, self.time_column)


@dataclass(frozen=True)
class Source(Gaps):
    """Where data sets lie, too."""

    data_dir: DataDir = None

    def load(
        self, name: str, columns: "Columns | None" = None, length: int | None = None
    ) -> "Dataset":
        """The data set of that name, or at that path, where columns may be told.

        Its series are brought to ``length``, if the policy can do that.
        """
        from twincode.data import Columns, Policy, load_dataset

        wanted = None if self.policy.lengths == Policy().lengths else length
        told = columns or Columns()
        return load_dataset(name, self.data_dir, self.policy, columns=told, length=wanted)


def typed_command() -> list[str]:
    """The command as a person would type it again, wherever the program lies."""
    return ["twincode", *sys.argv[1:]]
