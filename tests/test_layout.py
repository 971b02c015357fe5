"""The shape of the repository: what must not be where, and what the wheel holds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"nclscreen": ROOT / "platform" / "nclscreen", "jobs": ROOT / "jobs", "ncl_model": ROOT / "ncl_model"}


def run(*command: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, timeout=120, **options)


def repository_files() -> list[str]:
    """What git tracks or would track; everything below the root where there is no git (an unpacked archive)."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if listed.returncode == 0:
        return [name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]
    return [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]


def python_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.py") if "__pycache__" not in path.parts]


def test_platform_is_no_package_and_holds_one() -> None:
    """A regular package of that name would hide Python's own `platform` from everything run from here."""
    assert [path.name for path in (ROOT / "platform").iterdir() if path.name != "__pycache__"] == ["nclscreen"]


@pytest.mark.parametrize("arguments", [("-c",), ("-P", "-c")], ids=["root on the path", "safe path"])
def test_pythons_own_platform_is_what_is_imported(arguments: tuple[str, ...]) -> None:
    script = "import platform, nclscreen, jobs, ncl_model; print(platform.system(), platform.__file__)"
    done = run(sys.executable, *arguments, script)
    assert done.returncode == 0, done.stderr
    assert not done.stdout.split()[1].startswith(str(ROOT / "platform"))


def test_pythons_own_platform_is_what_tests_import(tmp_path: Path) -> None:
    """In a session of its own, with this repository as root and its settings."""
    (tmp_path / "test_it.py").write_text("def test_it():\n    import platform\n    assert platform.system()\n")
    done = run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(ROOT),
               "-c", str(ROOT / "pyproject.toml"), str(tmp_path))  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


@pytest.mark.parametrize(
    "folder", [*PACKAGES.values(), ROOT / "tests", ROOT / "benchmarks"], ids=lambda path: path.name
)
def test_no_module_has_the_name_of_one_of_pythons(folder: Path) -> None:
    """Running a file by its path puts its folder first on the search path: `queue.py` beside it would hide Python's."""
    names = {path.stem for path in python_files(folder)} | {path.parent.name for path in python_files(folder)}
    assert names & sys.stdlib_module_names - {"platform"} == set()


def test_imports_go_one_way() -> None:
    done = run(str(Path(sys.executable).with_name("lint-imports")), "--no-cache")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_importing_a_package_does_nothing_but_define(tmp_path: Path) -> None:
    """No folder is made, no heavy library loaded, by importing the package itself."""
    script = (
        "import sys, nclscreen, jobs, ncl_model; print(sorted({'torch', 'ray', 'boto3', 'cv2'} & set(sys.modules)))"
    )
    done = run(sys.executable, "-c", script, env={**os.environ, "HOME": str(tmp_path)})
    assert done.stdout.strip() == "[]", done.stderr
    assert list(tmp_path.iterdir()) == []


def test_commands_start_without_what_only_some_of_them_need() -> None:
    """Loading torch takes longer than most commands."""
    heavy = {"torch", "ray", "pyarrow", "scipy", "pandas", "cv2"}
    script = f"import sys, nclscreen.cli.app; print(sorted({heavy} & set(sys.modules)))"
    assert run(sys.executable, "-c", script).stdout.strip() == "[]"


def test_a_screening_worker_brings_no_database_along() -> None:
    """Hundreds of workers come up at once; drivers of databases cost each of them memory, and tempt to be used."""
    script = (
        "import sys, jobs.screening.ray_runner, nclscreen.hosting.replica, nclscreen.hosting.screener_plan; "
        "print(sorted({'sqlalchemy', 'alembic', 'psycopg', 'typer'} & set(sys.modules)))"
    )
    done = run(sys.executable, "-c", script)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("folder", PACKAGES.values(), ids=PACKAGES)
def test_files_stay_readable_in_one_sitting(folder: Path) -> None:
    lengths = {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in python_files(folder)}
    assert {name: length for name, length in lengths.items() if length > 350} == {}


def test_no_photograph_of_a_research_collection_is_in_the_repository() -> None:
    """Their licences do not allow it. (The beginnings of file names in CASIA, NIST and ImageNet.)"""
    collection = re.compile(r"(^|/)(Sp_[SD]_|Au_[a-z]{3}_|Tp_[SD]_|NC2016_|n0\d{7}_)")
    assert collection.search("data/Sp_D_CND_A_pla0005_pla0023_0281.jpg")
    assert [name for name in repository_files() if collection.search(name)] == []


def test_the_wheel_holds_the_three_packages_and_their_data(tmp_path: Path) -> None:
    done = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("nclscreen-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        f"{package}/{path.removeprefix(f'{folder.relative_to(ROOT)}/')}"
        for package, folder in PACKAGES.items()
        for path in repository_files()
        if path.startswith(f"{folder.relative_to(ROOT)}/")
    }
    assert inside == expected
    for package, what in (("jobs", "migrations"), ("ncl_model", "weights"), ("nclscreen", "templates")):
        assert any(name.startswith(f"{package}/") and what in name for name in inside), f"no {what} in {package}"


@pytest.mark.parametrize(
    ("what", "places"),
    [
        # a file that appears whole; folders as a whole, and keys of a storage, which are bytes, have ways of their own
        (
            r"os\.replace\(|partial\.(replace|rename)\(|\.partial\b",
            {
                "ncl_model/writing.py",
                "ncl_model/data/packing.py",
                "ncl_model/data/unpacking.py",
                "jobs/storage/folder.py",
            },
        ),
        # a moment for programs, and for people; the log of a training run has the machine's own time
        (
            r"\.isoformat\(|strftime\(",
            {"jobs/domain/times.py", "platform/nclscreen/quantities.py", "ncl_model/training/run_log.py"},
        ),
        # a duration, or a size, for people
        (r"// 3600|\} min \{|/ 1e6:[^}]*\} MB|\"KB\"", {"platform/nclscreen/quantities.py"}),
        # how an error is pickled
        (r"def __reduce__", {"ncl_model/picklable.py"}),
    ],
    ids=["atomic writes", "moments", "durations and sizes", "pickling of errors"],
)
def test_there_is_one_place_for_it(what: str, places: set[str]) -> None:
    files = [path for folder in PACKAGES.values() for path in python_files(folder)]
    found = {str(path.relative_to(ROOT)) for path in files if re.search(what, path.read_text())}
    assert found == places
