"""Records of format 1 in the form of format 2."""

import json
from pathlib import Path

import pytest

from twincode.augment import AUGMENTATIONS
from twincode.config import TrainingSettings
from twincode.errors import TwincodeError
from twincode.evaluate import METRICS
from twincode.losses import TWIN_LOSSES
from twincode.quantize import QUANTIZERS
from twincode.recipes import recipe
from twincode.report.models import identity
from twincode.settings import values_before
from twincode.tokenizers import TOKENIZERS
from twincode.upgrade import LATER, upgrade_config, upgrade_result, upgrade_study

KEPT = Path(__file__).parent / "format_one"
RECORDS = [json.loads(line) for line in (KEPT / "runs.jsonl").read_text().splitlines()]


def of(recipe):
    return next(record for record in RECORDS if record["recipe"] == recipe)


def test_every_kept_record_has_the_form_of_format_two():
    for record in RECORDS:
        found = upgrade_result(record, steps=200)
        assert found["format"] == 2
        assert set(found["config"]) == {
            *("recipe", "tokenizer", "quantizer", "twin_loss", "augmentations", "training"),
            *("evaluation", "metrics"),
        }
        described = {metric["name"] for metric in found["metrics"]}
        assert described == {entry["metric"] for entry in record["evaluations"]}
        assert found["evaluations"] == record["evaluations"]
        assert upgrade_result(found) == found


def test_later_settings_are_what_they_were_before_there_were_any():
    """The same is said where each is declared, which pages do not know."""
    said = {"training": {"": values_before(TrainingSettings)}}
    for slot, parts in (("quantizer", QUANTIZERS), ("twin_loss", TWIN_LOSSES)):
        found = {name: values_before(type(parts.choose(name))) for name in parts}
        said[slot] = {name: before for name, before in found.items() if before}
    assert said == LATER
    for parts in (TOKENIZERS, AUGMENTATIONS, METRICS):
        assert not any(values_before(type(parts.choose(name))) for name in parts)


def test_a_run_from_before_a_setting_is_of_the_same_model():
    config = recipe("moco-vqvae", decay_share=1.0, teacher_span=0.0, continuous_share=0.0)
    now = {"format": 2, "config": config.to_dict()}
    before = json.loads(json.dumps(now))
    for slot, parts in LATER.items():
        own = before["config"][slot]
        for name in parts[own.get("name", "")]:
            del own[name]
    assert identity(upgrade_result(before)) == identity(upgrade_result(now)) == identity(now)


def test_each_part_takes_its_own_settings():
    config = upgrade_config(of("bt-vqvae")["config"])
    assert config["tokenizer"] == {
        "name": "vqvae", "n_fft": 8, "hop_length": 2, "window": "rectangular",
        "latent_channels": 64, "residual_blocks": 4, "downsampled_width": 8,
    }  # fmt: skip
    assert config["quantizer"] == {
        "name": "vq", "codebook_size": 32, "codebook_update": "ema", "codebook_init": "data",
        "commitment_weight": 1.0, "ema_decay": 0.8, "ema_epsilon": 1e-5,
        "distance": "euclidean", "revive_below": 0.0,
    }  # fmt: skip
    assert config["twin_loss"] == {
        "name": "barlow_twins", "gamma": config["twin_loss"]["gamma"], "projector_width": 1024,
        "off_diagonal_weight": 0.005,
    }  # fmt: skip
    assert [part["name"] for part in config["augmentations"]] == [
        *("flip", "jitter", "amplitude_resize", "slope", "phase")
    ]
    assert config["augmentations"][3] == {"name": "slope", "slope_rate": 0.01}
    assert config["training"]["upper_input"] == "view"
    assert config["evaluation"] == {"evaluations": 1, "readouts": ["flatten", "mean", "histogram"]}
    assert config["metrics"][0] == {"name": "separability", "svm_c": 1.0, "neighbours": [1, 5, 10]}


def test_parts_that_are_idle_are_left_out():
    naive = upgrade_config(of("vqvae")["config"])
    assert naive["twin_loss"] is None
    assert naive["augmentations"] == []
    augmented = upgrade_config(of("vqvae-augmented")["config"])
    assert augmented["twin_loss"] is None
    assert augmented["augmentations"]
    raw = upgrade_config(of("raw-series")["config"])
    assert (raw["tokenizer"], raw["quantizer"]) == ({"name": "raw"}, None)
    assert upgrade_config(of("vae")["config"])["quantizer"] == {
        "name": "gaussian",
        "kl_weight": 1.0,
    }
    assert upgrade_config(of("moco-vqvae")["config"])["twin_loss"].keys() == {
        *("name", "gamma", "projector_width", "contrastive_temperature", "queue_size"),
        *("teacher_momentum", "teacher_schedule"),
    }


def test_a_budget_of_steps_makes_one_model_of_runs_of_different_epochs():
    runs = [record for record in RECORDS if record["recipe"] == "vqvae"]
    assert len({record["config"]["training"]["epochs"] for record in runs}) > 1
    trainings = {
        json.dumps({**upgrade_result(record, 200)["config"]["training"], "seed": 0})
        for record in runs
    }
    assert len(trainings) == 1
    assert upgrade_result(runs[0], 200)["epochs"] == runs[0]["config"]["training"]["epochs"]
    assert upgrade_config(of("random-encoder")["config"], 200)["training"]["steps"] == 0


def test_metrics_come_in_order_with_titles_and_directions():
    found = {metric["name"]: metric for metric in upgrade_result(of("vqvae"))["metrics"]}
    assert list(found)[:8] == [
        *("reconstruction", "reconstruction_time", "reconstruction_frequency"),
        *("train_reconstruction_time", "svm_accuracy", "knn1_accuracy", "knn5_accuracy"),
        "knn10_accuracy",
    ]
    assert found["knn10_accuracy"] == {
        "name": "knn10_accuracy", "title": "10-NN", "better": "higher", "labels": True,
    }  # fmt: skip
    assert found["reconstruction"]["better"] == "lower"


def test_a_study_of_format_one_keeps_its_names_and_runs():
    stored = json.loads((KEPT / "study.json").read_text())
    found = upgrade_study(stored)
    assert (found["format"], found["axes"], found["runs"]) == (2, {}, stored["runs"])
    assert upgrade_study(found) == found


def test_a_later_format_is_an_error_of_one_line():
    for upgrade in (upgrade_result, upgrade_study):
        with pytest.raises(TwincodeError, match="format 3 is not one this version reads"):
            upgrade({"format": 3})
