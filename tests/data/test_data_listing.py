import subprocess
import sys

import numpy as np
import pytest

from twincode.data import DatasetInfo, Policy, list_datasets, load_dataset
from twincode.errors import TwincodeError

SERVES_UNEQUAL = Policy(lengths="resample")


def described(dataset, source, length):
    return DatasetInfo(
        name=dataset.name,
        source=source,
        n_train=len(dataset.X_train),
        n_test=len(dataset.X_test),
        channels=dataset.channels,
        length=length,
        classes=len(dataset.classes),
    )


def test_bundled_sets_are_listed_as_they_load():
    infos = list_datasets()
    names = [info.name for info in infos]
    assert {"GunPoint", "BasicMotions", "JapaneseVowels", "OSULeaf"} <= set(names)
    assert not {"CardanoSentiment", "Covid3Month", "Airline", "JapaneseVowels_eq"} & set(names)
    assert names == sorted(names, key=str.casefold)
    for info in infos:
        if info.name in ("GunPoint", "BasicMotions", "JapaneseVowels", "Covid3Month_disc"):
            dataset = load_dataset(info.name, policy=SERVES_UNEQUAL)
            length = 0 if info.name == "JapaneseVowels" else dataset.length
            own = info.name in ("GunPoint", "BasicMotions")
            assert info == described(dataset, "bundled" if own else "bundled with aeon", length)


def test_data_folder_is_listed_as_it_loads(tmp_path, write_tsv, arrays):
    np.savez_compressed(tmp_path / "GunPoint.npz", **arrays)
    np.savez(tmp_path / "Whole.npz", X=np.arange(60).reshape(10, 2, 3), y=list("abcabcabca"))
    np.savez(tmp_path / "Unlabelled.npz", X=np.zeros((5, 7)))
    np.savez(tmp_path / "unrelated.npz", weights=np.zeros(3))
    (tmp_path / "notes.md").touch()
    write_tsv(tmp_path / "Ragged" / "Ragged_TRAIN.tsv", [[1, 2, 3], [1, 2, "NaN"]], [1.0, 2.0])
    write_tsv(tmp_path / "Ragged" / "Ragged_TEST.tsv", [[1, 2, 3]], [1])
    infos = {info.name: info for info in list_datasets(tmp_path)}
    assert "unrelated" not in infos
    for name in ("GunPoint", "Whole", "Unlabelled", "Ragged"):
        dataset = load_dataset(name, data_dir=tmp_path, policy=SERVES_UNEQUAL)
        length = 0 if name == "Ragged" else dataset.length
        assert infos[name] == described(dataset, "data folder", length)


def test_padding_in_every_series_is_not_counted(tmp_path, write_tsv):
    for part in ("TRAIN", "TEST"):
        write_tsv(tmp_path / "Toy" / f"Toy_{part}.tsv", [[1, 2, "NaN"]] * 2, [1, 2])
    info = next(info for info in list_datasets(tmp_path) if info.name == "Toy")
    assert info.length == load_dataset("Toy", data_dir=tmp_path).length == 2


def test_padding_common_to_all_channels_of_a_ts_file_is_not_counted(tmp_path):
    folder = tmp_path / "Toy"
    folder.mkdir()
    header = "@univariate false\n@equalLength true\n@classLabel true Up down\n@data\n"
    for part in ("TRAIN", "TEST"):
        rows = "1,2,?,?:1,2,3,NaN:Up\n1,?,3,?:1,2,?,?:down\n"
        (folder / f"Toy_{part}.ts").write_text(header + rows)
    info = next(info for info in list_datasets(tmp_path) if info.name == "Toy")
    dataset = load_dataset("Toy", data_dir=tmp_path, policy=Policy(missing="interpolate"))
    assert info == described(dataset, "data folder", 3)


@pytest.mark.parametrize("content", (b"no zip at all", b""))
def test_damaged_npz_is_named(tmp_path, content):
    (tmp_path / "Broken.npz").write_bytes(content)
    with pytest.raises(TwincodeError, match=r"cannot read .*Broken\.npz"):
        list_datasets(tmp_path)


def test_npz_of_the_wrong_shape_is_named(tmp_path):
    np.savez(tmp_path / "Flat.npz", X=np.zeros(4))
    with pytest.raises(TwincodeError, match=r"Flat\.npz: X has shape \(4,\)"):
        list_datasets(tmp_path)


def test_mirror_is_listed(mirror):
    infos = {info.name: info for info in list_datasets(mirror)}
    assert infos["Wafer"] == DatasetInfo("Wafer", "data folder", 1000, 6164, 1, 152, 2)


def test_import_brings_in_nothing_heavy():
    code = (
        "import sys, twincode.data as data; data.list_datasets();"
        "print({'aeon', 'pandas', 'sklearn', 'torch', 'matplotlib'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
