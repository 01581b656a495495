"""The how-to pages of parts are true: their code trains, their tables and commands are complete."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from conftest import make_waves, run_how_to, seeded_tokenizer

from twincode.augment import AUGMENTATIONS
from twincode.config import groups
from twincode.losses import TWIN_LOSSES
from twincode.quantize import QUANTIZERS
from twincode.recipes import DEFAULT, recipe
from twincode.settings import field_types
from twincode.tokenizers import TOKENIZERS

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {
    name: (DOCS / f"{name}.md").read_text(encoding="utf-8")
    for name in (
        *("quantisers", "tokenizers", "twin-objectives", "augmentations", "method", "training"),
    )
}
FEW = "epochs=1, evaluations=1, kmeans_fits=1"
# What all parts of a kind have is said once, under the table.
SHARED = {
    *("latent_channels", "residual_blocks", "n_fft", "hop_length", "window"),
    *("gamma", "gamma_scale", "projector_width"),
}


def rows(page):
    """The cells of a page's first table."""
    table = re.search(r"(?:^\|.*\n)+", PAGES[page], re.MULTILINE)[0]
    lines = [line for line in table.splitlines() if line.startswith("| `")][1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def names_in(text):
    return re.findall(r"`([a-z0-9_-]+)`", text)


def settings_of(registry, name):
    return set(field_types(type(registry.choose(name))))


@pytest.mark.usefixtures("registries")
def test_the_quantiser_of_the_page_trains():
    names = run_how_to(PAGES["quantisers"], f"{FEW}, projector_width=8")
    model = names["model"]
    assert model.config.quantizer.to_dict() == {"name": "signs", "sign_bits": 3}
    X = make_waves(n_train=3, length=model.tokenizer.length).X_train
    codes = model.encode(X)
    assert 0 <= codes.min() < codes.max() < 8


@pytest.mark.usefixtures("registries")
def test_the_losses_of_the_page_train():
    names = run_how_to(PAGES["twin-objectives"], f"{FEW}, projector_width=8, latent_channels=4")
    assert {"cosine", "centred"} <= set(TWIN_LOSSES)
    own = names["model"].config.twin_loss
    assert (own.name, own.centre_momentum, own.teacher_momentum) == ("centred", 0.9, 0.99)


@pytest.mark.usefixtures("registries")
def test_the_tokenizer_of_the_page_trains():
    names = run_how_to(PAGES["tokenizers"], f"{FEW}, projector_width=8, latent_channels=4")
    model, X = names["model"], names["data"].X_test
    assert model.config.tokenizer.name == "patches"
    assert model.decode(model.encode(X)).shape == X.shape


@pytest.mark.usefixtures("registries")
def test_the_augmentation_of_the_page_trains():
    names = run_how_to(PAGES["augmentations"], f"{FEW}, projector_width=8, latent_channels=4")
    assert [part.name for part in names["model"].config.augmentations] == ["flip", "gap"]
    x, generator = torch.rand(4, 2, 20) + 1, torch.Generator().manual_seed(0)
    hidden = names["gap"](x, generator, 0.25) != x
    assert (hidden.sum(dim=-1) == 5).all()


def test_every_twin_loss_has_its_row():
    assert [names_in(row[0])[0] for row in rows("twin-objectives")] == list(TWIN_LOSSES)
    for name, recipes, _, teacher, settings in rows("twin-objectives"):
        (name,) = names_in(name)
        assert all(recipe(each).twin_loss.name == name for each in names_in(recipes))
        own = TWIN_LOSSES.choose(name)
        assert set(names_in(settings)) == settings_of(TWIN_LOSSES, name) - SHARED
        assert bool(teacher) == TWIN_LOSSES.build(own.replace(projector_width=8)).needs_teacher


def test_every_tokenizer_has_its_row():
    assert [names_in(row[0])[0] for row in rows("tokenizers")] == list(TOKENIZERS)
    for name, of_recipe, _, settings in rows("tokenizers"):
        (name,) = names_in(name)
        assert recipe(of_recipe.strip("`")).tokenizer.name == name
        assert set(names_in(settings)) == settings_of(TOKENIZERS, name) - SHARED


@pytest.mark.parametrize(
    ("page", "registry"), [("quantisers", QUANTIZERS), ("method", AUGMENTATIONS)]
)
def test_every_part_and_every_setting_is_on_the_page(page, registry):
    named = set(names_in(PAGES[page]))
    for name in registry:
        assert {name, *settings_of(registry, name)} <= named


DEFAULTS: dict[str, list] = {}
for _, values in groups():
    for setting, value in values.items():
        DEFAULTS.setdefault(setting, []).append(value)


def test_the_defaults_of_the_pages_are_those_of_the_parts():
    lines = re.findall(r"^\|(.*)\|$", PAGES["method"].replace("pi/4", "0.7854"), re.MULTILINE)
    cells = [line.split("|")[-1] for line in lines]
    told = re.findall(r"`(\w+)`:? (?:at most )?(\w[\w.]*(?:, [\d.]+)*)", "\n".join(cells))
    for names, words, *_ in rows("training"):
        texts = words.split(", ")
        several = names_in(names)
        told += zip(several, texts * (len(several) // len(texts)), strict=True)
    told = [(name, words) for name, words in told if name in DEFAULTS and words != "by recipe"]
    assert len(told) > 30
    for name, words in told:
        assert any(means(words, value) for value in DEFAULTS[name]), (name, words)


def means(words, value):
    values = value if isinstance(value, list) else [value]
    items = words.split(", ")
    return len(items) == len(values) and all(
        item == one if isinstance(one, str) else float(item) == pytest.approx(one, rel=1e-4)
        for item, one in zip(items, values, strict=True)
    )


COMMANDS = re.findall(
    r"(?:`|^    )twincode train \w+ ([^`\n]+)", "\n".join(PAGES.values()), re.MULTILINE
)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_pages_make_a_model(command):
    words = shlex.split(command)
    settings = {
        option.removeprefix("--").replace("-", "_"): value
        for option, value in zip(words[::2], words[1::2], strict=True)
    }
    settings.pop("out", None)
    config = recipe(settings.pop("recipe", DEFAULT), **settings)
    # Without a plane there is one row.
    assert seeded_tokenizer(config, 1, 140).grid[0] == (5 if config.quantizer else 1)
