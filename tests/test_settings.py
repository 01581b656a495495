"""Settings of parts, and registries of them: what a package from outside can count on."""

import json
from dataclasses import dataclass

import pytest
from conftest import REGISTRIES
from hypothesis import given
from hypothesis import strategies as st

from twincode.errors import TwincodeError
from twincode.quantize import QUANTIZERS, CodebookSettings, Identity
from twincode.recipes import recipe
from twincode.settings import Registry, Settings, added, load_parts


@dataclass(frozen=True)
class Box(Settings):
    size: int = 3
    weight: float = 1  # as people write it
    labels: tuple[str, ...] = ()
    sides: tuple[int, ...] = (2, 3)
    closed: bool = False


@dataclass(frozen=True)
class LaterBox(Box):
    tilt: float = added(0.5, before=0.0)


def boxes():
    registry = Registry("box", Settings)
    registry.register("plain", lambda settings, *given: (settings, *given), type("B", (Box,), {}))
    return registry


@given(
    size=st.integers(), weight=st.floats(allow_nan=False, allow_infinity=False),
    labels=st.lists(st.sampled_from("abc")), sides=st.lists(st.integers()), closed=st.booleans(),
)  # fmt: skip
def test_settings_survive_json(size, weight, labels, sides, closed):
    box = Box().replace(size=size, weight=weight, labels=labels, sides=sides, closed=closed)
    assert Box.from_dict(json.loads(json.dumps(box.to_dict()))) == box


def test_text_is_converted():
    box = Box().replace(size="4", weight="0.5", labels="a,b", sides="", closed="True")
    assert box == Box(4, 0.5, ("a", "b"), (), True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": "many"}, "size must be of type int, not 'many'"),
        ({"size": None}, "size must be of type int"),
        ({"size": 1.5}, "size must be a whole number"),
        ({"size": float("inf")}, "size must be of type int"),
        ({"weight": "nan"}, "weight must be a finite number"),
        ({"weight": -float("inf")}, "weight must be a finite number"),
        ({"sides": None}, "sides must be a list, not None"),
        ({"size": True}, "size must be of type int, not True"),
        ({"weight": False}, "weight must be of type float, not False"),
        ({"sides": "2,x"}, "sides must be of type int"),
        ({"closed": "perhaps"}, "closed must be true or false"),
        ({"sise": 3}, "unknown setting 'sise'; did you mean 'size'"),
    ],
)
def test_a_value_of_the_wrong_kind_is_an_error(changes, message):
    with pytest.raises(TwincodeError, match=message):
        Box().replace(**changes)


def test_a_later_field_is_part_of_the_identity_only_where_it_changes_something():
    assert LaterBox(tilt=0.0).identity() == Box().identity()
    assert LaterBox().identity() == {**Box().identity(), "tilt": 0.5}
    assert LaterBox.from_dict(Box().to_dict()) == LaterBox(tilt=0.0)


def test_how_a_number_is_written_is_no_part_of_the_identity():
    written = [json.dumps(Box(weight=weight).identity()) for weight in (2, 2.0)]
    assert written[0] == written[1]


def test_a_registered_part_is_chosen_read_and_built():
    registry = boxes()
    chosen = registry.choose("plain").replace(size=5)
    assert chosen.name == "plain"
    assert registry.read(chosen.to_dict()) == chosen
    assert registry.build(chosen, "lid") == (chosen, "lid")
    assert list(registry) == registry.having("size") == ["plain"]
    assert "plain" in registry
    assert registry.having("colour") == []
    with pytest.raises(TwincodeError, match="unknown box 'plane'; did you mean 'plain'"):
        registry.choose("plane")


def test_a_part_without_settings_of_its_own_has_those_of_its_kind():
    registry = Registry("box", Box)
    for name in ("one", "other"):
        registry.register(name, lambda settings: settings.name)
    assert registry.build(registry.choose("other").replace(size=1)) == "other"


class Undecorated(Settings):
    size: int = 3


@dataclass(frozen=True)
class Mapped(Settings):
    sizes: dict = None


@dataclass(frozen=True)
class Pair(Settings):
    pair: tuple[int, str] = (1, "a")


@dataclass(frozen=True)
class Named(Settings):
    name: str = "x"


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("plain", None, "there is a box called 'plain' already; rename one"),
        ("new", CodebookSettings, "CodebookSettings belongs to 'vq'; make a subclass of it"),
        ("new", int, "int must derive from Settings"),
        ("new", Undecorated, r"Undecorated must be decorated with @dataclass\(frozen=True\)"),
        ("new", Mapped, "Mapped.sizes cannot be a setting"),
        ("new", Pair, "Pair.pair cannot be a setting"),
        ("new", Named, "Named.name cannot be a setting"),
    ],
)
def test_what_cannot_be_registered_says_why(name, settings, message):
    registry = boxes()
    with pytest.raises(TwincodeError, match=message):
        registry.register(name, Identity, settings)
    assert list(registry) == ["plain"]


PARTS = """
from dataclasses import dataclass
from twincode.quantize import QUANTIZERS, Identity
from twincode.settings import Settings

@dataclass(frozen=True)
class Sparse(Settings):
    sparsity: int = 2

QUANTIZERS.register({name!r}, Identity, Sparse)
"""


@pytest.fixture
def install(registries, tmp_path, monkeypatch):  # noqa: ARG001 - puts them back
    """Put a distribution that announces parts where installed ones are found."""

    def install(code, module):
        (tmp_path / f"{module}.py").write_text(code)
        information = tmp_path / f"{module}-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Name: {module}\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text(f"[twincode.parts]\nmine = {module}\n")
        monkeypatch.syspath_prepend(tmp_path)
        load_parts.cache_clear()

    return install


def test_parts_of_an_installed_package_are_there_without_an_import(install):
    install(PARTS.format(name="sparse"), "sparse_parts")
    config = recipe("bt-vqvae", quantizer="sparse", sparsity=3)
    assert config.quantizer.to_dict() == {"name": "sparse", "sparsity": 3}
    assert "sparse" in QUANTIZERS


@pytest.mark.parametrize(
    ("module", "code", "message"),
    [
        ("taken_parts", PARTS.format(name="vq"), "called 'vq' already"),
        ("broken_parts", "import nowhere", "No module named 'nowhere'"),
    ],
)
def test_an_installed_package_that_cannot_be_loaded_is_named(install, module, code, message):
    install(code, module)
    with pytest.raises(TwincodeError, match=f"the parts of {module} cannot be loaded.*{message}"):
        recipe("vqvae")


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.kind)
def test_every_part_survives_json(registry):
    for name in registry:
        settings = registry.choose(name)
        assert registry.read(json.loads(json.dumps(settings.to_dict()))) == settings
