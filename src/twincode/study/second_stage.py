"""The second stage of a study: priors over the codes of its models, and how samples are judged."""

import dataclasses
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from twincode.data import Dataset
from twincode.data.split import prepare
from twincode.errors import TwincodeError, unknown_name
from twincode.evaluate.generation import GENERATION_METRICS, GenerationSettings
from twincode.files import write_json
from twincode.generate import Sampler, Stages, check_judged, judge, make_exhibits
from twincode.model import Model
from twincode.priors import PriorSettings, Sampling, prior
from twincode.settings import digest, field_types
from twincode.storage import write_arrays
from twincode.train import fit_prior
from twincode.train.log import Watch
from twincode.train.result import EXHIBITS, RESULT

FORMAT = 1
PRIORS_FOLDER, JUDGED_FOLDER, EXTRACTORS_FOLDER = "priors", "generation", "extractors"
# What a table of one recipe may say in place of what holds for all.
_OF_A_RECIPE = ("kinds", "settings", "samplers")

Pairs = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class SecondStage:
    """The priors of one run, the samplers by name, and how what they draw is judged."""

    priors: tuple[PriorSettings, ...]
    samplers: tuple[tuple[str, Pairs], ...]
    judging: GenerationSettings

    def to_dict(self) -> dict[str, Any]:
        """As plain values, ready for JSON."""
        return {
            "priors": [each.to_dict() for each in self.priors],
            "samplers": {name: dict(pairs) for name, pairs in self.samplers},
            "judging": self.judging.to_dict(),
        }

    @property
    def name(self) -> str:
        """That of its folder in the run's; equal settings, equal name."""
        identity = {
            **self.to_dict(),
            "priors": [each.identity() for each in self.priors],
            "judging": self.judging.identity(),
        }
        return digest(identity)[:10]

    @property
    def result(self) -> str:
        """What marks it as done, seen from the run's folder."""
        return f"{JUDGED_FOLDER}/{self.name}/{RESULT}"

    def check(self, dataset: Dataset) -> None:
        """Raise TwincodeError for data that samples cannot be judged by, before any training."""
        x = dataset.X_train
        check_judged(len(x), len(dataset.X_test), x.shape[2], self.judging)

    def carry_out(
        self,
        model: Model,
        dataset: Dataset,
        folder: Path,
        watch: Watch | None,
        command: Sequence[str],
        checkpoint_seconds: float,
    ) -> None:
        """Fit the priors to the codes of a run's model, draw series and judge them.

        Each prior is kept in a folder of its own, from which it goes on where it was stopped; what
        is judged, in one whose result is written last. Extractors are shared by the whole study.
        """
        samplers = []
        for settings in self.priors:
            place = folder / PRIORS_FOLDER / f"{settings.name}-{settings.digest()[:8]}"
            fitted = fit_prior(settings, model, dataset, place, watch, command, checkpoint_seconds)
            assert fitted.prior is not None
            stages = Stages(model.tokenizer, fitted.prior)
            samplers += [Sampler(name, stages, how) for name, how in self._ways(settings)]
        began = time.perf_counter()
        split = prepare(dataset, model.scaling, model.device)
        extractors = folder.parents[1] / EXTRACTORS_FOLDER
        judged = judge(samplers, split, self.judging, extractors)
        exhibits = make_exhibits(samplers, judged, self.judging.generation_seed)
        place = (folder / self.result).parent
        write_arrays(place / EXHIBITS, exhibits)
        write_json(
            place / RESULT,
            {
                "format": FORMAT,
                "name": self.name,
                **self.to_dict(),
                "metrics": [asdict(metric) for metric in GENERATION_METRICS],
                "scores": [score._asdict() for score in judged.scores],
                "seconds": time.perf_counter() - began,
            },
        )

    def _ways(self, settings: PriorSettings) -> list[tuple[str, Sampling]]:
        """What drawing from a prior is called, and how it is done; equal ways once."""
        names: dict[Sampling, str] = {}
        kind = settings.sampling
        for name, pairs in self.samplers:
            own = {key: value for key, value in pairs if key in field_types(kind)}
            names.setdefault(kind().replace(**own), name)
        if len(names) == 1:
            return [(settings.name, how) for how in names]
        return [(f"{settings.name}, {name}", how) for how, name in names.items()]


@dataclass(frozen=True)
class Priors:
    """The second stage of a study, as it is described.

    ``kinds`` are those of priors, each trained for every model with codes; ``settings`` hold for
    those that have them, and ``samplers``, by name, say how series are drawn: settings of drawing,
    for the priors that have them. ``judging`` are settings of judging, for all. ``recipes`` give
    single recipes kinds, settings (beside those for all) and samplers of their own. The independent
    prior is judged without being asked for.
    """

    kinds: tuple[str, ...] = ("masked",)
    settings: Mapping[str, Any] = field(default_factory=dict)
    samplers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    judging: Mapping[str, Any] = field(default_factory=dict)
    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        GenerationSettings().replace(**self.judging)
        for own in self.recipes.values():
            for name in own:
                if name not in _OF_A_RECIPE:
                    raise unknown_name("entry for the priors of a recipe", name, _OF_A_RECIPE)
        for recipe_name in ("", *self.recipes):
            self.of(recipe_name, 0)

    def only(self, recipes: Collection[str]) -> "Priors":
        """The same for these recipes alone."""
        own = {name: table for name, table in self.recipes.items() if name in recipes}
        return dataclasses.replace(self, recipes=own)

    def of(self, recipe_name: str, seed: int) -> SecondStage:
        """The second stage of a run; TwincodeError for what is no setting of any of its priors."""
        own = self.recipes.get(recipe_name, {})
        kinds = tuple(own.get("kinds", self.kinds))
        if not kinds:
            raise TwincodeError("priors need at least one of kinds")
        settings = {**self.settings, **own.get("settings", {})}
        samplers = own.get("samplers", self.samplers) or {"": {}}
        if "seed" in settings:
            raise TwincodeError("a study varies seed itself, that of priors too; use seeds")
        chosen = [prior(kind) for kind in kinds]
        if len({each.name for each in chosen}) < len(chosen):
            raise TwincodeError(
                f"of the kinds {', '.join(kinds)} two are one prior in other settings, "
                "and rows are named after priors; choose one"
            )
        # What is said for all recipes is for their kinds, of which this one may have fewer.
        said = own if recipe_name in self.recipes else vars(self)
        known = set().union(*(field_types(type(each)) for each in chosen))
        _check("setting of these priors", said.get("settings", {}), known)
        drawn = set().union(*(field_types(each.sampling) for each in chosen))
        for name, how in said.get("samplers", {}).items():
            _check(f"setting of these priors' sampler {name}", how, drawn)
        priors = tuple(
            each.replace(**{n: v for n, v in settings.items() if n in field_types(type(each))})
            for each in chosen
        )
        stage = SecondStage(
            tuple(each.replace(seed=seed) for each in priors),
            tuple((name, tuple(sorted(how.items()))) for name, how in samplers.items()),
            GenerationSettings().replace(**self.judging),
        )
        for each in stage.priors:
            stage._ways(each)  # whatever cannot be is to fail before anything is trained
        return stage


def _check(what: str, given: Mapping[str, Any], known: set[str]) -> None:
    for name in given:
        if name not in known:
            raise unknown_name(what, name, known)
