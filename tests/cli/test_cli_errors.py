"""Every mistake a user can make ends in one line on the error stream and a status of failure."""

import errno
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from conftest import options, training_options, write_waves
from safetensors.torch import save_file

from twincode.cli.errors import readable
from twincode.errors import TwincodeError

BT_VQVAE = ("train", "GunPoint", "--recipe", "bt-vqvae")


@pytest.fixture(scope="module")
def bad(waves, tmp_path_factory):
    """A folder of files that no model can be made of, and of some that only do not fit."""
    folder = tmp_path_factory.mktemp("bad")
    rows = [",".join(f"{value:.3f}" for value in series) for series in waves.X_train[:8, 0]]
    texts = {
        "good": rows,
        "empty": [],
        "ragged": [*rows[:7], rows[7][:50]],
        "letters": [*rows[:7], rows[7].replace("0.", "x.", 1)],
        "nan": [*rows[:7], ",".join(["0", "nan", *rows[7].split(",")[2:]])],
        "infinite": [*rows[:7], ",".join(["inf", *rows[7].split(",")[1:]])],
        "few": rows[:1],
        "short": ["0.1,0.2,0.3"] * 8,
    }
    for name, lines in texts.items():
        (folder / f"{name}.csv").write_text("".join(line + "\n" for line in lines))
    (folder / "binary.csv").write_bytes(b"\xff\xfe\x00")
    (folder / "damaged.parquet").write_bytes(b"PAR1")
    (folder / "notes.txt").write_text("hello")
    np.save(folder / "channels.npy", np.zeros((3, 2, 33), np.float32))
    np.save(folder / "length.npy", np.zeros((3, 1, 20), np.float32))
    np.save(folder / "objects.npy", np.array([{}, []], object))
    write_waves(folder / "Wide.npz", channels=2)
    (folder / "nothing").mkdir()
    (folder / "folder.csv").mkdir()
    (folder / "foreign").mkdir()
    (folder / "foreign" / "model.json").write_text('{"architecture": "other"}')
    (folder / "foreign" / "result.json").write_text('{"accuracy": 1}')
    return folder


