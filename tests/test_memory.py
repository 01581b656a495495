import subprocess
import sys

import pytest

from twincode import memory

TRAIN = """
import resource, sys, torch
from twincode.memory import keep_freed_memory
from twincode.recipes import recipe
from twincode.data import Dataset
from twincode.train.loop import train_epoch
from twincode.train.tokenizer_task import TokenizerTask

torch.set_num_threads(1)
x = Dataset.from_arrays(torch.sin(torch.arange(12 * 400).float()).view(12, 400).numpy())
config = recipe("bt-vqvae", projector_width=2048, batch_size=12, residual_blocks=1, epochs=40)

def epochs(first, last):
    task = TokenizerTask(config, x, torch.device("cpu"))
    return [train_epoch(task, epoch)["losses"] for epoch in range(first, last)]

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

plain = epochs(1, 4)
assert keep_freed_memory()
assert epochs(1, 4) == plain, "numbers changed"
before = peak()
epochs(1, 13)
grown = peak() / before
assert grown < 1.05, f"peak memory grew {grown} times"
"""


RETURN = """
import resource, torch
from twincode.memory import keep_freed_memory, return_freed_memory

def resident():
    pages = int(open("/proc/self/statm").read().split()[1])
    return pages * resource.getpagesize() / 1e6  # megabytes

assert keep_freed_memory()
start = resident()
torch.ones(50_000_000)
kept = resident()
assert kept > start + 150, (start, kept)
assert return_freed_memory()
assert resident() < start + 100, (start, kept, resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone keeps memory on request")
def test_kept_memory_goes_back_when_asked():
    found = subprocess.run([sys.executable, "-c", RETURN], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone keeps memory on request")
def test_kept_memory_changes_no_number_and_does_not_grow_with_epochs():
    found = subprocess.run([sys.executable, "-c", TRAIN], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")


def test_under_another_c_library_nothing_happens(monkeypatch):
    class Other:
        def mallopt(self, *_):
            raise AssertionError("these are glibc's parameters")

    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: Other())
    assert memory.keep_freed_memory() is memory.return_freed_memory() is False


def test_without_a_c_library_to_ask_nothing_happens(monkeypatch):
    def refuse(_):
        raise OSError

    monkeypatch.setattr(memory.ctypes, "CDLL", refuse)
    assert memory.keep_freed_memory() is memory.return_freed_memory() is False
