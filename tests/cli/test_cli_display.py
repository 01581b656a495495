import re

import pytest
from terminal import epoch, terminal  # noqa: F401 - a fixture

from twincode.cli.progress import RowsProgress, RunProgress
from twincode.cli.settings import listed, parse_axes, parse_settings
from twincode.cli.tables import show
from twincode.errors import TwincodeError


def test_a_terminal_shows_what_runs_how_far_it_is_and_how_long_it_takes(terminal):  # noqa: F811
    with RunProgress("Waves  BT-VQVAE γ=1", 4) as progress:
        progress.watch({"event": "start"})
        progress.watch(epoch(1))
        progress.watch(epoch(2))
    what, far, rest = terminal.lines()
    assert what == "Waves  BT-VQVAE γ=1  epoch 2/4  loss 1.25  perplexity 3.5"
    assert re.fullmatch(r"\W+ 50% \d:\d\d:\d\d so far, (\d:\d\d:\d\d|-:--:--) left", far)
    assert rest == ""


def test_a_continuous_model_has_no_perplexity(terminal):  # noqa: F811
    with RunProgress("Waves", 4) as progress:
        progress.watch(epoch(4, perplexity=None))
    assert terminal.lines()[0] == "Waves  epoch 4/4  loss 1.25  last evaluation"


def test_files_that_are_converted_have_a_rate_and_a_time_left(terminal):  # noqa: F811
    with RowsProgress("encode series") as progress:
        progress.watch(512, 2048)
        progress._bar.refresh()
        line = terminal.lines()[0]
    assert re.fullmatch(r"encode series \W+ 25% [\d,]+ rows/s, (\d:\d\d:\d\d|-:--:--) left", line)


def test_a_log_of_such_files_gets_a_line_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr("twincode.cli.progress.LINE_SECONDS", 0)
    with RowsProgress("encode series") as progress:
        progress.watch(0, 2048)
        progress.watch(512, 2048)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "encode series  0 of 2,048 rows, 0 rows/s, -:--:-- left"
    assert re.fullmatch(r"encode series  512 of 2,048 rows, [\d,]+ rows/s, 0:00:0\d left", second)


def test_dead_codes_and_what_goes_wrong_are_told_as_it_happens(terminal):  # noqa: F811
    with RunProgress("Waves", 9) as progress:
        progress.watch(epoch(5, dead_codes=30.0))
        message = "only 2 of 32 codes are in use"
        progress.watch({"event": "health", "epoch": 5, "collapsed": True, "message": message})
        progress.watch(epoch(9, dead_codes=30.0))
        progress.watch({"event": "health", "epoch": 9, "collapsed": True, "message": "to the end"})
    told, now, *_ = terminal.lines()
    assert told == "Waves: only 2 of 32 codes are in use"
    assert now.startswith("Waves  epoch 9/9  loss 1.25  perplexity 3.5  30 dead codes  last")
    assert not any("to the end" in line for line in terminal.lines())


def test_a_failure_before_the_first_epoch_leaves_the_terminal_clean(terminal):  # noqa: F811
    with pytest.raises(TwincodeError), RunProgress("Waves", 4):
        raise TwincodeError("no")
    assert set(terminal.lines()) == {""}


def test_a_failure_later_leaves_the_bar_and_an_empty_line(terminal):  # noqa: F811
    def fail():
        with RunProgress("Waves", 4) as progress:
            progress.watch(epoch(1))
            raise TwincodeError("no")

    with pytest.raises(TwincodeError):
        fail()
    assert [bool(line) for line in terminal.lines()] == [True, True, False]


def test_numbers_never_wrap_and_columns_that_do_not_fit_go_below(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    rows = [["a" * 25, "1234567", "12345", ""], ["b", "1", "2", "0.1234567"]]
    show(["name", "first", "second", "third"], rows, "A title that is longer than thirty columns")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 30
    cells = [cell for line in lines for cell in line.split()]
    assert all(cells.count(number) == 1 for number in ("1234567", "12345", "0.1234567"))
    assert cells.count("name") == 3
    # A row with nothing to say in a part is left out of it.
    assert sum(line.startswith("aaaa") for line in lines[-3:]) == 0


def test_a_wide_terminal_gets_one_table(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    show(["name", "first", "second"], [["[b]", 1, 2.5]])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["name  first  second", "─" * 19, "[b]       1     2.5", ""]


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        ([], {}),
        (["--epochs", "3", "--n-fft=8"], {"epochs": "3", "n_fft": "8"}),
        (["--slope_rate", "-0.1"], {"slope_rate": "-0.1"}),
        (["--readouts", "mean,flatten", "--gamma="], {"readouts": "mean,flatten", "gamma": ""}),
    ],
)
def test_settings_are_read_from_words(words, settings):
    assert parse_settings(words) == settings


@pytest.mark.parametrize("words", [["epochs"], ["-e", "3"], ["--epochs"], ["--a", "--b", "1"]])
def test_words_that_are_no_settings_are_errors(words):
    with pytest.raises(TwincodeError, match=r"unexpected argument|needs a value"):
        parse_settings(words)


def test_lists_are_read_generously():
    assert listed(" a, b,,") == ("a", "b")
    assert listed("") == ()


def test_axes_are_read_from_words():
    words = ["gamma=1, .5", "codebook-size=16,64,", "quantizer=vq,fsq", "fsq_levels=8,5;8"]
    assert parse_axes(words) == {
        "gamma": (1, 0.5),
        "codebook_size": (16, 64),
        "quantizer": ("vq", "fsq"),
        "fsq_levels": ("8,5", 8),
    }


def test_an_axis_is_given_once():
    with pytest.raises(TwincodeError, match="axis gamma is given twice"):
        parse_axes(["gamma=0", "gamma=1"])


@pytest.mark.parametrize("word", ["gamma", "gamma=", "=1", "gamma= , "])
def test_words_that_are_no_axis_are_errors(word):
    with pytest.raises(TwincodeError, match="an axis looks like --axis gamma="):
        parse_axes([word])