@pytest.fixture
def fails(twincode):
    def run(*words, status=1):
        answer = twincode(*words)
        assert answer.status == status
        assert answer.out == ""
        (line,) = answer.err.splitlines()
        assert line.startswith("twincode: ")
        return line

    return run


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("GunPiont", "unknown data set 'GunPiont'; did you mean 'GunPoint'?"),
        ("", "unknown data set ''"),
        ("{bad}/empty.csv", "empty.csv is empty"),
        ("{bad}/ragged.csv", "use --lengths resample"),
        ("{bad}/letters.csv", "row 8, column"),
        ("{bad}/nan.csv", "has a missing value (channel 1, time step 2); use --missing interp"),
        ("{bad}/infinite.csv", "has an infinite value"),
        ("{bad}/few.csv", "at least 2 and 1 are needed"),
        ("{bad}/short.csv", "series of 3 steps are too short for n_fft 8: at least 5"),
        ("{bad}/binary.csv", "binary.csv is not plain UTF-8 text"),
        ("{bad}/damaged.parquet", "damaged.parquet is damaged"),
        ("{bad}/objects.npy", "holds Python objects"),
        ("{bad}/notes.txt", "unknown format '.txt'"),
        ("{bad}/none.csv", "there is no file"),
        ("{bad}/nothing", "holds no pair of files"),
    ],
)
def test_data_that_cannot_be_used(fails, bad, tmp_path, source, message):
    out = tmp_path / "run"
    assert message in fails("train", source.format(bad=bad), "--out", out, *training_options())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--recipe bt-vqva", "unknown recipe 'bt-vqva'; did you mean 'bt-vqvae'?"),
        ("--epoch 3", "unknown setting 'epoch'; did you mean 'epochs'?"),
        ("--recipie vqvae", "unknown option --recipie; did you mean --recipe?"),
        ("--mising interpolate", "unknown option --mising; did you mean --missing?"),
        ("--lable-column kind", "unknown option --lable-column; did you mean --label-column?"),
        ("--codebok-size=3", "unknown setting 'codebok_size'; did you mean 'codebook_size'?"),
        ("--epochs", "setting --epochs needs a value"),
        ("--epochs --gamma 1", "setting --epochs needs a value"),
        ("--epochs many", "epochs must be of type int, not 'many'"),
        ("--epochs 1.5", "epochs must be of type int"),
        ("--steps 5", "a run takes epochs or steps, not both"),
        ("--gamma=", "gamma must be of type float, not ''"),
        ("--gamma -1", "gamma must be at least 0"),
        ("--gamma nan", "gamma must"),
        ("--epochs -1", "epochs must be at least 0"),
        ("--codebook-size 0", "codebook_size must be at least 1"),
        ("--n-fft 7", "n_fft must be even"),
        ("--window flat", "unknown window 'flat'"),
        ("--readouts avg", "unknown readout 'avg'"),
        ("--augmentations flop", "unknown augmentation 'flop'; did you mean 'flip'?"),
        ("--seed -1", "seed must be at least 0"),
        ("--evaluations -1", "evaluations must be at least 0"),
        ("--held-out 0.999", "held_out 0.999 leaves none of 50 train series to learn from"),
        ("--device tpu", "device 'tpu' is not available here; try cpu"),
        ("--missing guess", "unknown policy for missing values 'guess'"),
        ("--lengths pad", "unknown policy for unequal lengths 'pad'"),
        ("--data-dir {bad}/nowhere", "is not a folder"),
        ("extra", "unexpected argument 'extra'"),
        ("-x", "unexpected argument '-x'"),
    ],
)
def test_settings_that_make_no_sense(fails, bad, tmp_path, words, message):
    words = words.format(bad=bad).split()
    start = ["train", "GunPoint", "--out", tmp_path / "run", *training_options()]
    assert message in fails(*start, *words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--recipe fsq-vqvae --codebook-size 32", "vq, residual, product; this model has fsq"),
        ("--recipe fsq-vqvae --distance cosine", "this model has fsq"),
        ("--recipe vqvae --bands 1", "a setting of the tokenizer bands; this model has vqvae"),
        ("--queue-size 8", "a setting of the twin loss moco; this model has barlow_twins"),
        ("--recipe vqvae --projector-width 8", "this model has none"),
        ("--augmentations flip,slope --jitter-std 1", "jitter; this model has flip, slope"),
        ("--augmentations= --jitter-std 1", "jitter; this model has none"),
        ("--recipe vqvae --jitter-std 1", "jitter; this model has none"),
        ("--recipe vqvae --augmentations flip", "augmentations make views, and this model"),
        ("--recipe bands --downsampled-width 4", "; this model has bands"),
        ("--augmentations flip,slope,flip", "augmentations name flip twice; once is enough"),
        ("--readouts mean,mean", "readouts name mean twice; once is enough"),
        ("--metrics rate,rate", "metrics name rate twice; once is enough"),
    ],
)
def test_settings_that_the_model_does_not_have(fails, tmp_path, words, message):
    assert message in fails(*BT_VQVAE, "--out", tmp_path / "run", *words.split())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "culprit", "remedy"),
    [
        ("paint", "'paint'", "see twincode --help"),
        ("train", "DATASET", "see twincode train --help"),
        ("train GunPoint", "--out", "see twincode train --help"),
        ("train GunPoint --out", "--out", "--help"),
        ("encode run x.csv -o y.csv --fast", "--fast", "see twincode encode --help"),
        ("study run --datasets GunPoint --seeds many", "--seeds", "see twincode study run --help"),
        ("study paint", "'paint'", "see twincode study --help"),
        ("study --datasets GunPoint", "--datasets", "see twincode study --help"),
        ("study my.toml", "'my.toml'", "see twincode study --help"),
    ],
)
def test_command_lines_that_cannot_be_read(fails, words, culprit, remedy):
    line = fails(*words.split(), status=2)
    assert culprit in line
    assert line.endswith(remedy)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--datasets", ""], "a study needs at least one of datasets"),
        (["--datasets", " , "], "a study needs at least one of datasets"),
        (["--recipes", ""], "a study needs at least one of recipes"),
        (["--recipes", "vqvea"], "unknown recipe 'vqvea'; did you mean 'vqvae'?"),
        (["--axis", "gamma="], "an axis looks like --axis gamma=0.5,1,2, not 'gamma='"),
        (["--axis", "gamma=1,-1"], "gamma must be at least 0"),
        (["--axis", "gamma=1,a"], "gamma must be of type float, not 'a'"),
        (["--axis", "kl-weight=1,2"], "kl_weight is a setting of the quantizer gaussian; these mo"),
        (["--axis", "seed=1,2"], "a study varies seed itself; use seeds"),
        (["--axis", "gamma=1", "--gamma", "2"], "gamma is an axis; leave it out of the settings"),
        (["--gammas", "1,2"], "unknown setting 'gammas'; did you mean 'gamma'?"),
        (["--seeds", "0"], "seeds must be a whole number of at least 1, not 0"),
        (["--seed", "1"], "a study varies seed itself; use seeds"),
        (["--epoch", "1"], "unknown setting 'epoch'; did you mean 'epochs'?"),
        (["--device", "tpu"], "device 'tpu' is not available here"),
        (["--datasets", "GunPoint,GunPiont"], "unknown data set 'GunPiont'"),
        (["--steps", "5", "--epochs", "3"], "a study takes epochs or steps, not both"),
        (["--workers", "0"], "workers must be a whole number of at least 1, not 0"),
        (["--workers", "2", "--ray", "local"], "use --workers or --ray, not both"),
        (["--per-run", "gpus=0.5"], "--per-run is for --ray"),
        (["--ray", "local", "--per-run", "cpus=0"], "takes more than 0 cpus"),
        (["--ray", "local", "--per-run", "gpus"], "--per-run looks like cpus=1,gpus=0.5, not 'gp"),
        (["--ray", "local", "--per-run", "tpus=1"], "--per-run looks like cpus=1,gpus=0.5, not"),
        (["--fsq-levels", "8,5"], "fsq_levels is a setting of the quantizer fsq; these models hav"),
        (
            ["--recipes", "raw-series", "--steps", "6"],
            "this model has no steps; leave it out, or ",
        ),
        (["mine.txt"], "unexpected argument 'mine.txt'; the name of a study file ends in .toml"),
        (["a.toml", "b.toml"], "one study file at a time, not a.toml and b.toml"),
        (["nowhere.toml"], "no study file at nowhere.toml"),
    ],
)
def test_studies_that_make_no_sense(fails, tmp_path, words, message):
    start = [] if "--datasets" in words else ["--datasets", "GunPoint"]
    assert message in fails("study", "run", *start, *words, "--out", tmp_path / "s")
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("[settings]\nqueue_size = 8", [], "queue_size is a setting of the twin loss moco"),
        ("[settings]\nqueue_size = 8", ["--recipes", "vqvae"], "queue_size is a setting of"),
        ("[recipe.vqvae]\nprojector-width = 8", [], "recipe vqvae: projector_width is a setting"),
        (
            "[settings]\nprojector_width = 8",
            ["--recipes", "vqvae", "--off-diagonal-weight", "1"],
            "off_diagonal_weight is a setting of",
        ),
        # What the file says is for its own recipes, of which options may leave some out.
        ("[settings]\nprojector_width = 8", ["--recipes", "vqvae"], "unknown data set 'GunPiont'"),
        ("[axes]\ngamma = [1, 2]", ["--recipes", "vqvae"], "unknown data set 'GunPiont'"),
        ("[recipe.bt-vqvae]\ngamma = 2", ["--recipes", "vqvae"], "unknown data set 'GunPiont'"),
    ],
)
def test_settings_of_a_file_that_its_recipes_do_not_read(fails, tmp_path, text, words, message):
    file = tmp_path / "my.toml"
    file.write_text(f'datasets = ["GunPiont"]\n{text}')
    assert message in fails("study", "run", file, *words, "--out", tmp_path / "s")


