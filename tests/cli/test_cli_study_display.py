import re
import time

import pytest
from terminal import epoch, terminal  # noqa: F401 - a fixture

from twincode.cli.study_progress import MOST_LINES, StudyProgress, describe
from twincode.study.board import Board, Row


def title(seed=0, data="Waves"):
    return f"{data}  BT-VQVAE γ=1  seed {seed}"


class Study:
    """Three runs on a board, and a view of it; tell it what happens."""

    def __init__(self, view, epochs=(0, 2, 6), data="Waves"):
        self.board = Board()
        self.view = view
        rows = [Row(str(n), title(n, data), each, 100) for n, each in enumerate(epochs)]
        runs = list(map(vars, rows))
        self.tell({"event": "began", "time": time.time() - 10, "driver": "process 1", "runs": runs})

    def tell(self, event):
        self.board.take(event)
        self.view.watch(event, self.board)

    def start(self, place):
        self.tell({"event": "started", "worker": "process 1", "run": str(place)})

    def reach(self, place, number):
        self.tell({**epoch(number), "run": str(place)})

    def log(self, place, event):
        self.tell({"event": event, "run": str(place)})

    def end(self, place, reason=None):
        self.tell({"event": "ended", "reason": reason, "run": str(place)})


def test_a_terminal_shows_counts_a_bar_and_what_runs(terminal):  # noqa: F811
    with StudyProgress() as view:
        study = Study(view)
        for place in range(3):
            study.start(place)
        study.end(0)
        study.reach(1, 1)
        study.reach(2, 3)
    counts, bar, *lines = terminal.lines()
    assert counts == "1 of 3 runs done, 2 running"
    assert re.fullmatch(r"\W+ 50% 0:00:1\d so far, 0:00:1\d left", bar)
    assert lines[:2] == [
        "Waves  BT-VQVAE γ=1  seed 1  epoch 1/2  loss 1.25  perplexity 3.5",
        "Waves  BT-VQVAE γ=1  seed 2  epoch 3/6  loss 1.25  perplexity 3.5",
    ]
    assert "".join(lines[2:]) == ""


def test_runs_say_what_they_do_before_their_first_epoch(terminal):  # noqa: F811
    with StudyProgress() as view:
        study = Study(view)
        for place in range(3):
            study.start(place)
        for place in (0, 1):
            study.log(place, "start")
    ends = [re.split(r"seed \d  ", line)[-1] for line in terminal.lines()[2:5]]
    assert ends == ["evaluation", "first epoch", "starting"]


def test_failures_are_counted_and_long_lines_cut(terminal):  # noqa: F811
    with StudyProgress() as view:
        study = Study(view, data="W" * 90)
        study.start(1)
        study.end(1, "it broke")
        study.start(2)
    counts, _, line, *_ = terminal.lines()
    assert counts == "0 of 3 runs done, 1 running, 1 failed"
    assert line.endswith("W…")
    assert len(line) == 80


def test_a_crowd_is_only_counted(terminal):  # noqa: F811
    with StudyProgress() as view:
        study = Study(view, epochs=[3] * (MOST_LINES + 5))
        for place in range(MOST_LINES + 5):
            study.start(place)
    assert terminal.lines()[2 + MOST_LINES] == "and 5 more"


def test_ctrl_c_is_answered(terminal):  # noqa: F811
    with StudyProgress() as view:
        study = Study(view)
        study.start(1)
        study.tell({"event": "stopping"})
    assert terminal.lines()[0].startswith("stopping when this epoch is done; press Ctrl-C again")


def test_where_nothing_is_left_nothing_is_shown(terminal):  # noqa: F811
    with StudyProgress() as view:
        Study(view, epochs=())
    assert terminal.getvalue() == ""


def test_elsewhere_there_is_a_line_for_each_piece_of_news(capsys):
    with StudyProgress() as view:
        study = Study(view)
        study.start(1)
        study.reach(1, 2)
        study.log(1, "evaluation")
        study.end(1)
        study.start(2)
        study.log(2, "lost")
        study.start(2)
        study.end(2, "it broke")
    lines = [re.sub(r"\d:\d\d:\d\d", "T", line) for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        f"[2/3] {title(1)}  epoch 2/2  loss 1.25  perplexity 3.5  last evaluation  "
        "T so far, T left",
        f"[3/3] {title(2)}  its worker died; it will be taken up again  T so far, T left",
        f"[3/3] {title(2)}  failed: it broke  T so far, T left",
    ]


@pytest.fixture
def board():
    rows = [Row(str(n), f"Waves  VQ-VAE  seed {n}", 10, 1) for n in range(4)]
    rows[0].epoch = rows[0].from_epoch = 10
    rows[0].state = "done"
    board = Board({row.name: row for row in rows}, 100.0, "process 1 on here")
    board.take({"event": "started", "worker": "process 7", "run": "1"})
    board.take({"event": "epoch", "epoch": 5, "run": "1"})
    board.take({"event": "ended", "reason": "it broke", "run": "2"})
    return board


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
