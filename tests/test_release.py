"""What goes out with a release agrees with the package."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import twincode

ROOT = Path(__file__).parents[1]


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("file", ["CITATION.cff", "CHANGELOG.md"])
def test_every_file_tells_the_same_version(file):
    assert re.search(rf"^(version:|##) {re.escape(version('twincode'))}\b", text_of(file), re.M)


def test_the_package_tells_its_version():
    assert twincode.__version__ == version("twincode")


def test_the_reference_shows_every_public_name():
    shown = re.findall(r"^\.\. auto\w+:: twincode\.(\w+)$", text_of("docs/api.md"), re.M)
    assert set(shown) >= set(twincode.__all__)


def test_the_site_shows_every_page():
    pages = {page.stem for page in ROOT.glob("docs/*.md")} - {"index"}
    shown = re.findall(r"^([a-z-]+)$", text_of("docs/index.md"), re.M)
    assert sorted(shown) == sorted(pages)


def test_workflows_and_hooks_run_what_the_makefile_has():
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.M))
    files = [*ROOT.glob(".github/workflows/*.yml"), ROOT / ".pre-commit-config.yaml"]
    for file in files:
        for words in re.findall(r"(?:run|entry): make (.+)", file.read_text(encoding="utf-8")):
            assert set(words.split()) <= targets


def test_continuous_integration_tries_every_python_that_is_promised():
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    promised = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    (tried,) = re.findall(r"^ +python: \[(.+)\]", text_of(".github/workflows/check.yml"), re.M)
    assert re.findall(r"3\.\d+", tried) == promised