def test_a_study_of_nothing(fails):
    line = fails("study", "run", "--epochs", "3")
    assert "name data sets with --datasets, or a study file" in line


def test_the_status_of_no_study(fails, tmp_path):
    assert f"no study in {tmp_path}" in fails("study", "status", tmp_path)


@pytest.mark.parametrize("command", ["encode", "decode"])
def test_a_source_that_is_not_there_is_told_before_the_target(fails, trained, tmp_path, command):
    source = str(tmp_path / "nowhere")
    assert f"there is no file or folder {source}" in fails(command, trained, source, "-o", "codes")


@pytest.mark.parametrize("command", ["encode", "reconstruct"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("{run} {bad}/channels.npy -o {out}.csv", "2 channels; this model was made for 1"),
        ("{run} {bad}/length.npy -o {out}.csv", "20 time steps, not 33; use --lengths resample"),
        ("{run} {bad}/nan.csv -o {out}.csv", "use --missing interpolate"),
        ("{run} {bad}/empty.csv -o {out}.csv", "empty.csv is empty"),
        ("{run} {bad}/none.csv -o {out}.csv", "there is no file"),
        ("{run} {bad} -o {out}.csv", "is a folder; name a file in it"),
        ("{run} {bad}/good.csv -o {bad}/good.csv", "is what is read; write to another file"),
        ("{run} {bad}/good.csv -o {out}.txt", "must end in .csv, .parquet, .npy or .npz"),
        ("{run} {bad}/good.csv -o {out}", "must end in .csv, .parquet, .npy or .npz"),
        ("{run} {bad}/good.csv -o {bad}/folder.csv", "it is a folder; name a file in it"),
        ("{run} {bad}/good.csv -o {bad}/notes.txt/x.csv", "a file stands where a folder is"),
        ("{run} {bad}/good.csv -o {out}.csv --device tpu", "device 'tpu' is not available"),
        ("{bad}/nowhere {bad}/good.csv -o {out}.csv", "no model description at"),
        ("{bad}/nothing {bad}/good.csv -o {out}.csv", "no model description at"),
        ("{bad}/foreign {bad}/good.csv -o {out}.csv", "is not a model this version"),
    ],
)
def test_series_and_models_that_do_not_fit(fails, trained, bad, tmp_path, command, words, message):
    words = words.format(run=trained, bad=bad, out=tmp_path / "out").split()
    assert message in fails(command, *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("{run} --dataset {bad}/Wide.npz", "2 channels; this model was made for 1"),
        ("{run} --dataset GunPoint", "150 steps; this model was made for 33"),
        ("{run} --dataset GunPiont", "unknown data set 'GunPiont'"),
        ("{run}", "cannot load the model's own data: unknown data set 'Waves'"),
        ("{run} --dataset {waves} --device tpu", "device 'tpu' is not available"),
        ("{run} --dataset {waves} --prior other", "prior can be chosen with --generation only"),
        ("{run} --dataset {waves} --out {bad}", "it is a folder; name a file in it"),
        ("{bad}/nothing", "no model description at"),
        ("{bad}/foreign", "is not a model this version"),
    ],
)
def test_evaluations_that_cannot_be(fails, trained, bad, waves_file, words, message):
    words = words.format(run=trained, bad=bad, waves=waves_file).split()
    assert message in fails("evaluate", *words)


