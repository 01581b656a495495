import math
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twincode.report import canvas, marks
from twincode.report.canvas import NARROW, WIDE, Key, Plot, sheet, shortened, text_width
from twincode.report.scales import Scale, round_limits

finite = st.floats(-1e6, 1e6)


@given(st.lists(finite, min_size=1), st.floats(0, 0.2))
def test_a_scale_holds_its_values_and_ticks_lie_within(values, margin):
    scale = round_limits(min(values), max(values), margin)
    assert all(-1e-9 <= scale.place(value) <= 1 + 1e-9 for value in values)
    assert all(-1e-6 <= scale.place(tick.at) <= 1 + 1e-6 for tick in scale.ticks(4))


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    ((0, 1, ["0", "0.25", "0.5", "0.75", "1"]), (-0.3, 0.3, ["−0.2", "0", "0.2"])),
)
def test_ticks_are_round(low, high, texts):
    assert [tick.text for tick in Scale(low, high).ticks(4)] == texts


def test_a_logarithmic_scale_marks_powers_and_keeps_what_has_none_at_its_foot():
    scale = Scale(0.01, 100.0, True)
    assert [tick.text for tick in scale.ticks(4)] == ["0.01", "0.1", "1", "10", "100"]
    assert scale.place(1.0) == pytest.approx(0.5)
    assert scale.place(0.0) == scale.place(-3.0) == 0.0


def drawn(plot, layout=WIDE):
    return ElementTree.fromstring(sheet([plot], 1, layout, 100.0, [Key("a & <b>", "#112233", "o")]))


def paths(tree):
    return [element.get("d") for element in tree.iter("{http://www.w3.org/2000/svg}path")]


def test_a_line_breaks_where_a_value_is_missing():
    whole = marks.Line([0.0, 1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0], "#000000")
    broken = marks.Line([0.0, 1.0, 2.0, 3.0], [1.0, math.nan, 3.0, 4.0], "#000000")
    assert paths(drawn(Plot("", [whole])))[-1].count("M") == 1
    assert paths(drawn(Plot("", [broken])))[-1].count("M") == 2


@pytest.mark.parametrize("layout", (WIDE, NARROW))
@pytest.mark.parametrize("log_y", (False, True))
def test_nothing_that_is_drawn_is_not_a_number(layout, log_y):
    gaps = [math.nan, 1.0, math.inf]
    things = [
        marks.Line([0.0, 1.0, 2.0], gaps, "#000000"),
        marks.Band([0.0, 1.0, 2.0], [-1.0, 0.5, math.nan], [1.0, 2.0, 3.0], "#000000"),
        marks.Dot(math.nan, 1.0, "#000000", "s"),
        marks.Dot(1.0, 1.0, "#000000", "*", 0.5, None),
        marks.Bars([0.5, 0.0], "#000000"),
        marks.Level(2.0, "#000000"),
        marks.Cloud(np.array([[0.0, math.nan], [1.0, 2.0]]), "#000000", 3.0, 0.5),
    ]
    text = sheet([Plot("t", things, "x", "y", log_y=log_y), Plot("", [])], 2, layout, 90.0)
    assert "nan" not in text
    assert "inf" not in text
    ElementTree.fromstring(text)


def test_words_are_escaped_and_long_ones_cut_to_their_place():
    tree = drawn(Plot("x" * 900, [], "y" * 900), NARROW)
    texts = [e.text for e in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert "a & <b>" in texts
    cut = [text for text in texts if text and text.endswith("…")]
    assert len(cut) == 2
    assert all(text_width(text) < 1.1 * NARROW.width for text in cut)


@given(st.text(max_size=60), st.floats(20, 200))
def test_a_shortened_text_fits_or_is_as_it_was(text, width):
    found = shortened(text, width)
    assert found == text or (found.endswith("…") and text_width(found) <= width)


def test_every_marker_can_be_drawn():
    for marker in ("o", *marks._CORNERS):
        ElementTree.fromstring(marks.shape(marker, 1.0, 2.0, 3.0, "#123456"))


def test_an_embedded_drawing_is_the_drawing():
    assert canvas.embedded("<svg/>").endswith("PHN2Zy8+")
