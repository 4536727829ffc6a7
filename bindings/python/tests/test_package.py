"""The package: its import, its command, and the documentation."""

from __future__ import annotations

import doctest
import importlib
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

import picodet
import pytest
from conftest import PAGE, REPOSITORY, SHARED, write_tiny

# Not every library is there for a free-threaded Python.
FREE_THREADED = sysconfig.get_config_var("Py_GIL_DISABLED") == 1
MODULES = ["picodet", "picodet.commands", "picodet.images", "picodet.model", "picodet.results", "picodet.progress"]


def test_detection_in_a_file_does_not_import_numpy() -> None:
    script = (
        f"import sys, picodet; found = picodet.Model('layout_cdla')({str(PAGE)!r})\n"
        "assert len(found) > 5 and found.orig_shape == (1600, 1216)\n"
        "heavy = {'numpy', 'json', 'dataclasses', 'typing', 'pathlib', 'inspect'} & set(sys.modules)\n"
        "assert 'numpy' not in heavy and 'dataclasses' not in heavy and 'inspect' not in heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{script}"], check=True)


def test_everything_public_is_there() -> None:
    for name in picodet.__all__:
        assert getattr(picodet, name) is not None and name in dir(picodet)
    with pytest.raises(AttributeError, match="nonsense"):
        picodet.nonsense  # noqa: B018
    assert picodet.__version__ == metadata.version("picodet")


def test_numpy_is_the_only_dependency() -> None:
    requirements = metadata.requires("picodet") or []
    assert [re.split(r"[<>=]", requirement)[0] for requirement in requirements] == ["numpy"]


def test_errors_have_the_usual_bases() -> None:
    assert issubclass(picodet.ModelError, picodet.Error) and issubclass(picodet.ImageError, picodet.Error)
    assert issubclass(picodet.ImageError, ValueError) and picodet.Error.__module__ == "picodet"


@pytest.mark.skipif(not FREE_THREADED, reason="a Python with a global lock")
def test_a_free_threaded_python_stays_so() -> None:
    script = f"import picodet, sys; picodet.Model('layout_cdla')({str(PAGE)!r}).boxes; sys.exit(sys._is_gil_enabled())"
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)


def test_the_command_of_the_wheel(tmp_path: Path) -> None:
    programs = [[sys.executable, "-m", "picodet"]]
    script = Path(sys.executable).with_name("picodet")
    assert script.exists()
    programs.append([str(script)])
    for program in programs:
        version = subprocess.run([*program, "--version"], capture_output=True, text=True, check=True)
        assert version.stdout == f"picodet {picodet.__version__}\n"
        found = subprocess.run(
            [*program, "detect", str(PAGE), "--model", "layout_cdla"], capture_output=True, text=True, check=True
        )
        assert "table 0.9" in found.stdout
        for arguments, code in [(["detect", "no-such.jpg"], 2), (["--no-such"], 2), (["--help"], 0), ([], 2)]:
            ended = subprocess.run([*program, *arguments], capture_output=True, text=True, cwd=tmp_path)
            assert ended.returncode == code and "Traceback" not in ended.stderr, ended


def test_the_command_ends_at_control_c(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("signals of another kind")
    write_tiny(tmp_path / "tiny")
    program = [sys.executable, "-m", "picodet", "train", "v2_xs_320", "--data", "tiny/data.json", "--sizes", "64"]
    process = subprocess.Popen(
        [*program, "--batch", "2", "--epochs", "5000"], cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stderr is not None
    while b"step 1/" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(2)
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 130 and b"resume with" in errors, errors


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the examples of the documentation use."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(PAGE, "page.png")
    write_tiny(tmp_path / "tiny")
    return tmp_path


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_the_docstrings(name: str, workplace: Path) -> None:
    module = importlib.import_module(name)
    names = {"picodet": picodet, "model": picodet.Model("layout_cdla")}
    assert doctest.testmod(module, extraglobs=names).failed == 0


@pytest.mark.parametrize("page", ["python.md", "python.zh-CN.md"])
def test_code_of_the_pages(page: str, workplace: Path) -> None:
    """Runs the blocks of Python in order, as one program; the photo of the pages is any photo."""
    photos = SHARED / "data" / "photos"
    if not photos.is_dir():
        pytest.skip("the folder of reference data is missing")
    shutil.copy(photos / "bus.jpg", "street.jpg")
    text = (REPOSITORY / "docs" / page).read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 5
    for block in blocks:
        needed = re.findall(r"^# needs: (\w+)", block, re.MULTILINE)
        if FREE_THREADED:
            needed += re.findall(r"^(?:import|from) (\w+)", block, re.MULTILINE)
        blocked = [module for module in needed if importlib.util.find_spec(module) is None]
        if not blocked:
            run = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True)
            assert run.returncode == 0, f"{block}\n{run.stderr}"


def test_the_pages_have_the_same_code() -> None:
    def blocks(page: str) -> list[str]:
        text = (REPOSITORY / "docs" / page).read_text("utf-8")
        found = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        return [re.sub(r" *# (?!needs).*", "", block) for block in found]

    assert blocks("python.md") == blocks("python.zh-CN.md")