@pytest.fixture
def damaged(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "damaged")


@pytest.mark.parametrize("name", ["model.safetensors", "model.json"])
def test_a_corrupt_model(fails, damaged, bad, tmp_path, name):
    (damaged / name).write_bytes(b"\x80\x04junk")
    line = fails("encode", damaged, bad / "good.csv", "-o", tmp_path / "out.csv")
    assert str(damaged / name) in line


def test_a_corrupt_prior_hinders_those_alone_who_use_it(fails, twincode, damaged, bad, tmp_path):
    (damaged / "prior").mkdir()
    (damaged / "prior" / "prior.json").write_text("junk")
    words = ("encode", damaged, bad / "good.csv", "-o", tmp_path / "out.csv")
    assert twincode(*words).status == 0
    assert "prior.json is not a readable prior" in fails(
        "sample", damaged, "-o", tmp_path / "x.csv"
    )


@pytest.mark.parametrize("content", ["junk", "[]", '{"format": 1}'])
def test_a_corrupt_result(fails, damaged, waves_file, content):
    (damaged / "result.json").write_text(content)
    assert "result.json is not" in fails("study", "report", damaged)
    words = ["train", waves_file, "--out", damaged, *training_options(epochs=2)]
    assert "result.json is not" in fails(*words)


@pytest.mark.parametrize("name", ["nothing", "nowhere", "foreign"])
def test_a_page_of_nothing(fails, bad, name):
    line = fails("study", "report", bad / name)
    assert "no finished runs in" in line or "is not the result of a finished run" in line


