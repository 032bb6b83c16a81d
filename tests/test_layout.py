"""The shape of the repository, which later work relies on."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.workers import TOGETHER

ROOT = Path(__file__).resolve().parents[1]
FLOORS = ("synth", "learning", "curation", "integrations")
EXPECTED = {
    *FLOORS,
    "tests",
    "configs",
    "benchmarks",
    "docs",
    ".ci",
    "README.md",
    "pyproject.toml",
    "Makefile",
    "LICENSE",
}


def python_files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def test_top_level_is_what_the_documentation_says() -> None:
    missing = {name for name in EXPECTED if not (ROOT / name).exists()}
    assert not missing


def test_every_package_folder_can_be_imported_from_an_installation() -> None:
    bare = {path.parent for path in python_files(*FLOORS) if not (path.parent / "__init__.py").is_file()}
    assert not bare


def test_modules_stay_small() -> None:
    long = {str(p.relative_to(ROOT)): n for p in python_files(*FLOORS) if (n := len(p.read_text().splitlines())) > 500}
    assert not long


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-label-studio.txt"])
def test_constraints_name_versions_and_no_registry(name: str) -> None:
    lines = (ROOT / name).read_text().split("\n")
    assert not [line for line in lines if line and not re.fullmatch(r"[a-z0-9.-]+==[A-Za-z0-9.+!]+( ;.*)?", line)]


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    optional = [line for lines in project["project"]["optional-dependencies"].values() for line in lines]
    wanted = [*project["project"]["dependencies"], *optional, *project["dependency-groups"]["dev"]]
    names = {re.split(r"[^A-Za-z0-9-]", line)[0].lower() for line in wanted}
    pinned = {line.split("==")[0] for line in (ROOT / "constraints.txt").read_text().split()}
    assert names <= pinned


def test_files_that_go_to_the_same_worker_are_there() -> None:
    assert not [place for places in TOGETHER for place in places if not (ROOT / place).exists()]


def test_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_continuous_integration_stops_at_the_first_failure() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "set -euo pipefail" in script.read_text()
    subprocess.run(["bash", "-n", str(script)], check=True)
