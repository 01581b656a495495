from hypothesis import given
from hypothesis import strategies as st

from twincode.conditions import empty, holding, nonzero, one_of, why_unread

COLOUR, COUNT, PARTS = one_of("colour", "red", "blue"), nonzero("count"), holding("parts", "lid")
values = st.fixed_dictionaries(
    {
        "colour": st.sampled_from(["red", "blue", "green"]),
        "count": st.integers(0, 2),
        "parts": st.sampled_from([(), ("lid",), ("lid", "box"), ("box",)]),
    }
)


@given(values=values)
def test_conditions_join_as_statements_do(values):
    colour = values["colour"] in ("red", "blue")
    count, parts = values["count"] > 0, "lid" in values["parts"]
    for condition, expected in [
        (COLOUR | COUNT & PARTS, colour or (count and parts)),
        ((COLOUR | COUNT) & PARTS, (colour or count) and parts),
        (empty("parts"), not values["parts"]),
    ]:
        assert (why_unread("size", values, {"size": condition}) == "") == expected


@given(values=values)
def test_what_depends_on_an_unread_setting_is_unread(values):
    conditions = {"size": PARTS, "parts": COUNT, "count": COLOUR}
    read = values["colour"] != "green" and values["count"] and "lid" in values["parts"]
    assert (why_unread("size", values, conditions) == "") == bool(read)


def test_a_setting_without_a_condition_is_always_read():
    assert why_unread("size", {}, {}) == ""


def test_a_choice_from_elsewhere_is_trusted_only_where_the_known_ones_are_listed():
    values = {"colour": "gold"}
    trusting = one_of("colour", "red", among=("red", "green"))
    assert why_unread("size", values, {"size": trusting}) == ""
    assert why_unread("size", {"colour": "green"}, {"size": trusting}) != ""
    assert why_unread("size", values, {"size": one_of("colour", "red")}) != ""


def test_the_reason_says_what_is_missing_and_what_is_there():
    values = {"colour": "green", "count": 0.0, "parts": ("box", "key")}
    conditions = {"size": COLOUR | COUNT & PARTS, "weight": PARTS & COLOUR}
    assert why_unread("size", values, conditions) == (
        "read where colour is red or blue, or count is not 0; here colour is green and count is 0"
    )
    assert why_unread("weight", values, conditions) == (
        "read where parts has lid; here parts is box,key"
    )
    assert str(conditions["size"]) == "colour is red or blue, or count is not 0 and parts has lid"
