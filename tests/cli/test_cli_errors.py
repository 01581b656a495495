"""Every mistake a user can make ends in one line on the error stream and a status of failure."""

import errno
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from conftest import options, write_waves
from safetensors.torch import save_file

from twincode.cli.errors import readable


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
    assert message in fails("train", source.format(bad=bad), "--out", out, *options())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--recipe bt-vqva", "unknown recipe 'bt-vqva'; did you mean 'bt-vqvae'?"),
        ("--epoch 3", "unknown setting 'epoch'; did you mean 'epochs'?"),
        ("--codebok-size=3", "unknown setting 'codebok_size'; did you mean 'codebook_size'?"),
        ("--epochs", "setting --epochs needs a value"),
        ("--epochs --gamma 1", "setting --epochs needs a value"),
        ("--epochs many", "epochs must be of type int, not 'many'"),
        ("--epochs 1.5", "epochs must be of type int"),
        ("--gamma=", "gamma must be of type float, not ''"),
        ("--gamma -1", "gamma must not be negative"),
        ("--gamma nan", "gamma must"),
        ("--epochs -1", "epochs must be at least 0"),
        ("--codebook-size 0", "codebook_size must be at least 1"),
        ("--n-fft 7", "n_fft must be even"),
        ("--window flat", "unknown window 'flat'"),
        ("--readouts avg", "unknown readout 'avg'"),
        ("--augmentations flop", "unknown augmentation 'flop'; did you mean 'flip'?"),
        ("--seed -1", "seed must not be negative"),
        ("--evaluations 0", "evaluations must be at least 1"),
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
    start = ["train", "GunPoint", "--out", tmp_path / "run", *options()]
    assert message in fails(*start, *words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "--recipe fsq-vqvae --codebook-size 64",
            "codebook_size (read where quantizer is vq, residual or product; here quantizer is fs",
        ),
        ("--recipe fsq-vqvae --codebook-size 32", "codebook_size (read where"),
        ("--recipe fsq-vqvae --distance cosine", "distance (read where quantizer is vq"),
        ("--recipe vqvae --bands 1", "bands (read where tokenizer is bands; here tokenizer is vqv"),
        ("--background-classes 1", "background_classes (read where tokenizer is contrastive; here"),
        ("--queue-size 8", "(read where twin_loss is moco; here twin_loss is barlow_twins)"),
        ("--gamma 0 --projector-width 8", "(read where gamma is not 0; here gamma is 0)"),
        ("--augmentations flip,slope --jitter-std 1", "has jitter; here augmentations is flip,slo"),
        ("--augmentations= --jitter-std 1", "has jitter; here augmentations is empty)"),
        (
            "--recipe vqvae --jitter-std 1",
            "(read where upper_input is view, or gamma is not 0; "
            "here upper_input is clean and gamma is 0)",
        ),
        ("--recipe bands --downsampled-width 4", "here tokenizer is bands and band_widths is 8,32"),
        ("--recipe random-encoder --learning-rate 1", "read where epochs is not 0; here epochs is"),
        (
            "--recipe vqvae --codebook-update gradient --ema-decay 0.5",
            "codebook_update is gradient",
        ),
    ],
)
def test_settings_that_the_model_does_not_read(fails, tmp_path, words, message):
    line = fails("train", "GunPoint", "--out", tmp_path / "run", *words.split())
    assert line.startswith("twincode: this model does not read ")
    assert message in line
    assert line.endswith("; leave it out")
    assert not (tmp_path / "run").exists()


def test_all_settings_that_the_model_does_not_read_are_named(fails, tmp_path):
    words = ["--recipe", "vae", "--top-width", "8", "--kl-weight", "2", "--fsq-levels", "8"]
    assert fails("train", "GunPoint", "--out", tmp_path / "run", *words) == (
        "twincode: this model does not read "
        "top_width (read where tokenizer is vqvae2; here tokenizer is vqvae) and "
        "fsq_levels (read where quantizer is fsq; here quantizer is gaussian); leave them out"
    )


