"""The models of a study in one fixed order, each with one fixed colour and marker."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import cycle

from twincode.report.runs import Run

NAIVE_RECIPE = "vqvae"
AUGMENTED_RECIPE = "vqvae-augmented"
RAW_RECIPE = "raw-series"
UNTRAINED_RECIPE = "random-encoder"
UNTRAINED_CONTINUOUS_RECIPE = "random-encoder-continuous"
_BUDGET_PREFIX = "thesis-"  # the same method under the authors' budget
_INK = "#3a3f4b"
_AMBER = "#d98200"
_CONTROL_GREY = "#8b919c"
_RAW_GREY = "#b0a99f"
# light to dark for one, two, three ... members of a family; hues a colour-blind reader can part
_RAMPS = (
    ("#79b4e3", "#2a7ab8", "#0b3c6b"),
    ("#5cc3a0", "#12886a", "#05503d"),
    ("#e2a3c6", "#b85f94", "#742b5a"),
    ("#f0a07c", "#cf5a2c", "#863210"),
    ("#c3b25a", "#8d7c1d", "#554a0c"),
    ("#a99be0", "#6b58bd", "#3a2b7d"),
    ("#6fc7d4", "#168a9c", "#0a4f5b"),
    ("#e8918f", "#c23b3f", "#751d22"),
    ("#9fc46b", "#5f8f24", "#33520e"),
    ("#c9a588", "#96694a", "#573a26"),
    ("#8fa6f0", "#3f5fd0", "#1d3080"),
    ("#d9a3e8", "#a347bf", "#5d1f70"),
)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "h", "*")
GLYPHS = dict(zip(_MARKERS, "●■▲◆▼✚✖⬟⬢★", strict=True))


@dataclass(frozen=True)
class Model:
    """One row of the tables: a display name, what it is, and how it is always drawn."""

    label: str
    recipe: str
    method: str
    gamma: float
    trained: bool
    colour: str
    marker: str

    @property
    def glyph(self) -> str:
        """The marker as a character, for text."""
        return GLYPHS[self.marker]

    @property
    def twin(self) -> bool:
        """Whether a twin loss took part in the training."""
        return self.trained and self.gamma > 0


def models_of(runs: Iterable[Run]) -> tuple[Model, ...]:
    """Every model among ``runs``: naive, augmentation alone, twin models by gamma, controls."""
    first: dict[str, Run] = {}
    for run in runs:
        first.setdefault(run.label, run)
    ordered = sorted(first.values(), key=_rank)
    colours = _colours(ordered)
    return tuple(
        Model(
            label=run.label,
            recipe=run.recipe,
            method=_method(run),
            gamma=run.gamma,
            trained=run.epochs > 0,
            colour=colours[run.label],
            marker=_MARKERS[index % len(_MARKERS)],
        )
        for index, run in enumerate(ordered)
    )


def _method(run: Run) -> str:
    """What the model is, however long it was trained: its recipe without the budget's prefix."""
    return run.recipe.removeprefix(_BUDGET_PREFIX)


def _rank(run: Run) -> tuple[int, str, float, str]:
    if run.epochs == 0:
        place = 5 if _method(run) == RAW_RECIPE else 4
    else:
        place = {NAIVE_RECIPE: 0, AUGMENTED_RECIPE: 1}.get(_method(run), 3 if run.gamma else 2)
    return place, run.recipe, run.gamma, run.label


def _colours(ordered: list[Run]) -> dict[str, str]:
    """Ink for the naive model, amber for augmentation alone, greys for controls, else families."""
    colours: dict[str, str] = {}
    families: dict[str, list[str]] = {}
    for run in ordered:
        if run.epochs == 0:
            colours[run.label] = _RAW_GREY if _method(run) == RAW_RECIPE else _CONTROL_GREY
        else:
            families.setdefault(_method(run), []).append(run.label)
    ramps = cycle(_RAMPS)
    for method, labels in families.items():
        base = {NAIVE_RECIPE: (_INK,), AUGMENTED_RECIPE: (_AMBER,)}.get(method)
        ramp = base if base and len(labels) == 1 else next(ramps)
        colours.update(zip(labels, _spread_over(ramp, len(labels)), strict=True))
    return colours


def _spread_over(ramp: tuple[str, ...], count: int) -> list[str]:
    """``count`` colours along ``ramp``, its middle for one; blended in between."""
    if count == 1:
        return [ramp[len(ramp) // 2]]
    places = [index * (len(ramp) - 1) / (count - 1) for index in range(count)]
    stops = (*ramp, ramp[-1])
    return [_blend(stops[int(at)], stops[int(at) + 1], at % 1) for at in places]


def _blend(first: str, second: str, share: float) -> str:
    pairs = ((int(first[i : i + 2], 16), int(second[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)
