"""What turns series into features: a classifier trained on train, or random convolutions."""

import hashlib
import math
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from twincode.evaluate.kernels import fitted_minirocket
from twincode.files import read_json, write_json
from twincode.nets import FullyConvolutional
from twincode.precision import computing_in
from twincode.randomness import drawing_weights, stream
from twincode.storage import read_tensors, restore, tensors_hash, write_tensors

Floats = NDArray[np.floating]
Labels = NDArray[np.integer]

BATCH = 64
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-5
AT_ONCE = 32  # what fits a cache
CPU = torch.device("cpu")
RANDOM_KERNELS, AXES = 1000, 128


class Seen(NamedTuple):
    """Features (n, F) of series, and probabilities (n, classes) where classes are known."""

    features: Floats
    probabilities: Floats | None


class Extractor(Protocol):
    """What it sees in series (n, C, L)."""

    def look(self, x: Floats) -> Seen:
        """Features, and class probabilities where it knows classes."""
        ...


class Budget(NamedTuple):
    """How classifiers are trained: in so many steps, seeded, in a precision, on a device."""

    steps: int
    seed: int
    precision: str = "float32"
    device: torch.device = CPU


class Classifier:
    """A trained convolutional network, whose last layer's inputs are features."""

    def __init__(self, net: FullyConvolutional, precision: str = "float32") -> None:
        self.net, self._precision = net.eval(), precision

    def look(self, x: Floats) -> Seen:
        """What the last layer sees, (n, 128), and class probabilities, in one pass."""
        device = self.net.head.weight.device
        series = torch.from_numpy(np.asarray(x, np.float32)).to(device).split(AT_ONCE)
        with torch.no_grad():
            with computing_in(self._precision, device):
                features = torch.cat([self.net.features(part) for part in series])
            probabilities = self.net.head(features).softmax(1)
        return Seen(features.cpu().numpy(), probabilities.cpu().numpy())

    def accuracy(self, x: Floats, y: Labels) -> float:
        """The share of series whose class it tells."""
        probabilities = self.look(x).probabilities
        assert probabilities is not None
        return float((probabilities.argmax(1) == y).mean())


def train_classifier(x: Floats, y: Labels, classes: int, budget: Budget) -> Classifier:
    """A fully convolutional network trained on series x and labels y (n,), its last weights kept.

    The published budget is 1000 epochs of 256 series; any FID is that of one set of weights, and
    two seeds give two.
    """
    steps, seed, precision, device = budget
    with drawing_weights(seed):
        net = FullyConvolutional(x.shape[1], classes).to(device)
    series = torch.from_numpy(np.asarray(x, np.float32)).to(device)
    labels = torch.as_tensor(y).to(device)
    optimizer = torch.optim.AdamW(
        net.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True
    )
    rows = torch.empty(0, dtype=torch.long)
    noise = stream(seed, "order")
    for step in range(steps):
        if len(rows) < min(BATCH, len(series)):
            rows = torch.randperm(len(series), generator=noise)
        batch, rows = rows[:BATCH], rows[BATCH:]
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * (1 + math.cos(math.pi * step / steps)) / 2
        with computing_in(precision, device):
            logits = net(series[batch])
        loss = F.cross_entropy(logits.float(), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Classifier(net, precision)


def kept_classifier(folder: Path, x: Floats, y: Labels, classes: int, budget: Budget) -> Classifier:
    """The same as it was found in ``folder``, or trained and put there."""
    path = _net_path(folder, x, y, classes, budget)
    known = path.exists()
    found = _found_or_trained(path, x, y, classes, budget)
    if not known:
        write_tensors(path, found.net.state_dict())
    return found


def kept_accuracy(
    folder: Path, x: Floats, y: Labels, test: tuple[Floats, Labels], classes: int, budget: Budget
) -> float:
    """How well such a classifier tells ``test``, as it was found in ``folder`` or is put there.

    The network itself is not kept.
    """
    of_test = _digest(*test)
    net = _net_path(folder, x, y, classes, budget)
    path = net.with_name(f"{net.stem}-{of_test[:16]}.json")
    if not path.exists():
        found = _found_or_trained(net, x, y, classes, budget)
        write_json(path, {"accuracy": found.accuracy(*test)})
    accuracy: float = read_json(path, "accuracy of a classifier")["accuracy"]
    return accuracy


def _net_path(folder: Path, x: Floats, y: Labels, classes: int, budget: Budget) -> Path:
    """A file named after all that decides a classifier's weights."""
    steps, seed, precision, device = budget
    named = f"{_digest(x, y)} {classes} {steps} {seed} {precision} {device.type}"
    return folder / f"fcn-{hashlib.sha256(named.encode()).hexdigest()[:16]}.safetensors"


def _digest(x: Floats, y: Labels) -> str:
    return tensors_hash({"x": torch.from_numpy(np.asarray(x)), "y": torch.as_tensor(y)})


def _found_or_trained(path: Path, x: Floats, y: Labels, classes: int, budget: Budget) -> Classifier:
    """The classifier whose weights are in ``path``, or trained where none are."""
    if not path.exists():
        return train_classifier(x, y, classes, budget)
    net = FullyConvolutional(x.shape[1], classes).to(budget.device)
    restore(net, read_tensors(path), path)
    return Classifier(net, budget.precision)


class RandomConvolutions:
    """MiniROCKET features on 128 principal axes of train, at most: for data without labels."""

    def __init__(self, x: Floats, seed: int) -> None:
        from sklearn.decomposition import PCA

        self._features = fitted_minirocket(x, seed, RANDOM_KERNELS)
        features = self._features(x)
        self._axes = PCA(min(AXES, *features.shape), random_state=seed).fit(features)

    def look(self, x: Floats) -> Seen:
        """Features (n, 128); it knows no classes."""
        return Seen(self._axes.transform(self._features(x)), None)
