"""Two processes with half a batch each against one with the whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from distributed_worker import CASES, config_of, train_two_epochs

import twincode
from twincode.recipes import is_alone

WORKER = Path(__file__).with_name("distributed_worker.py")
# A normalisation over the batch, or the loss, takes these biases out again: their gradient is
# rounding alone, which AdamW blows up to full steps that change nothing.
ERASED = (
    *("convolution.bias", "spread.bias"),
    *("projector.first.bias", "projector.second.bias", "projector.last.bias"),
    *("predictor.first.bias", "whitening.bias"),
)
# Without a decoder nothing but the projector sees what the encoder's last layer adds.
ERASED_ALONE = ("mix.bias",)


def launch(processes, *words):
    # The processes are to find this package, not another copy that is installed.
    places = os.pathsep.join(map(str, (WORKER.parents[1], Path(twincode.__file__).parents[1])))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": places}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={processes}", *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """The folder in which two processes leave what they reached in every case."""
    folder = tmp_path_factory.mktemp("together")
    launch(2, WORKER, folder)
    return folder


@pytest.mark.parametrize("case", CASES)
def test_two_halves_equal_one_whole_in_value_gradient_and_state(together, case):
    from safetensors.torch import load_file

    records, expected = train_two_epochs(case)
    found = json.loads((together / f"{case}.json").read_text())
    for one, other in zip(found, records, strict=True):
        assert one["losses"] == pytest.approx(other["losses"], rel=1e-6)
        assert one["codebooks"] == [pytest.approx(each, rel=1e-6) for each in other["codebooks"]]
    ours = [load_file(together / f"{case}{rank}.safetensors") for rank in (0, 1)]
    assert ours[0].keys() == expected.keys()
    erased = ERASED + (ERASED_ALONE if is_alone(config_of(case)) else ())
    for name, tensor in expected.items():
        if name.startswith("state") and name.endswith(erased):
            continue
        torch.testing.assert_close(ours[0][name], ours[1][name], msg=lambda m, n=name: f"{n}: {m}")
        # Running means follow those biases, by at most the learning rate a step. All running
        # statistics begin in single precision.
        atol = 6e-3 if name.endswith("running_mean") else 1e-5 if "running_" in name else 1e-6
        torch.testing.assert_close(
            ours[0][name], tensor, atol=atol, rtol=1e-5, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_torchrun_trains_one_model_and_keeps_one_result(tmp_path):
    words = ["-m", "twincode", "train", "GunPoint", "--out", tmp_path / "run", "--epochs", "2"]
    words += [
        "--recipe",
        "bt-vqvae",
        "--latent-channels",
        "4",
        "--residual-blocks",
        "1",
        "--projector-width",
        "8",
    ]
    launch(2, *words, "--kmeans-fits", "2", "--evaluations", "1", "--device", "cpu")
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert [record["epoch"] for record in result["history"]] == [1, 2]
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == [
        "start", "epoch", "epoch", "evaluation", "end",
    ]  # fmt: skip
