"""A model card: what a saved model is, for people and for a model hub."""

import json
import math
from collections.abc import Sequence

from twincode.config import Config
from twincode.evaluate import Measurement
from twincode.labels import flat, text_of
from twincode.recipes import RECIPES, recipe, title
from twincode.tokenizers import Tokenizer

CARD = "README.md"
OURS = "<!-- Written by twincode. Delete this line, and saving again leaves the file alone. -->"


def model_card(
    tokenizer: Tokenizer,
    config: Config,
    name: str,
    origin: str,
    classes: Sequence[str],
    scores: Sequence[Measurement],
) -> str:
    """Markdown with a YAML head: data ``name`` and ``origin``, recipe, sizes, scores, loading."""
    C, L = tokenizer.channels, tokenizer.length
    layout = tokenizer.layout
    rows = [
        ("data", f"{name} ({origin})" + (f", {len(classes)} classes" if classes else "")),
        ("recipe", config.recipe or "of its own"),
        ("settings other than the recipe's", _changes(config)),
        ("series", f"{_count(C, 'channel')}, {_count(L, 'step')}"),
    ]
    if layout.grids:
        bits = tokenizer.bits_per_series
        rows += [
            ("codes a series", f"{tokenizer.grid[0]} × {layout.width}"),
            ("codebooks", _sizes(layout.codebook_sizes)),
            ("bits a series", f"{bits:.4g}, {bits / (C * L):.3g} a value"),
        ]
    if parameters := sum(math.prod(p.shape) for p in tokenizer.parameters()):
        rows.append(("parameters", str(parameters)))
    # Text of users is quoted: JSON's strings are YAML's.
    tags = ["time-series", *(["vector-quantization"] if layout.grids else []), config.recipe]
    head = [
        "---",
        "library_name: twincode",
        "license: unknown  # say under which others may use the model",
        "tags:",
        *(f"- {json.dumps(tag, ensure_ascii=False)}" for tag in tags if tag),
        "datasets:",
        f"- {json.dumps(name, ensure_ascii=False)}",
        "---",
    ]
    use = "codes = model.encode(X)" if layout.grids else "features = model.transform(X)"
    load = [
        "    import twincode",
        '    model = twincode.load_model("FOLDER")  # this folder, or user/name on a hub',
        f"    {use}  # X: (n, {C}, {L}), in their own units",
    ]
    lines = [
        *head, OURS, "", f"# {title(config)} on {_plain(name)}", "",
        "| | |", "|---|---|", *(f"| {what} | {_plain(value)} |" for what, value in rows), "",
        *load,
    ]  # fmt: skip
    if scores:
        lines += ["", "Measured on the test part of its data:", "", "| | |", "|---|---|"]
        lines += [f"| {s.metric} {s.readout}".rstrip() + f" | {s.value:.4g} |" for s in scores]
    return "\n".join(lines) + "\n"


def _changes(config: Config) -> str:
    """The settings that are not as the recipe, or the default configuration, has them."""
    usual = flat((recipe(config.recipe) if config.recipe in RECIPES else Config()).to_dict())
    own = flat(config.to_dict())
    told = [f"{k}={text_of(v)}" for k, v in own.items() if k not in usual or usual[k] != v]
    return ", ".join([*told, f"seed={config.training.seed}"])


def _sizes(sizes: Sequence[int]) -> str:
    """How many codebooks there are, and of how many codes each."""
    least, most = min(sizes), max(sizes)
    return f"{len(sizes)} of {least if least == most else f'{least} to {most}'} codes"


def _count(n: int, what: str) -> str:
    return f"{n} {what}" + ("" if n == 1 else "s")


def _plain(text: str) -> str:
    """Text in one cell of a table, its marks not taken for Markdown's or HTML's."""
    line = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\|<>`[" else c for c in line)
