"""What all tests share: small real data, one thread, tiny models."""

import os
import re
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

# Two processes of tests with two threads each would fight over two cores, and runs in processes
# of their own are held to the numbers of runs in this one.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from twincode.augment import AUGMENTATIONS
from twincode.data import Dataset, load_dataset
from twincode.data.sources import DATA_FOLDER, local_sources
from twincode.evaluate import METRICS
from twincode.losses import TWIN_LOSSES
from twincode.priors import PRIORS
from twincode.quantize import QUANTIZERS
from twincode.randomness import drawing_weights
from twincode.recipes import recipe
from twincode.settings import load_parts
from twincode.tokenizers import TOKENIZERS, build_tokenizer

sys.path.insert(0, str(Path(__file__).parent / "reference"))

settings.register_profile(
    "twincode",
    deadline=None,
    derandomize=True,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("twincode")
torch.set_num_threads(1)

# Taken before tests change the environment.
MIRROR = os.environ.get("TWINCODE_DATA")

TINY = {
    "latent_channels": 8,
    "residual_blocks": 1,
    "codebook_size": 6,
    "projector_width": 16,
    "predictor_width": 16,
    "queue_size": 32,
    "kmeans_fits": 2,
    "evaluations": 2,
    "batch_size": 16,
    "epochs": 4,
    "bits": 20,
    "context_width": 4,
}

CHOICES = ("tokenizer", "quantizer", "twin_loss", "gamma", "upper_input", "metrics")

# What follows takes the mean off again, so such a bias has no gradient but for rounding: one before
# a normalisation, and the last of a projector, since most twin losses centre features or compare
# views alone.
WITHOUT_EFFECT = (
    *("convolution.bias", "spread.bias", "first.bias", "second.bias"),
    *("projector.last.bias", "whitening.bias"),
)


def run_how_to(page, few):
    """Run the Python of a how-to page, with ``few`` in place of its epochs; what it defined."""
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    small = code.replace("epochs=50", few)
    assert small != code
    # As a module of its own, where a dataclass looks up what its annotations mean.
    names = vars(sys.modules.setdefault("how_to", ModuleType("how_to")))
    exec(small, names)
    return names


REGISTRIES = (TOKENIZERS, QUANTIZERS, TWIN_LOSSES, AUGMENTATIONS, METRICS, PRIORS)


@pytest.fixture
def registries():
    """The registries of all parts; what a test registers is gone after it."""
    before = [(dict(each._settings), dict(each._builders)) for each in REGISTRIES]
    yield REGISTRIES
    for each, (own, builders) in zip(REGISTRIES, before, strict=True):
        each._settings, each._builders = own, builders
    load_parts.cache_clear()


def seeded_quantizer(name, D=4, **fields):
    """A quantiser of D channels, the same each time."""
    with drawing_weights(0):
        return QUANTIZERS.build(QUANTIZERS.choose(name).replace(**fields), D)


def seeded_tokenizer(config, channels=1, length=40):
    """A configuration's tokenizer as training draws it."""
    with drawing_weights(config.training.seed):
        return build_tokenizer(config.tokenizer, config.quantizer, channels, length)


def tiny(name, **changes):
    """A recipe, small enough for a test; controls keep what makes them controls."""
    return recipe(name, **{**small_settings(name, **changes), **changes})


def untrained(name, **changes):
    """The same, without a step."""
    choices = {key: value for key, value in changes.items() if key in CHOICES}
    steps = {"epochs": 0} if recipe(name, **choices).has("epochs") else {}
    return tiny(name, evaluations=0, **steps, **changes)


def small_settings(name, **changes):
    """What makes a recipe with these changes small, of the settings that it has."""
    choices = {key: value for key, value in changes.items() if key in CHOICES}
    config = recipe(name, **choices)
    keep = {"epochs"} if not config.training.epochs or changes.get("steps") else set()
    return {key: value for key, value in TINY.items() if config.has(key) and key not in keep}


def make_task(config, x=None, y=None):
    """A tokenizer to train on series x (n, C, L), by default a few waves."""
    from twincode.train.tokenizer_task import TokenizerTask

    x = make_waves(20).X_train if x is None else np.asarray(x)
    return TokenizerTask(config, Dataset.from_arrays(x, y), torch.device("cpu"))


@pytest.fixture(scope="session")
def gunpoint():
    return load_dataset("GunPoint", download=False)


@pytest.fixture(scope="session")
def waves():
    """A made-up set of two classes, 40 + 20 series of 33 steps: slow and fast sines."""
    return make_waves()


def make_waves(n_train=40, n_test=20, channels=1, length=33, seed=0):
    generator = np.random.default_rng(seed)
    y = np.arange(n_train + n_test) % 2
    time = np.linspace(0, 1, length)
    phase = generator.uniform(0, 2 * np.pi, (len(y), channels, 1))
    X = np.sin(2 * np.pi * (2 + 3 * y[:, None, None]) * time + phase)
    X = (X + 0.1 * generator.standard_normal(X.shape)).astype(np.float32)
    return Dataset("Waves", X[:n_train], X[n_train:], y[:n_train], y[n_train:], ("a", "b"), "made")


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard():
    """Some tests press Ctrl-C; whoever started them in the background had it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def one_thread():
    """No test changes the number of threads for those after it: rounding depends on it."""
    yield
    found = torch.get_num_threads()
    torch.set_num_threads(1)
    assert found == 1


@pytest.fixture(autouse=True)
def own_folders(monkeypatch, tmp_path_factory):
    """No test sees the user's data folder or cache."""
    monkeypatch.delenv("TWINCODE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def mirror():
    """A folder of real archive sets, where this machine has one."""
    folder = Path(MIRROR or "nowhere")
    if not folder.is_dir() or local_sources(folder)["gunpoint"].place != DATA_FOLDER:
        pytest.skip("no folder of archive sets here; set TWINCODE_DATA")
    return folder


@pytest.fixture
def arrays():
    """A tiny split with values that are easy to recognise."""
    X = np.arange(40, dtype=np.float32).reshape(10, 4)
    y = np.array([1, 2, 10, 1, 2, 10, 1, 2, 10, 1])
    return {"X_train": X[:6], "y_train": y[:6], "X_test": X[6:], "y_test": y[6:]}


@pytest.fixture
def write_tsv():
    def write(path, X, y):
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = (
            "\t".join([str(label), *map(str, values)]) for label, values in zip(y, X, strict=True)
        )
        path.write_text("\n".join(rows) + "\n")
        return path

    return write


@pytest.fixture
def bfloat16(monkeypatch):
    """Compute in bfloat16 when asked, also on a processor that has to imitate it."""
    monkeypatch.setattr("twincode.precision.has_bfloat16", lambda _: True)


class Answer(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def twincode(capsys, monkeypatch):
    """The command line: words in; status, output and errors out."""

    from twincode.cli import main

    def run(*words, columns=80):
        monkeypatch.setenv("COLUMNS", str(columns))
        capsys.readouterr()
        status = main([str(word) for word in words])
        return Answer(status, *capsys.readouterr())

    return run


def options(name="bt-vqvae", **changes):
    """The settings of a tiny model as words of a command line."""
    settings = {**small_settings(name, **changes), **changes}
    words = [(f"--{each.replace('_', '-')}", str(v)) for each, v in settings.items()]
    return [word for pair in words for word in pair]


def training_options(name="bt-vqvae", **changes):
    """The same, for ``twincode train``."""
    return ["--recipe", name, *options(name, **changes)]


def write_waves(path, **sizes):
    """The made-up set as an npz with the split in it."""
    data = make_waves(**sizes)
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = ("X_train", "X_test", "y_train", "y_test")
    np.savez(path, **{part: getattr(data, part) for part in parts})
    return path


@pytest.fixture(scope="session")
def waves_file(tmp_path_factory):
    return write_waves(tmp_path_factory.mktemp("data") / "Waves.npz")


@pytest.fixture(scope="session")
def trained(waves_file, tmp_path_factory):
    """The folder of a tiny model of the made-up set, as the command line leaves it."""
    from twincode.cli import main

    folder = tmp_path_factory.mktemp("trained") / "run"
    assert main(["train", str(waves_file), "--out", str(folder), *training_options(epochs=2)]) == 0
    return folder
