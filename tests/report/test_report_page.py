import json
import subprocess
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import pandas as pd
import pytest
import synthetic as made

from twincode.errors import TwincodeError
from twincode.report import canvas, load_results, write_report

STRANGE = "Gun<b>Point</b> & $co_/1^$"


class Page(HTMLParser):
    """Every tag of a page with its attributes, and every piece of text outside style and script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] not in ("style", "script"):
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(folder) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page") / "study"
    made.write_study(
        folder, (made.NAIVE, made.TWINS[0], made.RAW), (made.Data(STRANGE),), planned=7
    )
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def page(study):
    return Page((study / "report.html").read_text(encoding="utf-8"))


def test_the_page_loads_nothing_from_elsewhere(page):
    for _, attributes in page.tags:
        for name in ("src", "srcset", "href", "data", "action"):
            address = attributes.get(name)
            assert address is None or address.startswith(("data:", "#"))


def test_every_image_has_words_and_every_figure_a_caption(page):
    assert len(page.all("img")) == len(page.all("figure")) == len(page.all("figcaption")) == 8
    assert all((image["alt"] or "").strip() for image in page.all("img"))


def test_every_link_within_the_page_arrives(page):
    targets = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(targets) == len(set(targets))
    links = [a["href"][1:] for a in page.all("a")]
    assert links
    assert set(links) <= set(targets)


def test_names_are_text_and_never_markup(page, study):
    assert not page.all("b")
    assert STRANGE in page.words
    assert not [path for path in study.rglob("*") if "<" in path.name]


def test_missing_runs_and_the_question_are_on_the_page(page):
    text = " ".join(page.words)
    assert "2 of 7 planned runs are missing" in text
    assert "what does it cost in reconstruction?" in text


def test_paired_differences_stand_after_the_answer(page):
    places = [a["id"] for tag, a in page.tags if tag == "section"]
    assert places[:2] == ["answer", "paired"]
    text = " ".join(page.words)
    assert "Against the naive VQ-VAE" in text
    assert "Against augmentation alone" not in text
    assert "too few" in text
    assert "seeds of one data set are not independent data sets" in text


def test_figures_and_tables_lie_beside_the_page(study):
    figures = [path for path in (study / "figures").rglob("*") if path.is_file()]
    assert {path.suffix for path in figures} == {".svg"}
    for path in figures:
        ElementTree.parse(path)
    assert {path.name for path in (study / "tables").iterdir()} >= {
        "summary.csv",
        "history.parquet",
        "paired.csv",
        "paired-by-dataset.csv",
    }
    tidy = load_results(study).table
    pd.testing.assert_frame_equal(pd.read_parquet(study / "results.parquet"), tidy)
    assert len(pd.read_csv(study / "results.csv")) == len(tidy)


def test_without_labels_codes_or_gammas_and_with_many_channels(tmp_path):
    continuous = made.Model("Autoencoder", "autoencoder", discrete=False)
    data = made.Data("Wild", channels=5, classes=())
    page = page_of(made.write_study(tmp_path / "study", (continuous,), (data,), seeds=(0,)))
    text = " ".join(page.words)
    assert "Without labels" in text
    assert "3 of 5 are shown" in text
    assert "no labels" in text
    assert "Series as tokens" not in text
    assert "As γ grows" not in text


def test_one_run_makes_a_page_and_the_same_bytes_each_time(tmp_path):
    run = made.write_study(tmp_path / "study", (made.TWINS[0],), seeds=(3,)) / "runs" / "00-3"
    first = write_report(run).read_bytes()
    assert "From one run, of the lowest seed (3)." in first.decode()
    assert write_report(run).read_bytes() == first


def test_controls_alone_make_a_page(tmp_path):
    page = page_of(made.write_study(tmp_path / "study", (made.RAW,), seeds=(0,)))
    assert not page.all("img")
    assert page.all("table")
    assert "paired" not in [section["id"] for section in page.all("section")]


def test_a_model_that_diverged_shows_a_dash_not_nan(tmp_path):
    study = made.write_study(tmp_path / "study", (made.TWINS[1],), seeds=(0,))
    path = study / "runs" / "00-0" / "result.json"
    path.with_name("exhibits.npz").unlink()
    record = json.loads(path.read_text())
    for entry in record["evaluations"]:
        entry["value"] = float("nan")
    path.write_text(json.dumps({**record, "history": []}))
    text = " ".join(page_of(study).words)
    assert "No probe of the codes gave a number." in text
    assert "nan" not in text.lower().split()


OTHERS = tuple(
    made.Model(f"{name} γ=1", name, 1.0, 0.8, 0.06, overrides={"gamma": 1.0})
    for name in ("vicreg-vqvae", "simclr-vqvae", "byol-vqvae")
)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """460 finished runs: ten models on ten data sets with five seeds, the raw series with one."""
    models = (*made.ALL_MODELS, *OTHERS)
    data = tuple(made.Data(f"LargeSet{index}", length=30) for index in range(10))
    folder = tmp_path_factory.mktemp("large") / "study"
    return made.write_study(folder, models, data, tuple(range(5)), epochs=8, points=20)


def test_hundreds_of_runs_make_a_page_with_bounded_work(large, monkeypatch):
    drawn = []
    keep = canvas.document
    monkeypatch.setattr(canvas, "document", lambda *parts: drawn.append(keep(*parts)) or drawn[-1])
    page = page_of(large)
    results = load_results(large)
    assert len(results.runs) == 460
    # eight figures a data set and one over all (the ranks are drawn apart), in two widths each
    assert len(drawn) == 2 * (8 * len(results.datasets) + 1)
    assert max(map(len, drawn)) < 400_000
    assert (large / "report.html").stat().st_size < 1_500_000
    lazy = [image for image in page.all("img") if not (image["src"] or "").startswith("data:")]
    assert len(lazy) == 8 * len(results.datasets)
    assert all(image["loading"] == "lazy" for image in lazy)
    sources = [a["srcset"] for a in page.all("source")] + [a["src"] for a in page.all("img")]
    beside = [source for source in sources if not source.startswith("data:")]
    assert all((large / source).is_file() for source in beside)


def test_one_table_over_all_data_sets_is_shown_and_the_others_wait(large):
    page = Page((large / "report.html").read_text(encoding="utf-8"))
    choices = [a for tag, a in page.tags if tag == "div" and a.get("class") == "choice"]
    assert [a["value"] for a in page.all("option")] == [a["id"] for a in choices]
    assert [("hidden" in a) for a in choices] == [False] + [True] * (len(choices) - 1)
    text = " ".join(page.words)
    assert "over the 10 of 10 data sets on which all 10 compared models have a number" in text
    assert "Friedman's test" in text


def test_no_results_leave_no_page(tmp_path):
    with pytest.raises(TwincodeError, match="no finished runs"):
        write_report(tmp_path)
    assert not list(tmp_path.iterdir())


def test_importing_the_room_stays_light():
    heavy = ("matplotlib", "pandas", "jinja2", "torch", "sklearn", "scipy")
    code = f"import sys, twincode.report; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
