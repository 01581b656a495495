"""Real Ray on this machine's loopback address: two nodes, one of them killed midway."""

import os
import signal
import socket
import threading

import light_tasks
import pandas as pd
import pytest
from conftest import make_waves, tiny
from light_tasks import LightRun
from slow_work import STUDY, SlowWork
from test_executors import HERE, all_at_work, carry_out, of, press_when
from test_killed import table, undisturbed  # noqa: F401 - a fixture

from twincode.bulk import Encode, convert_folder
from twincode.cluster import OWN, QUIET, check_answer, connected, variables
from twincode.data import Columns, Policy
from twincode.errors import TwincodeError
from twincode.files import LOCK
from twincode.study import RayCluster
from twincode.study.executors.executor import ATTEMPTS
from twincode.study.runs import plan_runs
from twincode.train import fit


@pytest.fixture(scope="module")
def cluster():
    """Two nodes with a core each; the first believes that it has a GPU."""
    path = os.pathsep.join([HERE, os.environ.get("PYTHONPATH", "")])
    with variables({**QUIET, **OWN, "PYTHONPATH": path}):
        from ray.cluster_utils import Cluster

        cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 1, "num_gpus": 1, "include_dashboard": False},
        )
        cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


@pytest.fixture(scope="module")
def executor(cluster):
    with connected(cluster.address):
        yield RayCluster(cluster.address)


@pytest.fixture
def runs(tmp_path):
    folders = [tmp_path / str(number) for number in range(3)]
    for folder in folders:
        folder.mkdir()
    return [LightRun(folder) for folder in folders]


def reasons(events):
    return {event["run"]: event["reason"] for event in of("ended", events)}


def test_files_are_converted_as_by_one_process(executor, tmp_path):
    X = make_waves(40, 8).X_train
    fit(tiny("patch-rvq"), X).save(tmp_path / "run")
    (tmp_path / "in").mkdir()
    for name, own in (("a", X[:9]), ("b", X[9:20]), ("c", X[:1, :, :5])):
        pd.DataFrame({"x": own[:, 0].tolist()}).to_parquet(tmp_path / "in" / f"{name}.parquet")
    job, told = Encode(policy=Policy(lengths="truncate")), []
    where = {"ray": executor.address, "watch": lambda *rows: told.append(rows)}
    with pytest.raises(TwincodeError, match=r"c\.parquet, series 1 has 5 time steps, not 33"):
        convert_folder(tmp_path / "run", job, tmp_path / "in", tmp_path / "ray", **where)
    (tmp_path / "in" / "c.parquet").unlink()
    told.clear()
    convert_folder(tmp_path / "run", job, tmp_path / "in", tmp_path / "ray", **where)
    convert_folder(tmp_path / "run", job, tmp_path / "in", tmp_path / "one")
    assert told == [] or told[-1][0] == told[-1][1]
    for name in ("a.parquet", "b.parquet"):
        found, expected = (pd.read_parquet(tmp_path / each / name) for each in ("ray", "one"))
        pd.testing.assert_frame_equal(found, expected)
    assert {path.name for path in (tmp_path / "ray").iterdir()} - {LOCK} == {
        "a.parquet",
        "b.parquet",
    }


def test_every_run_ends_once_and_failures_have_reasons(executor, runs):
    assert reasons(carry_out(executor, runs, light_tasks.die_twice)) == dict.fromkeys("012")
    assert light_tasks.attempts(runs[0]) == 2
    assert reasons(carry_out(executor, runs[:1], light_tasks.see)) == {"0": '""'}
    assert reasons(carry_out(executor, runs, light_tasks.fail)) == {n: f"{n} broke" for n in "012"}


def test_a_run_that_kills_every_worker_fails(executor, runs):
    (reason,) = reasons(carry_out(executor, runs[:1], light_tasks.die)).values()
    assert reason.startswith(f"its worker died {ATTEMPTS} times (WorkerCrashedError: ")
    assert light_tasks.attempts(runs[0]) == ATTEMPTS


def test_what_a_task_raises_is_its_reason(executor, runs):
    (reason,) = reasons(carry_out(executor, runs[:1], light_tasks.blunder)).values()
    assert reason == "KeyError: '0'"


@pytest.mark.usefixtures("executor")
def test_ctrl_c_lets_runs_that_share_a_gpu_save(cluster, runs):
    executor = RayCluster(cluster.address, cpus=0.5, gpus=0.5)
    events, over = [], threading.Event()

    def press():
        press_when(all_at_work(runs[:2]), 1)
        # On a busy machine Ray may lose the word to stop; a second Ctrl-C then ends the wait.
        if not over.wait(60):
            press_when(lambda: True, 1)

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        executor(runs, light_tasks.tick, events.append)
    over.set()
    presser.join()
    assert events == [{"event": "stopping"}]
    saved = [(run.folder / "saved").exists() for run in runs]
    if saved == [False] * 3:
        for run in runs[:2]:
            os.kill(int((run.folder / "pid").read_text().split()[0]), signal.SIGKILL)
        pytest.skip("Ray has lost the word to stop")
    assert saved == [True, True, False]


def test_a_study_survives_the_death_of_a_node(cluster, executor, undisturbed, tmp_path):  # noqa: F811
    runs = plan_runs(STUDY, tmp_path, None, Policy(), Columns())
    events, reached, gone = [], {}, []

    def report(event):
        events.append(event)
        if event["event"] == "epoch":
            reached[event["run"]] = event["epoch"]
        if not gone and sorted(reached.values())[-2:-1] >= [2]:
            gone.append(cluster.worker_nodes.copy().pop())
            cluster.remove_node(gone[0], allow_graceful=False)

    # Slow enough for the node to die in the middle of a run on a busy machine too.
    executor(runs, SlowWork("cpu", ("a", "command"), 0.0, step_seconds=0.6), report)
    assert gone
    assert {event["reason"] for event in of("ended", events)} == {None}
    assert {event["run"] for event in of("started", events)} == {run.name for run in runs}
    taken_up = [(run.folder / "pids").read_text().split() for run in runs]
    assert any(len(set(pids)) > 1 for pids in taken_up)
    assert table(tmp_path) == undisturbed


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"cpus": 0}, "more than 0 cpus and at least 0 gpus, not 0 and 0"),
        ({"gpus": -1}, "not 1 and -1"),
        ({"cpus": float("nan")}, "not nan and 0"),
        ({"address": "auto"}, "either local or at an address such as 10.0.0.1:6379, not 'auto'"),
        ({"address": ""}, "either local or at an address"),
        ({"address": "ray://head:10001"}, "either local or at an address"),
    ],
)
def test_sizes_that_make_no_sense(sizes, message):
    with pytest.raises(TwincodeError, match=message):
        RayCluster(**sizes)


def test_ray_that_is_not_installed_is_one_line(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(TwincodeError, match=r"install it with pip install 'twincode\[ray\]'"):
        RayCluster()


def test_a_cluster_that_is_not_there_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "localhost"):
            check_answer(f"{host}:{port}", "127.0.0.1")
    with pytest.raises(
        TwincodeError, match=f"nothing answers at 127.0.0.1:{port}; give the address"
    ):
        check_answer(f"127.0.0.1:{port}", "127.0.0.1")
