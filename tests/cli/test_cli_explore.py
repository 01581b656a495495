"""twincode explore, on a tiny model."""

import pytest
from conftest import training_options, write_waves


def test_a_page_is_written_of_the_data_named(trained, waves_file, tmp_path, twincode):
    answer = twincode("explore", trained, waves_file, "-o", tmp_path / "codes.html")
    assert answer.status == 0
    assert answer.out.strip().endswith("codes.html")
    assert "BT-VQVAE on Waves" in (tmp_path / "codes.html").read_text(encoding="utf-8")


def test_a_model_finds_its_own_data(trained, waves_file, tmp_path, twincode):
    lone = twincode("explore", trained, "-o", tmp_path / "codes.html")
    assert lone.status == 1
    assert "give a name or a path after the folder" in lone.err
    found = twincode(
        "explore", trained, "--data-dir", waves_file.parent, "-o", tmp_path / "codes.html"
    )
    assert found.status == 0


def test_series_of_a_table_need_no_labels(trained, tmp_path, twincode):
    table = tmp_path / "mine.csv"
    rows = ["\t".join(f"{(i * t) % 7 / 7:g}" for t in range(33)) for i in range(1, 9)]
    table.write_text("\n".join(row.replace("\t", ",") for row in rows) + "\n")
    assert twincode("explore", trained, table, "-o", tmp_path / "mine.html").status == 0
    assert "on mine" in (tmp_path / "mine.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-o", "codes.pdf"), "cannot write codes.pdf: its name must end in .html"),
        (("nowhere.csv", "-o", "codes.html"), "nowhere.csv"),
    ],
)
def test_what_cannot_be_is_one_line(trained, words, message, tmp_path, monkeypatch, twincode):
    monkeypatch.chdir(tmp_path)
    answer = twincode("explore", trained, *words)
    assert answer.status == 1
    assert message in answer.err
    assert answer.err.count("\n") == 1
    assert not any(tmp_path.iterdir())


def test_other_series_and_continuous_models_are_refused(trained, tmp_path, twincode):
    longer = write_waves(tmp_path / "Longer.npz", length=40)
    answer = twincode("explore", trained, longer, "-o", tmp_path / "codes.html")
    assert answer.status == 1
    assert "series have 40 steps; this model was made for 33" in answer.err
    run = tmp_path / "vae"
    words = training_options("vae", epochs=0, evaluations=0)
    assert twincode("train", longer, "--out", run, *words).status == 0
    answer = twincode("explore", run, longer, "-o", tmp_path / "codes.html")
    assert answer.status == 1
    assert answer.err == ("twincode: vae is continuous: it has features but no codes to explore\n")
