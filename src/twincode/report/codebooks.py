"""What the codebooks of a run are called, from what it stored."""

from collections.abc import Mapping
from typing import Any

from twincode.report.runs import Run


def codebook_names(run: Run) -> tuple[str, ...]:
    """A name for each codebook, by its level or band and a number; a single one needs none."""
    count = len(run.exhibits.get("codebook_sizes", (1,)))
    regions = _region_names(run.record["config"].get("tokenizer", {}))
    if count % len(regions):
        regions = ("",)
    each = count // len(regions)
    numbers = [f"codebook {number}" for number in range(1, each + 1)] if each > 1 else [""]
    return tuple(f"{region} {number}".strip() for region in regions for number in numbers)


def _region_names(tokenizer: Mapping[str, Any]) -> tuple[str, ...]:
    """Levels or bands in the order of their codes; one without a name for other tokenizers."""
    if tokenizer.get("tokenizer") == "vqvae2":
        return "top", "bottom"
    if tokenizer.get("tokenizer") == "bands":
        return tuple(f"band {band}" for band in range(1, len(tokenizer["bands"]) + 2))
    return ("",)
