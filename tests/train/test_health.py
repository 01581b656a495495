import json

import pytest
from conftest import tiny

from twincode.train import fit
from twincode.train.health import PATIENCE, codebook_collapsed, find_notice
from twincode.train.log import RunLog


def codebook(perplexity, used=9, size=32, tokens=10_000):
    return {"size": size, "used": used, "perplexity": perplexity, "tokens": tokens}


def follow(perplexities, **changes):
    """The notices of a run whose epochs have these perplexities, of one codebook or several."""
    log, config = RunLog(None, None), tiny("vqvae", **changes)
    for epoch, value in enumerate(perplexities, start=1):
        values = value if isinstance(value, list) else [value]
        log.write("epoch", epoch=epoch, codebooks=[codebook(each) for each in values])
        found = find_notice(log, config, {}, last=False)
        if found:
            log.write("health", **found)
    found = find_notice(log, config, {}, last=True)
    if found:
        log.write("health", **found)
    return log.of("health")


@pytest.mark.parametrize(
    ("found", "collapsed"),
    [
        (codebook(3.2), True),
        (codebook(3.3), False),
        (codebook(1.0, size=6), True),
        (codebook(1.1, size=6), False),
        (codebook(1.0, size=1), False),
        (codebook(20.0, size=4096, tokens=200), True),
        (codebook(21.0, size=4096, tokens=200), False),
        (codebook(1.0, tokens=1), False),
    ],
)
def test_a_codebook_has_collapsed_when_a_tenth_of_it_would_do(found, collapsed):
    assert codebook_collapsed(found) == collapsed


def test_a_healthy_run_is_told_nothing():
    assert follow([1.0] * (PATIENCE - 1) + [20.0] * 10) == []
    assert follow([20.0, 1.0] * 10) == []


def test_a_collapse_is_told_when_it_is_certain_and_again_at_the_end():
    first, last = follow([20.0] * 3 + [1.8] * 20)
    assert (first["epoch"], last["epoch"]) == (3 + PATIENCE, 23)
    assert first["collapsed"]
    assert last["collapsed"]
    assert first["message"] == (
        "only 9 of 32 codes are in use (perplexity 1.8) after 8 epochs: the codebook has "
        "collapsed; try revive_below=0.0078, a smaller ema_decay, another seed"
    )
    assert last["message"].startswith("to the end: only 9 of 32 codes are in use")


def test_a_collapse_found_in_the_last_epoch_is_told_once():
    assert [told["epoch"] for told in follow([1.8] * PATIENCE)] == [PATIENCE]


def test_a_recovery_is_told_once():
    first, second = follow([1.8] * 9 + [20.0] * 20)
    assert (first["collapsed"], second["collapsed"]) == (True, False)
    assert second["epoch"] == 9 + PATIENCE
    assert (
        "9 of 32 codes are in use (perplexity 20.0) after 14 epochs: the codebook has recovered"
        in (second["message"])
    )


def test_one_collapsed_codebook_of_several_is_enough_and_is_named():
    first, _ = follow([[20.0, 1.8]] * 9, quantizer="residual")
    assert "codebook 2 of 2 has collapsed" in first["message"]


@pytest.mark.parametrize(
    ("changes", "remedies"),
    [
        ({"revive_below": 0.01, "codebook_init": "kmeans"}, "a smaller ema_decay, another seed"),
        (
            {"codebook_update": "gradient", "codebook_init": "data"},
            "revive_below=0.0078, codebook_init=kmeans, another",
        ),
        ({"quantizer": "fsq"}, "a smaller learning_rate, another seed"),
    ],
)
def test_only_what_is_not_done_yet_is_advised(changes, remedies):
    assert f"; try {remedies}" in follow([1.8] * 9, **changes)[0]["message"]


def follow_both(epochs, name="vqvae-augmented"):
    """The notices where epochs have pairs of perplexities, of training and of an evaluation."""
    log, config = RunLog(None, None), tiny(name)
    for epoch, (trained, evaluated) in enumerate(epochs, start=1):
        log.write("epoch", epoch=epoch, codebooks=[codebook(trained)])
        if evaluated is not None:
            rows = [{"readout": "", "metric": "perplexity", "value": evaluated}]
            log.write("evaluation", epoch=epoch, measurements=rows)
        if found := find_notice(log, config, {}, last=epoch == len(epochs)):
            log.write("health", **found)
    return log.of("health")


def test_a_collapse_on_clean_series_is_told_at_once():
    """FordA, augmented: perplexity 9.8 on views, 2.6 on the series, in four epochs."""
    first, last = follow_both([(9.8, None), (9.8, 2.6), (9.8, None), (9.8, 2.6)])
    assert (first["epoch"], last["epoch"]) == (2, 4)
    assert first["message"].startswith(
        "codes of train and test series have perplexity 2.6 of 32 after 2 epochs: the codebook "
        "has collapsed; try weaker augmentations, revive_below"
    )
    assert "weaker" not in follow_both([(9.8, 2.6)], "vqvae")[0]["message"]


