"""Any field of a configuration as an option: ``--codebook-size 64``."""

from collections.abc import Sequence

from twincode.config import Config
from twincode.errors import TwincodeError

_INTRODUCTION = (
    "Settings and their defaults; a recipe changes a few. One that the model would not read is an "
    "error."
)


def parse_settings(words: Sequence[str]) -> dict[str, str]:
    """Options that no command declares, as field names and values.

    Takes ``--name value`` and ``--name=value``, hyphens or underscores alike. Whether a field of
    that name exists is for the configuration to say.
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
    return settings


def describe_settings() -> str:
    """Every setting with its default, a paragraph a group, for the help of a command."""
    groups = {name: fields for name, fields in Config().to_dict().items() if name != "recipe"}
    paragraphs = [
        f"[bold]{group}:[/bold] " + " ".join(_option(*field) for field in fields.items())
        for group, fields in groups.items()
    ]
    return "\n\n".join([_INTRODUCTION, *paragraphs])


def listed(text: str) -> tuple[str, ...]:
    """The items of a comma-separated list."""
    return tuple(item.strip() for item in text.split(",") if item.strip())


def numbers(text: str, what: str) -> tuple[float, ...]:
    """The numbers of a comma-separated list."""
    try:
        return tuple(float(item) for item in listed(text))
    except ValueError:
        raise TwincodeError(f"{what} must be numbers separated by commas, not {text!r}") from None


def _option(name: str, value: object) -> str:
    """``--name=value``, which stays together where a help text wraps."""
    parts = value if isinstance(value, list) else [value]
    text = ",".join(f"{part:g}" if isinstance(part, float) else str(part) for part in parts)
    return f"--{name.replace('_', '-')}={text}"
