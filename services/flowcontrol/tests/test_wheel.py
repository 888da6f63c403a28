"""The wheel that the library's own build makes: installed, typed, of one version, and its tests pass against it."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import flowcontrol

from installed import install

LIBRARY = Path(__file__).parents[1]
TOP = LIBRARY.parents[1]

SOME = ("windows/test_window.py", "windows/test_flow_control.py", "test_identity.py", "sync/test_cut.py")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*build, "--no-build-isolation", "--wheel-dir", str(folder), str(LIBRARY)], check=True)
    [made] = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    """Return the Python of an environment in which the wheel is, and not this checkout."""
    return install(wheel, tmp_path_factory.mktemp("environment"))


def test_it_has_the_whole_package_and_says_that_it_is_typed(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {str(path.relative_to(LIBRARY)) for path in (LIBRARY / "flowcontrol").rglob("*.py")}
    assert sources | {"flowcontrol/py.typed"} == {name for name in names if name.startswith("flowcontrol/")}


def test_the_version_stands_in_one_place(wheel):
    assert wheel.name == f"flowcontrol-{flowcontrol.__version__}-py3-none-any.whl"
    assert re.search(
        rf"^## {re.escape(flowcontrol.__version__)}\b", (LIBRARY / "CHANGELOG.md").read_text(), re.MULTILINE
    )


def test_some_of_the_tests_pass_against_it(python):
    """`make test-wheel` runs all of them."""
    seen = subprocess.check_output([python, "-c", "import flowcontrol.sync; print(flowcontrol.__file__)"], text=True)
    assert Path(seen.strip()).is_relative_to(python.parents[1]), "not the checkout's"
    tests = [str(LIBRARY / "tests" / name) for name in SOME]
    run = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests], cwd=TOP, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout
    assert int(re.search(r"(\d+) passed", run.stdout)[1]) > 30
