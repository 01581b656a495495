"""The loop knows nothing of tokenizers: any other task trains, stops, resumes and is kept."""

import json

import pytest
import torch
from torch.nn import functional as F

from twincode.errors import TwincodeError
from twincode.storage import read_tensors, write_tensors
from twincode.train.optimizer import build_optimizer
from twincode.train.run import carry_out, finished
from twincode.train.task import RunKey, Schedule


class Line:
    """Learns a straight line from noisy points."""

    def __init__(self, epochs=6, rate=0.5):
        config = {"recipe": "line", "training": {"epochs": epochs, "learning_rate": rate}}
        self.key = RunKey(config, config, "points", ())
        self.device = torch.device("cpu")
        self.schedule = Schedule(30, epochs, 8, rate, seed=1, evaluations=2)
        self.x = torch.linspace(-1, 1, 30)[:, None]
        self.model = torch.nn.Linear(1, 1)
        torch.nn.init.zeros_(self.model.weight)
        torch.nn.init.zeros_(self.model.bias)
        self.optimizer = build_optimizer(self.device, rate, 0.0, self.model)

    @property
    def modules(self):
        return {"line": self.model}

    def go_on(self, epoch):
        self.resumed_at = epoch

    def begin_epoch(self, _epoch):
        self.seen = []

    def step(self, rows, _step):
        self.seen += rows.tolist()
        loss = F.mse_loss(self.model(self.x[rows]), 3 * self.x[rows] + 2)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"total": loss.detach()}

    def end_epoch(self):
        return {"rows": len(self.seen)}

    def evaluate(self, last):
        del last
        return [{"readout": "", "metric": "slope", "value": self.model.weight.item()}]

    def notice(self, _log, last):
        del last
        return

    def describe(self):
        return {"dataset": {"checksum": self.key.checksum, "classes": self.key.classes}}

    def keep(self, folder, scores):
        self.kept_with = scores
        write_tensors(folder / "line.safetensors", self.model.state_dict())

    def result(self):
        return {"title": "Line"}


class Killed(BaseException):
    """Stands for kill -9."""


def run(folder, watch=None, **changes):
    task = Line(**changes)
    carry_out(task, "a-line", folder, watch, ["test"], checkpoint_seconds=0.0)
    return task


def test_another_task_learns_logs_and_is_kept(tmp_path):
    task = run(tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["run"], result["title"], result["format"]) == ("a-line", "Line", 2)
    assert [record["rows"] for record in result["history"]] == [30] * 6
    assert [row["epoch"] for row in result["evaluations"]] == [3, 6]
    losses = [record["losses"]["total"] for record in result["history"]]
    assert losses[-1] < 0.1 * losses[0]
    kept = read_tensors(tmp_path / "line.safetensors")
    assert torch.equal(kept["weight"], task.model.weight)
    assert [record["metric"] for record in task.kept_with] == ["slope"]


def test_another_task_resumes_to_the_same_numbers(tmp_path):
    def kill(record):
        if record["event"] == "epoch" and record["epoch"] == 4:
            raise Killed

    undisturbed = run(None)
    with pytest.raises(Killed):
        run(tmp_path, kill)
    seen = []
    resumed = run(tmp_path, seen.append)
    assert [record["epoch"] for record in seen if record["event"] == "epoch"] == [4, 5, 6]
    assert resumed.resumed_at == 3
    assert torch.equal(undisturbed.model.weight, resumed.model.weight)


def test_a_run_made_before_a_setting_came_is_the_same_where_that_changes_nothing(tmp_path):
    task = run(tmp_path)
    old = task.key.config["training"]
    same, changed = ({"training": {**old, "warmup": share}} for share in (0.0, 0.1))
    assert finished(tmp_path, task.key._replace(config=same))
    with pytest.raises(TwincodeError, match=r"another run \(it differs in warmup\)"):
        finished(tmp_path, task.key._replace(config=changed, identity=changed))


def test_a_finished_task_is_known_and_another_one_is_refused(tmp_path):
    task = run(tmp_path)
    assert finished(tmp_path, task.key)
    assert not finished(tmp_path / "empty", task.key)
    with pytest.raises(TwincodeError, match=r"another run \(it differs in learning_rate\)"):
        finished(tmp_path, Line(rate=0.2).key)
    with pytest.raises(TwincodeError, match="it differs in the data"):
        finished(tmp_path, task.key._replace(checksum="other points"))
    with pytest.raises(TwincodeError, match="it differs in the names of classes"):
        finished(tmp_path, task.key._replace(classes=("a", "b")))