def test_a_collapse_on_clean_series_lasts_until_an_evaluation_says_otherwise():
    notices = follow_both([(9.8, 2.6), *[(9.8, None)] * 9, (9.8, 12.0), *[(9.8, None)] * 9])
    assert [(each["epoch"], each["collapsed"]) for each in notices] == [(1, True), (11, False)]


def test_a_healthy_evaluation_does_not_hide_a_collapse_in_training():
    notices = follow_both([(1.8, 12.0)] * (PATIENCE + 1))
    assert (notices[0]["epoch"], notices[0]["collapsed"]) == (PATIENCE, True)
    assert follow_both([(9.8, 12.0)] * 9) == []


def test_epochs_without_codes_are_no_collapse():
    log, config = RunLog(None, None), tiny("vqvae")
    for epoch in range(1, 9):
        log.write("epoch", epoch=epoch, codebooks=[codebook(1.0, 0, tokens=0)])
        assert find_notice(log, config, {}, last=epoch == 8) is None


def follow_posterior(active, units=None):
    """``active`` holds a number of active units for each epoch, or one for each measure."""
    log, config, units = RunLog(None, None), tiny("vae"), units or {"active_units": 1000}
    for epoch, counts in enumerate(active):
        log.write("epoch", epoch=epoch, codebooks=[])
        values = counts if isinstance(counts, dict) else {"active_units": counts}
        rows = [{"readout": "", "metric": m, "value": float(v)} for m, v in values.items()]
        log.write("evaluation", epoch=epoch, measurements=rows)
        found = find_notice(log, config, units, last=False)
        if found:
            log.write("health", **found)
    found = find_notice(log, config, units, last=True)
    return log.of("health") + ([found] if found else [])


def test_posterior_collapse_is_told_likewise():
    assert follow_posterior([0, 10, 500]) == []
    first, second = follow_posterior([0, 9, 9, 10])
    assert first["message"] == (
        "only 9 of 1000 latent values still depend on the series after 1 epochs: the posterior "
        "has collapsed, and its probes read scaled-up remains; try a smaller kl_weight"
    )
    assert second["message"] == (
        "10 of 1000 latent values depend on the series again after 3 epochs"
    )
    first, last = follow_posterior([500, 500, 9, 9])
    assert (first["epoch"], last["epoch"]) == (2, 3)
    assert last["message"].startswith("to the end: only 9 of 1000")


def test_a_part_of_the_latents_can_collapse_alone():
    units = {"active_units_shared": 500, "active_units_salient": 500}
    counts = {"active_units": 500, "active_units_shared": 500, "active_units_salient": 0}
    found, last = follow_posterior([counts] * 3, units)
    assert found["message"] == (
        "only 0 of 500 salient latent values still depend on the series after 1 epochs: the "
        "posterior has collapsed, and its probes read scaled-up remains; try a smaller kl_weight"
    )
    assert last["collapsed"]


def test_continuous_models_without_a_posterior_are_told_nothing(waves):
    seen = []
    fit(tiny("vqvae", quantizer="identity", epochs=8), waves, watch=seen.append, device="cpu")
    assert "health" not in {record["event"] for record in seen}
    epochs = [record for record in seen if record["event"] == "epoch"]
    assert epochs[0]["codebooks"] == []
    assert epochs[0]["perplexity"] is epochs[0]["dead_codes"] is None


def test_a_collapse_stands_in_the_log_and_in_the_result(waves, tmp_path, monkeypatch):
    # No codebook is used so evenly that this would not count as collapsed.
    monkeypatch.setattr("twincode.train.health.COLLAPSED_SHARE", 1.0)
    fit(tiny("vqvae", epochs=7, continuous_share=0), waves, tmp_path, "cpu")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    told = [line for line in lines if line["event"] == "health"]
    assert [each["epoch"] for each in told] == [4, 7]  # when it is evaluated
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["health"] == [{k: v for k, v in each.items() if k != "event"} for each in told]


def test_epochs_tell_the_use_of_every_codebook(waves):
    seen = []
    fit(tiny("residual-vqvae", epochs=1), waves, watch=seen.append, device="cpu")
    record = next(each for each in seen if each["event"] == "epoch")
    assert len(record["codebooks"]) == 2
    for found in record["codebooks"]:
        assert found["size"] == 6
        assert 1 <= found["perplexity"] <= found["used"] <= 6
    tokens = {found["tokens"] for found in record["codebooks"]}
    assert len(tokens) == 1
    assert tokens.pop() % 40 == 0
    assert record["perplexity"] == pytest.approx(
        sum(found["perplexity"] for found in record["codebooks"]) / 2
    )
    assert record["dead_codes"] == sum(6 - found["used"] for found in record["codebooks"]) / 2
