"""Any field of a configuration as an option: ``--codebook-size 64``."""

from collections.abc import Sequence

from twincode.errors import TwincodeError


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


def listed(text: str) -> tuple[str, ...]:
    """The items of a comma-separated list."""
    return tuple(item.strip() for item in text.split(",") if item.strip())


def numbers(text: str, what: str) -> tuple[float, ...]:
    """The numbers of a comma-separated list."""
    try:
        return tuple(float(item) for item in listed(text))
    except ValueError:
        raise TwincodeError(f"{what} must be numbers separated by commas, not {text!r}") from None
