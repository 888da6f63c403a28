"""Imports go one way: between packages as CONTRIBUTING.md says, between the rooms of each, and in no circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FOLDERS = {
    "stockservice": "proto",
    "flowcontrol": "services/flowcontrol",
    "servicekit": "services/servicekit",
    "stockfeed": "services/stockfeed",
    "stock_server": "services/server",
    "stock_client": "services/client",
    "stock_market": "services/market",
    "lab": ".",
}

MAY_IMPORT = {
    "stockservice": set(),
    "flowcontrol": set(),
    "servicekit": {"flowcontrol", "stockservice"},
    "stockfeed": {"stockservice"},
    "stock_server": {"stockfeed", "servicekit", "flowcontrol", "stockservice"},
    "stock_client": {"servicekit", "flowcontrol", "stockservice"},
    "stock_market": {"stockfeed", "servicekit", "stockservice"},
    "lab": {"stock_server", "stock_client", "stock_market", "stockfeed", "servicekit", "flowcontrol", "stockservice"},
}

SHARED = {"lab.console", "lab.machine", "lab.slow_reader", "lab.verdict"}
ROOMS_MAY_IMPORT = {
    "lab.main": set(),  # it imports a command when that is called
    "lab.console": set(),
    "lab.machine": set(),
    "lab.slow_reader": set(),
    "lab.verdict": set(),
    "lab.processes": SHARED,
    "lab.demo": SHARED | {"lab.processes"},
    "lab.predict": SHARED | {"lab.processes"},
    "lab.chaos": SHARED | {"lab.certs", "lab.processes"},
    "lab.bench": SHARED | {"lab.processes"},
    "lab.stack": SHARED,
    "lab.certs": SHARED,
}


def modules() -> dict[str, Path]:
    """Return all modules by name."""
    found = {}
    for package, folder in FOLDERS.items():
        for path in sorted((ROOT / folder / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT / folder).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


MODULES = modules()


def imported_by(module: str) -> Iterator[str]:
    """Yield the project's modules that one imports, wherever in it that stands."""
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else str(node.module) for name in inside]
        else:
            continue
        yield from (name for name in names if name in MODULES)


def room(module: str) -> str:
    """Return what a module belongs to right below its package: a room, or the module itself where it stands in none."""
    return ".".join(module.split(".")[:2])


@pytest.mark.parametrize("package", FOLDERS)
def test_a_package_imports_only_what_is_above_it(package: str):
    allowed = MAY_IMPORT[package] | {package}
    wrong = {
        f"{module} imports {other}"
        for module in MODULES
        if module.split(".")[0] == package
        for other in imported_by(module)
        if other.split(".")[0] not in allowed
    }
    assert wrong == set()


def test_a_room_of_the_lab_imports_only_what_the_rooms_share():
    in_lab = [module for module in MODULES if module.startswith("lab.") and module != "lab.__main__"]
    wrong = {
        f"{module} imports {other}"
        for module in in_lab
        for other in imported_by(module)
        if other.startswith("lab.") and room(other) not in ROOMS_MAY_IMPORT[room(module)] | {room(module)}
    }
    assert wrong == set()
    assert {room(module) for module in in_lab} == set(ROOMS_MAY_IMPORT)


@pytest.mark.parametrize("package", FOLDERS)
def test_two_rooms_of_a_package_do_not_import_each_other(package: str):
    inside = [module for module in MODULES if module.split(".")[0] == package]
    rooms: dict[str, set[str]] = {room(module): set() for module in inside}
    for module in inside:
        rooms[room(module)].update(room(other) for other in imported_by(module) if other in inside)
    TopologicalSorter({each: others - {each} for each, others in rooms.items()}).prepare()  # raises CycleError


def test_no_module_imports_itself_in_the_end():
    TopologicalSorter(
        {module: set(imported_by(module)) - {module} for module in MODULES}
    ).prepare()  # raises CycleError


def test_no_module_is_longer_than_a_person_can_hold():
    lines = {module: len(path.read_text().splitlines()) for module, path in MODULES.items()}
    assert {module: count for module, count in lines.items() if count > 250} == {}