def test_a_corrupt_and_a_foreign_checkpoint(fails, waves_file, tmp_path):
    checkpoint = tmp_path / "checkpoint.safetensors"
    words = ["train", waves_file, "--out", tmp_path, *training_options()]
    checkpoint.write_bytes(b"junk")
    assert f"the checkpoint {checkpoint} is corrupt" in fails(*words)
    save_file({"weights": torch.zeros(3)}, checkpoint)
    assert "is not a checkpoint this version can read; delete it" in fails(*words)


def test_a_folder_that_holds_another_run(fails, trained, bad, waves_file):
    words = ["train", waves_file, "--out", trained, *training_options(epochs=2)]
    assert "holds another run (it differs in gamma)" in fails(*words, "--gamma", "2")
    assert "result.json is not" in fails(*words[:2], "--out", bad / "foreign", *words[4:])


@pytest.mark.parametrize(
    "words", ["train {waves} --recipe bt-vqvae", "study run --datasets {waves}"]
)
def test_a_folder_that_cannot_be_written(fails, waves_file, bad, words):
    """Below a regular file not even root can write."""
    below = bad / "notes.txt" / "below"
    line = fails(*words.format(waves=waves_file).split(), "--out", below, *options())
    assert line.startswith(f"twincode: cannot write {bad / 'notes.txt'}")
    assert line.endswith("a file stands where a folder is needed; choose another folder")


@pytest.fixture
def full_disk(monkeypatch):
    def refuse(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)


@pytest.mark.parametrize(
    "words",
    [
        "train {waves} --recipe bt-vqvae --out {out}/run",
        "evaluate {run} --dataset {waves} --out {out}/e.csv",
        "encode {run} {bad}/good.csv -o {out}/x.csv",
        "reconstruct {run} {bad}/good.csv -o {out}/x.parquet",
        "study run --datasets {waves} --out {out}/s",
        "study report {run}",
    ],
)
@pytest.mark.usefixtures("full_disk")
def test_a_full_disk(twincode, trained, bad, waves_file, tmp_path, words):
    settings = options(epochs=1, evaluations=1)
    extra = settings if words.startswith(("train", "study run")) else []
    names = {"run": trained, "bad": bad, "waves": waves_file, "out": tmp_path}
    answer = twincode(*words.format(**names).split(), *extra)
    assert answer.status == 1
    *progress, line = answer.err.splitlines()
    assert line.startswith("twincode: cannot write ")
    assert line.endswith("the disk is full; free some space and run the same command again")
    assert len(progress) == (1 if words.startswith("train") else 0)


def test_a_disk_too_full_for_the_log(fails, waves_file, tmp_path, monkeypatch):
    def refuse_to_append(path, mode="r", *others, **named):
        if mode == "ab":
            raise OSError(errno.ENOSPC, "No space left on device")
        return ordinary(path, mode, *others, **named)

    ordinary = Path.open
    monkeypatch.setattr(Path, "open", refuse_to_append)
    line = fails("train", waves_file, "--out", tmp_path, *training_options())
    assert line.startswith(f"twincode: cannot write {tmp_path / 'log.jsonl'}: the disk is full")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_an_output_that_takes_no_more(twincode, monkeypatch):
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stdout", full)
        answer = twincode("datasets")
    assert answer.status == 1
    assert answer.err == "twincode: No space left on device\n"


@pytest.mark.parametrize(
    ("failure", "status", "line"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 1, "/x: Permission denied"),
        (
            TwincodeError('use lengths="resample" or id_column="my pump"'),
            1,
            "use --lengths resample or --id-column 'my pump'",
        ),
        (KeyboardInterrupt(), 130, "interrupted; run the same command again to go on"),
        *(
            (lacking, 1, "there is too little memory; ask for less at once")
            for lacking in (MemoryError(), RuntimeError("[alloc_cpu.cpp] can't allocate memory"))
        ),
    ],
)
def test_what_befalls_a_command_is_one_line(capsys, failure, status, line):
    @readable
    def command():
        raise failure

    with pytest.raises(typer.Exit) as exit_info:
        command()
    assert exit_info.value.exit_code == status
    assert capsys.readouterr().err == f"twincode: {line}\n"
