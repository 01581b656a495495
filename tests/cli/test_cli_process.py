"""What only a process of its own can show: start-up, exit statuses, interruption and death."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import training_options

PROGRAM = "import sys; from twincode.cli import main; sys.exit(main())"
# Slow enough to be caught in the act, and with a checkpoint after every epoch.
SLOW_PROGRAM = """
import signal, sys, time
import twincode.train as room
from twincode.cli import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
train = room.fit

def fit(config, data, folder, device, watch, command):
    def slowly(record):
        watch(record)
        time.sleep(0.3)
    return train(config, data, folder, device, slowly, command, checkpoint_seconds=0)

room.fit = fit
sys.exit(main())
"""
EPOCHS = 12
PATIENCE = 60  # seconds


def start(program, *words, encoding="utf-8"):
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding=encoding,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": encoding},
    )


def finish(process):
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def test_start_up_is_light():
    check = (
        "import sys, twincode; from twincode.cli import main; status = main(['--help']);"
        "heavy = {'torch', 'sklearn', 'aeon', 'pandas', 'numpy', 'matplotlib'} & set(sys.modules);"
        "sys.exit(f'start-up imports {heavy}' if heavy else status)"
    )
    status, out, err = finish(start(check))
    assert (status, err) == (0, "")
    assert "reconstruct" in out


@pytest.mark.parametrize(
    ("words", "status"), [(["datasets", "--data-dir", "/nowhere"], 1), (["paint"], 2)]
)
def test_a_failure_is_a_status_and_a_line(words, status):
    found, out, err = finish(start(PROGRAM, *words))
    assert (found, out) == (status, "")
    assert err.startswith("twincode: ")
    assert len(err.splitlines()) == 1


def test_a_terminal_without_greek_letters_is_no_obstacle(trained, waves_file):
    words = ["train", waves_file, "--out", trained, *training_options(epochs=2)]
    status, out, err = finish(start(PROGRAM, *words, encoding="ascii"))
    assert (status, err) == (0, "")
    assert "Waves, BT-VQVAE, 2 epochs" in out


def epochs_of(folder):
    log = folder / "log.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    return [json.loads(line)["epoch"] for line in lines if '"event": "epoch"' in line]


def stop(process, folder, how):
    """Wait until the run is well under way, then send it a signal."""
    deadline = time.monotonic() + PATIENCE
    while not (len(epochs_of(folder)) >= 3 and (folder / "checkpoint.safetensors").exists()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(how)
    return finish(process)


def numbers(folder):
    result = json.loads((folder / "result.json").read_text())
    for epoch in result["history"]:
        del epoch["seconds"]
    return result["history"], result["evaluations"]


@pytest.fixture(scope="module")
def undisturbed(waves_file, tmp_path_factory):
    from twincode.cli import main

    folder = tmp_path_factory.mktemp("undisturbed")
    assert (
        main(["train", str(waves_file), "--out", str(folder), *training_options(epochs=EPOCHS)])
        == 0
    )
    return numbers(folder)


@pytest.mark.parametrize(
    ("how", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_stopped_run_goes_on_to_the_same_numbers(
    twincode, waves_file, undisturbed, tmp_path, how, status
):
    words = ["train", waves_file, "--out", tmp_path / "run", *training_options(epochs=EPOCHS)]
    found, out, err = stop(start(SLOW_PROGRAM, *words), tmp_path / "run", how)
    assert found == status
    assert out == ""
    expected = {
        signal.SIGINT: ["twincode: interrupted; run the same command again to go on"],
        signal.SIGKILL: [],
    }
    assert [line for line in err.splitlines() if "epoch" not in line] == expected[how]
    reached = len(epochs_of(tmp_path / "run"))
    assert 3 <= reached < EPOCHS
    before = (tmp_path / "run" / "log.jsonl").read_bytes()
    assert twincode(*words).status == 0
    assert epochs_of(tmp_path / "run") == list(range(1, EPOCHS + 1))
    # The records before the last checkpoint are the very ones that the stopped run wrote.
    kept = (tmp_path / "run" / "log.jsonl").read_bytes()
    first_lines = b"".join(before.splitlines(keepends=True)[:3])
    assert kept.startswith(first_lines)
    assert numbers(tmp_path / "run") == undisturbed
