"""Any setting of a configuration as an option: ``--codebook-size 64``."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING

from twincode.errors import TwincodeError, unknown_name

if TYPE_CHECKING:
    from twincode.settings import Settings

_INTRODUCTION = (
    "Settings and their defaults, by the part that has them; a recipe changes a few. One that no "
    "part of the model has is an error. Parts are chosen by name: --tokenizer, --quantizer, "
    "--twin-loss, and, several with commas between, --augmentations and --metrics."
)


def parse_settings(
    words: Sequence[str], declared: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Options that no command declares, as names and values of settings.

    Takes ``--name value`` and ``--name=value``, hyphens or underscores alike. Whether there is a
    setting of that name is for the configuration to say; one that is no setting and nearly an
    option that is ``declared`` is an error here.
    """
    settings: dict[str, str] = {}
    remaining = list(words)
    while remaining:
        word = remaining.pop(0)
        if not word.startswith("--"):
            raise TwincodeError(f"unexpected argument {word!r}; settings look like --epochs 50")
        name, equals, value = word[2:].partition("=")
        if not equals:
            if not remaining or remaining[0].startswith("--"):
                raise TwincodeError(f"setting {word} needs a value")
            value = remaining.pop(0)
        settings[name.replace("-", "_")] = value
    _check_spelling(settings, declared or {})
    return settings


def _check_spelling(names: Iterable[str], options: Mapping[str, str]) -> None:
    for name in names:
        nearest = get_close_matches(name, options, n=1, cutoff=0.8)
        if nearest and name not in _all_settings():
            written = f"--{name.replace('_', '-')}"
            raise TwincodeError(f"unknown option {written}; did you mean {options[nearest[0]]}?")


def _all_settings() -> set[str]:
    """The name of every setting of whatever kind."""
    from twincode.config import setting_names
    from twincode.evaluate.generation import GenerationSettings
    from twincode.generate import Filling
    from twincode.priors import PRIORS
    from twincode.settings import field_types

    kinds: list[type[Settings]] = [type(PRIORS.choose(name)) for name in PRIORS]
    kinds += [PRIORS.choose(name).sampling for name in PRIORS]
    return {*setting_names()}.union(*map(field_types, (*kinds, GenerationSettings, Filling)))


def parse_axes(words: Iterable[str]) -> dict[str, tuple[int | float | str, ...]]:
    """Axes from ``NAME=V1,V2``; a semicolon parts values that are lists themselves."""
    axes = {}
    for word in words:
        name, equals, text = word.partition("=")
        values = tuple(v.strip() for v in text.split(";" if ";" in text else ",") if v.strip())
        if not (name and equals and values):
            raise TwincodeError(f"an axis looks like --axis gamma=0.5,1,2, not {word!r}")
        name = name.strip().replace("-", "_")
        if name in axes:
            raise TwincodeError(f"axis {name} is given twice; give all its values at once")
        axes[name] = tuple(map(_plain, values))
    return axes


def describe_settings(without: str = "") -> str:
    """Every setting with its default, a paragraph a part, for the help of a command.

    ``without`` is one that the command does not have.
    """
    from twincode.config import groups
    from twincode.recipes import RECIPES

    paragraphs = [
        f"[bold]{title}:[/bold] "
        + " ".join(_option(*setting) for setting in settings.items() if setting[0] != without)
        for title, settings in groups()
        if settings
    ]
    recipes = f"[bold]recipes:[/bold] {', '.join(RECIPES)}"
    return "\n\n".join([recipes, _INTRODUCTION, *paragraphs])


def describe_prior_settings() -> str:
    """Every setting of every prior with its default, for the help of a command."""
    from twincode.priors import PRIORS

    return _described((f"prior {name}", PRIORS.choose(name)) for name in PRIORS)


def parse_sampling(
    words: Sequence[str], declared: Mapping[str, str], *beside: "type[Settings]"
) -> dict[str, str]:
    """Options that are settings of drawing from some prior, or of a kind ``beside`` them."""
    from twincode.priors import PRIORS
    from twincode.settings import field_types

    settings = parse_settings(words, declared)
    kinds = (*beside, *(PRIORS.choose(name).sampling for name in PRIORS))
    known = set().union(*map(field_types, kinds))
    for name in settings:
        if name not in known:
            raise unknown_name("setting", name, known)
    return settings


def describe_sampling() -> str:
    """Every setting of drawing from a prior with its default, for the help of a command."""
    from twincode.priors import IterativeSampling, Sampling

    parts = {"any prior": Sampling(), "a masked prior": IterativeSampling()}
    return _described(parts.items())


def describe_filling() -> str:
    """Every setting of filling gaps with its default, and of drawing what fills them."""
    from twincode.generate import Filling

    return f"{_described([('any gap', Filling())])}\n\n{describe_sampling()}"


def describe_judging() -> str:
    """Every setting of judging samples with its default, and of drawing them."""
    from twincode.evaluate.generation import GenerationSettings

    judging = _described([("with --generation", GenerationSettings())])
    return f"{judging}\n\n{describe_sampling()}"


def _described(parts: "Iterable[tuple[str, Settings]]") -> str:
    return "\n\n".join(
        f"[bold]{title}:[/bold] "
        + " ".join(_option(*each) for each in part.to_dict().items() if each[0] != "name")
        for title, part in parts
    )


def listed(text: str) -> tuple[str, ...]:
    """The items of a comma-separated list."""
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _plain(text: str) -> int | float | str:
    """A number where it is one."""
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def _option(name: str, value: object) -> str:
    """``--name=value``, which stays together where a help text wraps."""
    parts = value if isinstance(value, list) else [value]
    text = ",".join(f"{part:g}" if isinstance(part, float) else str(part) for part in parts)
    return f"--{name.replace('_', '-')}={text}"