@pytest.mark.parametrize(
    ("words", "culprit", "remedy"),
    [
        ("paint", "'paint'", "see twincode --help"),
        ("train", "DATASET", "see twincode train --help"),
        ("train GunPoint", "--out", "see twincode train --help"),
        ("train GunPoint --out", "--out", "--help"),
        ("encode run x.csv -o y.csv --fast", "--fast", "see twincode encode --help"),
        ("study --datasets GunPoint --seeds many", "--seeds", "see twincode study --help"),
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
        (["--gammas", ""], "bt-vqvae needs at least one gamma"),
        (["--gammas", "1,a"], "gammas must be numbers separated by commas, not '1,a'"),
        (["--gammas", "1;2"], "gammas must be numbers separated by commas"),
        (["--gammas", "-1"], "gammas must be numbers from 0 up, not -1"),
        (["--gammas", "nan"], "gammas must be numbers from 0 up, not nan"),
        (["--gamma", "1"], "a study varies gamma itself; use gammas"),
        (["--seeds", "0"], "a study needs at least 1 seed, not 0"),
        (["--seed", "1"], "a study varies seed itself; use seeds"),
        (["--epoch", "1"], "unknown setting 'epoch'; did you mean 'epochs'?"),
        (["--device", "tpu"], "device 'tpu' is not available here"),
        (["--datasets", "GunPoint,GunPiont"], "unknown data set 'GunPiont'"),
        (["--steps", "5", "--epochs", "3"], "a study takes epochs or steps, not both"),
        (["--workers", "0"], "a study needs at least 1 worker, not 0"),
        (["--workers", "2", "--ray", "local"], "use --workers or --ray, not both"),
        (["--gpus-per-run", "0.5"], "--cpus-per-run and --gpus-per-run are for --ray"),
        (["--ray", "local", "--cpus-per-run", "0"], "takes more than 0 cpus"),
        (["--recipes", "vqvae,thesis-vqvae"], "both be called 'VQ-VAE' but differ in epochs"),
        (
            ["--fsq-levels", "8,5"],
            "this study does not read fsq_levels (read where quantizer is fsq)",
        ),
        (["mine.txt"], "unexpected argument 'mine.txt'; the name of a study file ends in .toml"),
        (["a.toml", "b.toml"], "one study file at a time, not a.toml and b.toml"),
        (["nowhere.toml"], "no study file at nowhere.toml"),
    ],
)
def test_studies_that_make_no_sense(fails, tmp_path, words, message):
    start = [] if "--datasets" in words else ["--datasets", "GunPoint"]
    assert message in fails("study", *start, *words, "--out", tmp_path / "s")
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        (
            "[settings]\nqueue_size = 8",
            [],
            "this study does not read queue_size (read where twin_loss",
        ),
        (
            "[settings]\nqueue_size = 8",
            ["--recipes", "vqvae"],
            "this study does not read queue_size",
        ),
        ("[recipe.vqvae]\nprojector-width = 8", [], "recipe vqvae does not read projector_width ("),
        (
            "[settings]\nprojector_width = 8",
            ["--recipes", "vqvae", "--off-diagonal-weight", "1"],
            "this study does not read off_diagonal_weight (",
        ),
        # What the file says is for its own recipes, of which options may leave some out.
        ("[settings]\nprojector_width = 8", ["--recipes", "vqvae"], "unknown data set 'GunPiont'"),
    ],
)
def test_settings_of_a_file_that_its_recipes_do_not_read(fails, tmp_path, text, words, message):
    file = tmp_path / "my.toml"
    file.write_text(f'datasets = ["GunPiont"]\n{text}')
    assert message in fails("study", file, *words, "--out", tmp_path / "s")


def test_a_study_of_nothing(fails):
    assert "name data sets with --datasets, or a study file" in fails("study", "--epochs", "3")


def test_the_status_of_no_study(fails, tmp_path):
    assert f"no study in {tmp_path}" in fails("study", "status", tmp_path)


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
        ("{run} {bad}/good.csv -o {out}.txt", "must end in .csv, .parquet, .npy or .npz"),
        ("{run} {bad}/good.csv -o {out}", "must end in .csv, .parquet, .npy or .npz"),
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
        ("{run}", "cannot find the model's own data; give a name or a path with --dataset"),
        ("{run} --dataset {waves} --device tpu", "device 'tpu' is not available"),
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


@pytest.mark.parametrize("content", ["junk", "[]", '{"format": 1}'])
def test_a_corrupt_result(fails, damaged, waves_file, content):
    (damaged / "result.json").write_text(content)
    assert "result.json is not" in fails("report", damaged)
    words = ["train", waves_file, "--out", damaged, *options(epochs=2)]
    assert "result.json is not" in fails(*words)


@pytest.mark.parametrize("name", ["nothing", "nowhere", "foreign"])
def test_a_page_of_nothing(fails, bad, name):
    line = fails("report", bad / name)
    assert "no finished runs in" in line or "is not the result of a finished run" in line


def test_a_corrupt_and_a_foreign_checkpoint(fails, waves_file, tmp_path):
    checkpoint = tmp_path / "checkpoint.safetensors"
    words = ["train", waves_file, "--out", tmp_path, *options()]
    checkpoint.write_bytes(b"junk")
    assert f"the checkpoint {checkpoint} is corrupt" in fails(*words)
    save_file({"weights": torch.zeros(3)}, checkpoint)
    assert "is not a checkpoint this version can read; delete it" in fails(*words)


def test_a_folder_that_holds_another_run(fails, trained, bad, waves_file):
    words = ["train", waves_file, "--out", trained, *options(epochs=2)]
    assert "holds another run (it differs in gamma)" in fails(*words, "--gamma", "2")
    assert "result.json is not" in fails(*words[:2], "--out", bad / "foreign", *words[4:])


@pytest.mark.parametrize("words", ["train {waves}", "study --datasets {waves}"])
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
        "train {waves} --out {out}/run",
        "evaluate {run} --dataset {waves} --out {out}/e.csv",
        "encode {run} {bad}/good.csv -o {out}/x.csv",
        "reconstruct {run} {bad}/good.csv -o {out}/x.parquet",
        "study --datasets {waves} --out {out}/s",
        "report {run}",
    ],
)
@pytest.mark.usefixtures("full_disk")
def test_a_full_disk(twincode, trained, bad, waves_file, tmp_path, words):
    settings = options(epochs=1, evaluations=1)
    extra = settings if words.split()[0] in ("train", "study") else []
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
    line = fails("train", waves_file, "--out", tmp_path, *options())
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
        (KeyboardInterrupt(), 130, "interrupted; run the same command again to go on"),
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
