"""The how-to page is true: its code runs, its commands and settings exist."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from conftest import run_how_to

from twincode.cli.settings import parse_settings
from twincode.config import QuantizerConfig
from twincode.quantize import QUANTIZERS
from twincode.recipes import recipe
from twincode.tokenizers import build_tokenizer

PAGE = (Path(__file__).parents[2] / "docs" / "quantisers.md").read_text(encoding="utf-8")
REGISTRY = QUANTIZERS


def test_the_quantiser_of_the_page_trains(registry):
    few = "epochs=1, evaluations=1, projector_width=8, kmeans_fits=1"
    names = run_how_to(PAGE, few)
    assert "signs" in registry
    tokenizer = names["model"].tokenizer
    x = torch.randn(3, 1, tokenizer.length, generator=torch.Generator().manual_seed(0))
    codes = tokenizer.encode(x)
    assert 0 <= codes.min() < codes.max() < 16
    torch.testing.assert_close(tokenizer.decode(codes), tokenizer.reconstruct(x)["time"][1])


@pytest.mark.parametrize("command", re.findall(r"`twincode train \w+ ([^`]+)`", PAGE))
def test_the_commands_of_the_page_make_a_model(command):
    settings = parse_settings(shlex.split(command))
    config = recipe(settings.pop("recipe"), **settings)
    assert config.idle(settings) == {}
    assert build_tokenizer(config, 1, 40).grid[0] == 5


def test_every_quantiser_and_every_setting_is_on_the_page():
    named = set(re.findall(r"`([a-z_]+)`", PAGE))
    assert set(QUANTIZERS) | set(QuantizerConfig.__dataclass_fields__) <= named
