import pytest
import torch
from conftest import make_task, make_waves, tiny

from twincode.errors import TwincodeError, TwincodeWarning
from twincode.losses import barlow_twins_loss
from twincode.precision import computing_in, in_full_precision
from twincode.recipes import CLOSED_FORMS
from twincode.spectral import STFT
from twincode.train import fit
from twincode.train.loop import train_epoch

CPU = torch.device("cpu")


@pytest.mark.usefixtures("bfloat16")
def test_linear_layers_compute_in_the_named_precision():
    layer, x = torch.nn.Linear(4, 4), torch.randn(2, 4)
    with computing_in("bfloat16", CPU):
        assert layer(x).dtype == torch.bfloat16
    with computing_in("float32", CPU):
        assert layer(x).dtype == torch.float32
    with pytest.raises(TwincodeError, match="did you mean 'bfloat16'"):
        computing_in("bfloat", CPU)


def test_without_bfloat16_float32_takes_its_place(monkeypatch):
    monkeypatch.setattr("twincode.precision.has_bfloat16", lambda _: False)
    x = make_waves().X_train
    with pytest.warns(TwincodeWarning, match="this cpu has no bfloat16; float32 takes"):
        full, low = (
            train_epoch(make_task(tiny("vqvae", precision=precision), x), 1)["losses"]
            for precision in ("float32", "bfloat16")
        )
    assert low == full


@pytest.mark.usefixtures("bfloat16")
def test_what_rounding_would_spoil_computes_in_full_precision():
    x = torch.randn(3, 1, 40, generator=torch.Generator().manual_seed(0))
    stft, a, b = STFT(40), x[:, 0], x[:, 0] + 0.1
    loss = in_full_precision(barlow_twins_loss)
    plain = (stft(x), stft.inverse(stft(x)), loss(a, b))
    with computing_in("bfloat16", CPU):
        lowered = (stft(x), stft.inverse(stft(x)), loss(a, b))
    assert all(torch.equal(one, other) for one, other in zip(plain, lowered, strict=True))


def test_full_precision_takes_named_arguments():
    a = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    loss = in_full_precision(barlow_twins_loss)
    named = loss(a=a.bfloat16(), b=a + 1, off_diagonal_weight=0.1)
    assert torch.equal(named, barlow_twins_loss(a.bfloat16().float(), a + 1, 0.1))


def test_full_precision_widens_halves_and_leaves_doubles():
    seen = []

    @in_full_precision
    def note(x, other):
        seen.append((x.dtype, other))
        return x

    for dtype, expected in [
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
        (torch.float64, torch.float64),
    ]:
        note(torch.zeros(1, dtype=dtype), 3)
        assert seen[-1] == (expected, 3)


@pytest.mark.usefixtures("bfloat16")
@pytest.mark.parametrize("name", [*CLOSED_FORMS, "warm-vqvae"])
def test_closed_forms_compute_in_full_precision(name):
    waves = make_waves(40)
    model = fit(tiny(name), waves)
    codes = model.encode(waves.X_test)
    assert (model.encode(waves.X_test, "bfloat16") == codes).all()
    if name in CLOSED_FORMS:
        with computing_in("bfloat16", CPU):
            series = model.decode(codes)
        assert (series == model.decode(codes)).all()


@pytest.mark.usefixtures("bfloat16")
@pytest.mark.parametrize("name", ["vqvae", "bt-vqvae"])
def test_a_lower_precision_changes_the_losses_little_and_the_types_not_at_all(name):
    x = make_waves().X_train
    learners = [
        make_task(tiny(name, precision=precision), x) for precision in ("float32", "bfloat16")
    ]
    full, low = (train_epoch(learner, 1)["losses"] for learner in learners)
    assert low == pytest.approx(full, rel=0.05)
    assert low != full
    for module in learners[1].modules.values():
        assert all(p.dtype == torch.float32 for p in module.parameters())
