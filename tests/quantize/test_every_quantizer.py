"""What every quantiser must keep to, read from the registry: a new one joins by itself."""

import json

import pytest
import torch
from conftest import WITHOUT_EFFECT, make_task, seeded_quantizer, tiny
from hypothesis import given
from hypothesis import strategies as st

from twincode.model import load_model
from twincode.quantize import QUANTIZERS
from twincode.randomness import noise_stream
from twincode.settings import field_types
from twincode.train import fit
from twincode.train.loop import train_epoch

NAMES = st.sampled_from(sorted(QUANTIZERS))
OPTIONS = st.fixed_dictionaries(
    {
        "codebook_size": st.integers(1, 9),
        "codebook_update": st.sampled_from(["ema", "gradient"]),
        "codebook_init": st.sampled_from(["data", "kmeans", "uniform"]),
        "revive_below": st.sampled_from([0.0, 0.05]),
        "fsq_levels": st.sampled_from([(2,), (3, 2)]),
        "quantizer_depth": st.integers(1, 3),
        "codebook_groups": st.just(1),
    }
)
GRIDS = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 2), st.integers(1, 3))

# The same quantisers with all that has state or draws at random switched on.
DEMANDING = {
    "vae": {"quantizer": "gaussian"},
    "fsq": {"quantizer": "fsq", "fsq_levels": (3, 2)},
    "residual, revived": {"quantizer": "residual", "revive_below": 0.15},
    "product, k-means": {"quantizer": "product", "codebook_init": "kmeans"},
    "cosine": {"distance": "cosine", "revive_below": 0.15},
    "gradient, revived": {"codebook_update": "gradient", "revive_below": 0.15},
}


def latents(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def state(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@given(name=NAMES, options=OPTIONS, grid=GRIDS)
def test_forward_keeps_the_contract(name, options, grid):
    """Fewer latents than codes, one code, one channel and one series among them."""
    B, D, H, W = grid
    own = field_types(type(QUANTIZERS.choose(name)))
    quantizer = seeded_quantizer(name, D, **{k: v for k, v in options.items() if k in own}).train()
    layout = quantizer.layout(W)
    with noise_stream(0, 1, torch.device("cpu")):
        z = latents(B, D, H, W).requires_grad_()
        quantizer.initialise(z.detach(), torch.Generator().manual_seed(0))
        before = state(quantizer)
        z_q, codes, loss = quantizer(z)
        assert same(before, state(quantizer))
        assert z_q.shape == z.shape
        assert loss.isfinite()
        (z_q.sum() + loss).backward()
        assert z.grad.isfinite().all()
        assert (codes is None) == (not layout.grids)
        if codes is None:
            return
        assert codes.shape == (B, H, layout.width)
        layout.check(codes)
        torch.testing.assert_close(quantizer.lookup(codes), z_q)
        for _ in range(3):
            quantizer.update(z.detach(), codes)
        assert all(tensor.isfinite().all() for tensor in quantizer.state_dict().values())


@pytest.mark.parametrize("changes", DEMANDING.values(), ids=DEMANDING)
def test_a_step_reaches_every_parameter_with_and_without_a_twin_loss(changes, waves):
    """By its gradient: weight decay would move a parameter that no loss depends on."""
    for name in ("vqvae", "bt-vqvae"):
        config = tiny(name, **changes)
        if config.has("continuous_share"):
            config = config.replace(continuous_share=0)
        task = make_task(config, waves.X_train)
        train_epoch(task, 1)
        named = dict(task.tokenizer.named_parameters())
        assert all(parameter.grad.isfinite().all() for parameter in named.values())
        silent = [
            n for n, p in named.items() if not p.grad.any() and not n.endswith(WITHOUT_EFFECT)
        ]
        assert silent == []


class Killed(BaseException):
    """Stands for kill -9."""


@pytest.mark.parametrize("changes", DEMANDING.values(), ids=DEMANDING)
def test_resumed_saved_and_loaded_it_is_the_same_model(changes, waves, tmp_path):
    def kill(record):
        if record["event"] == "epoch" and record["epoch"] == 3:
            raise Killed

    def run(folder, watch=None):
        fit(tiny("bt-vqvae", **changes), waves, folder, "cpu", watch, ["test"], 0.0)
        result = json.loads((folder / "result.json").read_text())
        return result["evaluations"], [epoch["losses"] for epoch in result["history"]]

    before = torch.get_rng_state()
    undisturbed = run(tmp_path / "a")
    with pytest.raises(Killed):
        run(tmp_path / "b", kill)
    assert undisturbed == run(tmp_path / "b")
    assert torch.equal(before, torch.get_rng_state())
    one, other = load_model(tmp_path / "a"), load_model(tmp_path / "b")
    assert same(state(one.tokenizer), state(other.tokenizer))
    assert (one.transform(waves.X_test) == other.transform(waves.X_test)).all()
    if one.tokenizer.layout.grids:
        codes = one.encode(waves.X_test)
        assert (codes == other.encode(waves.X_test)).all()
        assert abs(one.decode(codes) - one.reconstruct(waves.X_test)).max() < 1e-4


@pytest.mark.parametrize("changes", DEMANDING.values(), ids=DEMANDING)
def test_probes_on_the_way_change_no_number(changes, waves):
    often, once = (
        fit(tiny("vqvae", epochs=3, evaluations=n, **changes), waves, device="cpu") for n in (3, 1)
    )
    assert same(state(often.tokenizer), state(once.tokenizer))
