"""The page: what it holds is what a model's codes do, for every recipe with codes."""

import json
import math
import re
from functools import cache

import numpy as np
import pytest
from conftest import make_waves, tiny, untrained
from hypothesis import given
from hypothesis import strategies as st

import twincode
from twincode.data import Dataset
from twincode.errors import TwincodeError
from twincode.explorer import exploration
from twincode.explorer.page import packed, packed_lines, unpacked
from twincode.labels import CONTINUOUS
from twincode.recipes import RECIPES

CODED = [
    name
    for name in RECIPES
    if name not in ("raw-series", "contrastive-vae")
    and getattr(tiny(name).quantizer, "name", "") not in CONTINUOUS
]
ARRAYS = {
    *("codes", "others", "occurrences", "along", "train", "test", "chi2", "lift", "residuals"),
    *("places", "examples", "shown", "difference"),
}


@cache
def model_of(name, channels=1, **changes):
    config = untrained(name, **changes)
    return twincode.fit(config, make_waves(channels=channels))


def contents_of(path):
    """What a page holds, its arrays unpacked."""
    text = path.read_text(encoding="utf-8")
    stored = json.loads(re.search(r'id="stored">(.*?)</script>', text, re.DOTALL)[1])
    for name in ("series", "chosen", "labels"):
        stored[name] = unpacked(stored[name])
    for row in stored["rows"]:
        row |= {name: row[name] and unpacked(row[name]) for name in ARRAYS}
    return stored


def made(model, data, tmp_path):
    return contents_of(twincode.explore(model, data, tmp_path / "page.html"))


def plain_rows(model, X):
    """Codes (n, W) of every row of every grid as encode has them, in the order of the page."""
    codes, start = model.encode(X), 0
    for grid in model.tokenizer.layout.grids:
        for h in range(codes.shape[1]):
            yield codes[:, h, start : start + grid.width]
        start += grid.width


def spaced(items, most):
    """At most so many of some items, evenly spaced."""
    count = min(len(items), most)
    return [items[round(i * (len(items) - 1) / max(1, count - 1))] for i in range(count)]


def plain_difference(model, row, codes, train, code, other, height, first, spread):
    """The mean difference, place by place, each of its two series decoded alone.

    Places are those in the series of ``spread`` first, and then of others.
    """
    W = train.shape[1]
    length = model.tokenizer.length
    whole = math.ceil(round(row["span"], 6)) + 2 * row["before"]
    places = [(s, w) for s, own in enumerate(train) for w in range(W) if own[w] == code]
    kept = spaced([place for place in places if place[0] in spread], exploration.PLACES)
    others = [place for place in places if place[0] not in spread]
    kept += spaced(others, exploration.PLACES - len(kept))
    total, count = np.zeros((model.tokenizer.channels, whole)), np.zeros(whole)
    for s, w in kept:
        without = codes[s : s + 1].copy()
        without[0, height, first + w] = other + row["offset"]
        both = [model.decode(each)[0].astype(np.float64) for each in (codes[s : s + 1], without)]
        begin = round(w * row["span"]) - row["before"]
        for t in range(whole):
            if 0 <= begin + t < length:
                total[:, t] += (both[0] - both[1])[:, begin + t]
                count[t] += 1
    return len(kept), np.where(count > 0, total / np.maximum(count, 1), np.nan)


