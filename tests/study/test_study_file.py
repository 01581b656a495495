import pytest

from twincode.errors import TwincodeError
from twincode.files import write_text
from twincode.study import Study
from twincode.study.study_file import read_study_file

WHOLE = """
datasets = ["GunPoint", "mine/pumps.csv", "near.csv", "far.csv"]
recipes = ["vqvae", "bt-vqvae"]
seeds = 2
epochs = 9

[axes]
gamma = [0.5, 1]
codebook-size = [16, 32]

[settings]
readouts = ["mean"]

[recipe.bt-vqvae]
learning_rate = 1e-2
"""


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "my.toml"
        path.write_text(text, encoding="utf-8")
        return read_study_file(path)

    return read


def test_a_file_describes_a_whole_study(read, tmp_path):
    (tmp_path / "near.csv").write_text("")
    study = Study(**read(WHOLE))
    beside = [str(tmp_path / name) for name in ("mine/pumps.csv", "near.csv")]
    assert study == Study(
        datasets=("GunPoint", *beside, "far.csv"),
        recipes=("vqvae", "bt-vqvae"),
        axes={"gamma": [0.5, 1], "codebook_size": [16, 32]},
        seeds=2,
        settings={"readouts": ["mean"], "epochs": 9},
        overrides={"bt-vqvae": {"learning_rate": 1e-2}},
    )
    twin = study.configs()[-1]
    assert (twin.recipe, twin.gamma, twin.quantizer.codebook_size) == ("bt-vqvae", 1, 32)
    assert (twin.training.learning_rate, twin.training.epochs) == (0.01, 9)
    assert twin.evaluation.readouts == ("mean",)


def test_what_a_file_leaves_out_has_the_usual_value(read):
    study = Study(("GunPoint",), settings={"steps": 30})
    assert Study(**read('datasets = ["GunPoint"]\nsteps = 30')) == study


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dataset = ['a']", r"unknown entry in .*my.toml 'dataset'; did you mean 'datasets'"),
        ("epochs = 2\nsettings = { epochs = 3 }", r"epochs is given twice, once in \[settings\]"),
        ("settings = { n-fft = 2, n_fft = 4 }", r"\[settings\] gives a setting twice"),
        ("a = " + 4000 * "[", "is not a readable study file"),
        ("datasets = 'GunPoint'", "datasets must be a list of names such as"),
        ("datasets = [1]", "datasets must be a list of names"),
        ("axes = 1", "axes must be a table"),
        ("seeds = 2.5", "seeds must be a whole number, not 2.5"),
        ("seeds = true", "seeds must be a whole number"),
        ("settings = 1", "settings must be a table"),
        ("recipe = 1", "recipe must be a table for each recipe"),
        ("recipe.vqvae = 1", "recipe.vqvae must be a table"),
        ("seeds = ", "is not a readable study file"),
    ],
)
def test_what_a_file_should_not_hold_is_one_line(read, text, message):
    with pytest.raises(TwincodeError, match=message) as caught:
        read(text)
    assert len(str(caught.value).splitlines()) == 1


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(TwincodeError, match="no study file at"):
        read_study_file(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"\xff")
    with pytest.raises(TwincodeError, match="not a readable study file"):
        read_study_file(tmp_path / "latin.toml")


def test_a_folder_of_data_beside_the_file_is_that_folder(read, tmp_path):
    for name in ("train.csv", "test.csv"):
        write_text(tmp_path / "pumps" / name, "")
    (tmp_path / "GunPoint").mkdir()
    found = read('\ufeffdatasets = ["pumps", "GunPoint"]')["datasets"]
    assert found == (str(tmp_path / "pumps"), "GunPoint")
