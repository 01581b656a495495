import re
import time

import pytest
from conftest import tiny
from terminal import epoch, terminal  # noqa: F401 - a fixture

from twincode.cli.study_progress import MOST_LINES, StudyProgress, describe
from twincode.data import Policy
from twincode.study import PlannedRun
from twincode.study.board import Board, Row
from twincode.study.executors.contract import Ended, Logged, Lost, Started, Stopping
from twincode.study.planned import DataReference


class Study:
    """Three runs on a board, and a view of it; tell it what happens."""

    def __init__(self, tmp_path, view, epochs=(0, 2, 6), data="Waves"):
        reference = DataReference(data, None, Policy(), data, "0" * 64, 40, 100)
        self.runs = [
            PlannedRun(reference, tiny("bt-vqvae", epochs=number), tmp_path / str(place))
            for place, number in enumerate(epochs)
        ]
        rows = [
            Row(r.name, data, "BT-VQVAE γ=1", 0, r.config.training.epochs, 100) for r in self.runs
        ]
        self.board = Board({row.name: row for row in rows}, time.time() - 10)
        self.view = view
        view.announce(self.board)

    def row(self, place):
        return self.board.rows[str(place)]

    def start(self, place):
        self.row(place).start("process 1", time.time())
        self.view.watch(Started(self.runs[place], "process 1"))

    def reach(self, place, number):
        self.row(place).reach(number)
        self.view.watch(Logged(self.runs[place], epoch(number)))

    def evaluate(self, place):
        self.view.watch(Logged(self.runs[place], {"event": "evaluation"}))

    def end(self, place, reason=None):
        self.row(place).end(reason, time.time())
        self.view.watch(Ended(self.runs[place], reason))


def test_a_terminal_shows_counts_a_bar_and_what_runs(terminal, tmp_path):  # noqa: F811
    with StudyProgress() as view:
        study = Study(tmp_path, view)
        for place in range(3):
            study.start(place)
        study.end(0)
        study.reach(1, 1)
        study.reach(2, 3)
    counts, bar, *lines = terminal.lines()
    assert counts == "1 of 3 runs done, 2 running"
    assert re.fullmatch(r"\W+ 50% 0:00:1\d so far, 0:00:1\d left", bar)
    assert lines[:2] == [
        "Waves  BT-VQVAE γ=1  seed 0  epoch 1/2  loss 1.25  perplexity 3.5",
        "Waves  BT-VQVAE γ=1  seed 0  epoch 3/6  loss 1.25  perplexity 3.5",
    ]
    assert "".join(lines[2:]) == ""


def test_runs_say_what_they_do_before_their_first_epoch(terminal, tmp_path):  # noqa: F811
    with StudyProgress() as view:
        study = Study(tmp_path, view)
        for place in range(3):
            study.start(place)
        for place in (0, 1):
            view.watch(Logged(study.runs[place], {"event": "start"}))
    ends = [line.split("seed 0  ")[-1] for line in terminal.lines()[2:5]]
    assert ends == ["evaluation", "first epoch", "starting"]


def test_failures_are_counted_and_long_lines_cut(terminal, tmp_path):  # noqa: F811
    with StudyProgress() as view:
        study = Study(tmp_path, view, data="W" * 90)
        study.start(1)
        study.end(1, "it broke")
        study.start(2)
    counts, _, line, *_ = terminal.lines()
    assert counts == "0 of 3 runs done, 1 running, 1 failed"
    assert line.endswith("W…")
    assert len(line) == 80


def test_a_crowd_is_only_counted(terminal, tmp_path):  # noqa: F811
    with StudyProgress() as view:
        study = Study(tmp_path, view, epochs=[3] * (MOST_LINES + 5))
        for place in range(MOST_LINES + 5):
            study.start(place)
    assert terminal.lines()[2 + MOST_LINES] == "and 5 more"


def test_ctrl_c_is_answered(terminal, tmp_path):  # noqa: F811
    with StudyProgress() as view:
        study = Study(tmp_path, view)
        study.start(1)
        view.watch(Stopping())
    assert terminal.lines()[0].startswith("stopping when this epoch is done; press Ctrl-C again")


def test_where_nothing_is_left_nothing_is_shown(terminal):  # noqa: F811
    with StudyProgress() as view:
        view.announce(Board())
    assert terminal.getvalue() == ""


def test_elsewhere_there_is_a_line_for_each_piece_of_news(capsys, tmp_path):
    with StudyProgress() as view:
        study = Study(tmp_path, view)
        study.start(1)
        study.reach(1, 2)
        study.evaluate(1)
        study.end(1)
        study.start(2)
        view.watch(Lost(study.runs[2]))
        study.start(2)
        study.end(2, "it broke")
    lines = [re.sub(r"\d:\d\d:\d\d", "T", line) for line in capsys.readouterr().err.splitlines()]
    title = "Waves  BT-VQVAE γ=1  seed 0"
    assert lines == [
        f"[2/3] {title}  epoch 2/2  loss 1.25  perplexity 3.5  last evaluation  T so far, T left",
        f"[3/3] {title}  its worker died; it will be taken up again  T so far, T left",
        f"[3/3] {title}  failed: it broke  T so far, T left",
    ]


@pytest.fixture
def board():
    rows = [Row(str(n), "Waves", "VQ-VAE", n, 10, 1) for n in range(4)]
    rows[0].end(None, 1.0)
    rows[0].from_epoch = 10
    rows[1].start("process 7", 2.0)
    rows[1].reach(5)
    rows[2].end("it broke", 3.0)
    return Board({row.name: row for row in rows}, 100.0, "process 1 on here")


def test_the_status_says_how_a_study_stands(board):
    assert list(describe(board, 110.0)) == [
        "1 of 4 runs done, 1 running, 1 failed, 62% of the work, 0:00:30 left",
        "running: Waves  VQ-VAE  seed 1  epoch 5/10  process 7",
        "failed: Waves  VQ-VAE  seed 2: it broke",
        "at work: process 1 on here",
    ]


def test_the_status_says_what_to_do(board):
    board.alive = False
    board.rows["1"].put_back()
    assert list(describe(board, 110.0)) == [
        "1 of 4 runs done, 1 failed, 62% of the work",
        "failed: Waves  VQ-VAE  seed 2: it broke",
        "nobody is at work; run the same command again to go on",
    ]