def assert_near(found, difference):
    """Numbers are of 16 bits, and a batch is rounded otherwise than a series alone."""
    tolerance = 1e-4 * max(1.0, np.nanmax(np.abs(difference)))
    assert np.allclose(found, difference, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize("name", CODED)
def test_the_page_of_a_recipe_holds_what_its_codes_do(name, tmp_path):
    model, data = model_of(name), make_waves()
    page = made(model, data, tmp_path)
    H = model.tokenizer.grid[0]
    assert (page["train"], page["test"]) == (40, 20)
    assert page["series"].shape == (40, 1, 33)
    assert np.allclose(page["series"], data.X_train, atol=1e-4)
    assert page["labels"].tolist() == data.y_train.tolist()
    parts = list(zip(*(plain_rows(model, X) for X in (data.X_train, data.X_test)), strict=True))
    assert page["rows_in_all"] == len(parts)
    codes = model.encode(data.X_train)
    widths, first = model.tokenizer.layout.widths, 0
    for place, (row, (train, test)) in enumerate(zip(page["rows"], parts, strict=False)):
        first = sum(widths[: place // H])
        train, test = train - row["offset"], test - row["offset"]
        assert (row["shown"] == train).all()
        assert row["used"] == len(np.unique(train))
        used = row["codes"].tolist()
        assert len(used) == min(row["used"], exploration.CODES)
        for unit, code in enumerate(used):
            assert row["occurrences"][unit].tolist() == [
                (train == code).sum(),
                (test == code).sum(),
            ]
            assert row["along"][unit].tolist() == (train == code).sum(0).tolist()
            for c in range(2):
                of_class = (train[data.y_train == c] == code).any(1).sum()
                assert row["train"][unit, c] == of_class
                assert row["test"][unit, c] == (test[data.y_test == c] == code).any(1).sum()
            for s, w in row["examples"][unit].tolist():
                assert s == -1 or train[s, w] == code
        counts = row["occurrences"][:, 0].tolist()
        assert counts == sorted(counts, reverse=True)
        # Decoding one by one takes long; the first and the last row stand for all.
        for unit in {0, len(used) - 1} if place in (0, len(page["rows"]) - 1) else ():
            other = int(row["others"][unit])
            assert other == (used[1 if unit == 0 else 0] if len(used) > 1 else -1)
            if other >= 0:
                m, difference = plain_difference(
                    model, row, codes, train, used[unit], other, place % H, first, range(40)
                )
                assert row["places"][unit] == m
                assert_near(row["difference"][unit], difference)


def test_the_ngrams_of_the_page_are_counted_on_both_parts(tmp_path):
    model, data = model_of("vqvae"), make_waves()
    page = made(model, data, tmp_path)
    assert page["tried"] > len(page["ngrams"]) > 3
    ranks = [gram["chi2"] for gram in page["ngrams"]]
    assert ranks == sorted(ranks, reverse=True)
    parts = list(zip(*(plain_rows(model, X) for X in (data.X_train, data.X_test)), strict=True))
    for gram in page["ngrams"]:
        for name, codes, labels in zip(
            ("train", "test"), parts[gram["row"]], (data.y_train, data.y_test), strict=True
        ):
            wanted = ",".join(map(str, gram["codes"]))
            has_it = [f",{wanted}," in f",{','.join(map(str, row))}," for row in codes.tolist()]
            assert gram[name] == np.bincount(labels[has_it], minlength=2).tolist()


def test_test_data_choose_nothing(tmp_path):
    model, data = model_of("vqvae"), make_waves()
    other = make_waves(seed=5)
    swapped = Dataset(
        data.name, data.X_train, other.X_test, data.y_train, other.y_test, data.classes, "made"
    )
    one, two = made(model, data, tmp_path), made(model, swapped, tmp_path)
    for row, again in zip(one["rows"], two["rows"], strict=True):
        for name in ARRAYS - {"occurrences", "test"}:
            assert np.array_equal(row[name], again[name], equal_nan=True), name
    for gram, again in zip(one["ngrams"], two["ngrams"], strict=True):
        assert {**gram, "test": 0} == {**again, "test": 0}


def test_without_labels_nothing_is_said_of_classes(tmp_path):
    model, data = model_of("vqvae"), make_waves()
    page = made(model, data.X_train[:, 0], tmp_path)
    assert (page["classes"], page["ngrams"], page["tried"]) == ([], [], 0)
    assert (page["test"], page["test_sizes"], page["train_sizes"]) == (0, [0], [40])
    row = page["rows"][0]
    codes = next(plain_rows(model, data.X_train))
    for code, own, test in zip(row["codes"], row["train"], row["test"], strict=True):
        assert own.tolist() == [(codes == code).any(1).sum()]
        assert test.tolist() == [0]


def test_labels_of_train_alone_are_enough(tmp_path):
    data = make_waves()
    unlabelled = Dataset("Waves", data.X_train, data.X_test, data.y_train, None, ("a", "b"), "made")
    page = made(model_of("vqvae"), unlabelled, tmp_path)
    assert page["test_sizes"] == [0, 0]
    assert page["rows"][0]["occurrences"][:, 1].sum() == 20 * 8
    assert page["rows"][0]["test"].sum() == 0
    assert all(gram["test"] == [0, 0] for gram in page["ngrams"])


def test_several_channels_and_a_model_without_decoder(tmp_path):
    page = made(model_of("vqvae", channels=3), make_waves(channels=3), tmp_path)
    assert page["channels"] == 3
    assert page["series"].shape == (40, 3, 33)
    assert page["rows"][0]["difference"].shape[1] == 3
    encoder = model_of("barlow-twins", quantizer="vq")
    page = made(encoder, make_waves(), tmp_path)
    assert page["rows"][0]["difference"] is None
    assert (page["rows"][0]["examples"][0] >= 0).any()


def test_what_is_left_out_is_said_and_counts_are_of_all(tmp_path, monkeypatch):
    model, data = model_of("vqvae"), make_waves()
    for name, most in (("ROWS", 2), ("CODES", 3), ("SERIES", 11), ("NGRAMS", 4)):
        monkeypatch.setattr(exploration, name, most)
    monkeypatch.setattr("twincode.explorer.page.POINTS", 10)
    page = made(model, data, tmp_path)
    assert (len(page["rows"]), page["rows_in_all"]) == (2, 5)
    assert 11 <= len(page["series"]) <= 22
    assert page["series"].shape[1:] == (1, 9)
    assert page["thin"] == 4
    assert np.bincount(page["labels"]).min() >= 5
    assert len(page["ngrams"]) == 4
    codes = next(plain_rows(model, data.X_train))
    row = page["rows"][0]
    assert len(row["codes"]) == 3 < row["used"]
    assert row["occurrences"][:, 0].tolist() == [(codes == code).sum() for code in row["codes"]]
    assert np.allclose(page["series"], data.X_train[page["chosen"], :, ::4], atol=1e-4)
    spread = spaced([s for c in (0, 1) for s in range(40) if data.y_train[s] == c], 11)
    assert set(spread) <= set(page["chosen"].tolist())
    for place, row in enumerate(page["rows"]):
        for unit, (examples, places) in enumerate(zip(row["examples"], row["places"], strict=True)):
            assert places == min(exploration.PLACES, row["occurrences"][unit, 0])
            assert examples[0, 0] >= 0
            for s, w in examples[examples[:, 0] >= 0]:
                assert row["shown"][s, w] == row["codes"][unit]
        unit = len(row["codes"]) - 1
        own = list(plain_rows(model, data.X_train))[place]
        _, difference = plain_difference(
            model, row, model.encode(data.X_train), own, row["codes"][unit], row["others"][unit],
            place, 0, spread,
        )  # fmt: skip
        assert_near(row["difference"][unit], difference[:, ::4])


@pytest.mark.parametrize("name", ["vae", "raw-series"])
def test_a_continuous_model_has_no_page(name, tmp_path):
    with pytest.raises(TwincodeError, match=f"{name} is continuous: it has features but no codes"):
        twincode.explore(model_of(name), make_waves(), tmp_path / "page.html")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["vqvae", "mixture", "patch-rvq"])
def test_series_that_do_not_fit_are_refused(name, tmp_path):
    """Models that take any length too: the page is of the tokens of one."""
    with pytest.raises(TwincodeError, match="series have 40 steps"):
        twincode.explore(model_of(name), make_waves(length=40), tmp_path / "page.html")


def test_the_page_is_one_file_that_loads_nothing_and_is_made_again_the_same(tmp_path):
    model, data = model_of("vqvae"), make_waves()
    hostile = Dataset(
        "</script><s>", data.X_train, data.X_test, data.y_train, data.y_test,
        ("</script><i>", "b"), "made",
    )  # fmt: skip
    one = twincode.explore(model, hostile, tmp_path / "one.html").read_text()
    assert twincode.explore(model, hostile, tmp_path / "two.html").read_text() == one
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", one)
    assert "@import" not in one
    assert "innerHTML" not in one
    assert one.count("</script>") == 2
    assert not re.search("<[si]>", one)
    assert len(one) < 200_000


@given(st.lists(st.integers(-(2**31), 2**32 - 1), max_size=8))
def test_whole_numbers_are_packed_exactly(numbers):
    if numbers and min(numbers) < 0:
        numbers = [each for each in numbers if each < 2**31]
    array = np.array(numbers, dtype=np.int64)
    stored = packed(array)
    assert unpacked(stored).tolist() == numbers
    assert stored["type"] in ("int8", "uint8", "int16", "uint16", "int32", "uint32")


@given(st.sampled_from([1e-3, 1.0, 1e6]))
def test_lines_are_packed_to_a_part_in_ten_thousand_of_their_own_range(size):
    array = size * np.random.default_rng(0).standard_normal((3, 4, 5)) + size
    array[1] *= 1e-6
    array[0, 1, 2] = np.nan
    array[2, 0] = np.nan
    array[2, 1] = 3.0
    found = unpacked(json.loads(json.dumps(packed_lines(array))))
    assert np.array_equal(np.isnan(found), np.isnan(array))
    assert np.nanmax(np.abs(found - array)[[0, 2]]) < 1e-4 * size
    assert np.abs(found - array)[1].max() < 1e-10 * size
