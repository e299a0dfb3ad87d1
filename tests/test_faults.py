"""What a person or a machine causes, played over every stage and tool: one sentence, a status that is not zero, nothing half-written."""

import ast
import errno
import importlib
import os
import re
import resource
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from members import built_once
from project import ROOT, SHIPPED
from safetensors.torch import save_file
from test_stages import build, in_order, invoke

from lib.base import environment, errors, files, git, h5
from lib.base.command import Command, command, result
from lib.base.errors import InputError
from lib.parallel import run as parallel
from lib.sharing import remote_store
from tools import plots, preset, publish, scale, targets

CODE = [path for name in ("lib", "stages", "tools") for path in sorted((ROOT / name).rglob("*.py"))]
MODULES = [
    f"{path.parent.name}.{path.stem}" for path in CODE if path.parent.name in ("stages", "tools") and "\ndef main(" in path.read_text()
]


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command that a person can start, groups and their members alike."""
    for module in MODULES:
        main = importlib.import_module(module).main
        yield module, main
        yield from ((f"{module} {name}", one) for name, one in getattr(main, "commands", {}).items())


def makers() -> list[tuple[str, click.Command]]:
    """Those of `commands` that make a file or folder of any name."""
    return [(name, one) for name, one in commands() if any(parameter.name == "out" for parameter in one.params)]


def words(one: click.Command, out: Path) -> list[str]:
    """Words that a command takes, whatever they mean to it: for every file and folder the one above `out`."""
    made = ["--out", str(out)]
    for parameter in one.params:
        if parameter.required and parameter.name != "out":
            is_path, choices = isinstance(parameter.type, click.Path), getattr(parameter.type, "choices", None)
            value = str(out.parent) if is_path else choices[0] if choices else "1"
            made += [value] if isinstance(parameter, click.Argument) else [parameter.opts[0], value]
    return made


def sentence(done: Result) -> str:
    """What `done` says, which is one sentence and no traceback, with a status that is not zero."""
    assert done.exit_code != 0 and isinstance(done.exception, SystemExit), done.output + repr(done.exception)
    lines = [line for line in done.output.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1 and done.output.rstrip().endswith(lines[0]), done.output
    return lines[0]


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file below `folder` with what it holds, and every folder."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


@contextmanager
def full_disk() -> Iterator[None]:
    """Inside, no file of this process can grow: a limit that anybody may set, and that libraries are told of like a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# The entrance


def test_every_command_has_the_same_entrance() -> None:
    assert len(MODULES) > 35
    assert [name for name, one in commands() if not isinstance(one, Command)] == []


def test_a_terminal_that_lacks_a_character_ends_no_command() -> None:
    """Also not one that only explains itself."""

    @command("A command for tests.")
    def tells() -> None:
        click.echo("from −1 to ∞")

    assert CliRunner(charset="latin-1").invoke(tells).output == "from \\u22121 to \\u221e\n"
    for name, one in commands():
        assert CliRunner(charset="ascii").invoke(one, ["--help"]).exit_code == 0, name


def sqlite(name: str) -> sqlite3.Error:
    """What SQLite raises where this is its own name of the error."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = name
    return error


ENOSPC = "[Errno 28] No space left on device"
HDF5 = "Can't write (file write failed: time = 1\n, errno = 28, error message = 'No space left on device', buf = 0x1)"
TORCH = "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: Error code 12 (Cannot allocate memory)"


@pytest.mark.parametrize(
    "error, told",
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.h5"), "expected to use a.h5, but this machine says: no space left on device"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "this machine says: disk quota exceeded"),
        (OSError(errno.EISDIR, "Is a directory", "a.part", None, "a"), "expected to use a, but this machine says: is a directory"),
        (RuntimeError(HDF5), "this machine says: no space left on device"),
        (RuntimeError(f"cannot save: {ENOSPC}"), "this machine says: no space left on device"),
        (RuntimeError("Io(Os { code: 30, kind: ReadOnlyFilesystem })"), "this machine says: read-only file system"),
        (MemoryError("Unable to allocate 9 GiB"), "this machine says: cannot allocate memory (Unable to allocate 9 GiB)"),
        (torch.OutOfMemoryError("CUDA out of memory"), "this machine says: cannot allocate memory (CUDA out of memory)"),
        (RuntimeError(TORCH), f"this machine says: cannot allocate memory ({TORCH})"),
        (sqlite("SQLITE_IOERR_WRITE"), "this machine says: input/output error"),
        (sqlite("SQLITE_CONSTRAINT"), None),
        (subprocess.CalledProcessError(3, ["dvc", "repro"]), "`dvc repro` ended with exit status 3"),
        (InputError(ENOSPC), ENOSPC),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "a.h5"), None),
        (OSError(errno.EBADF, "Bad file descriptor"), None),
        (OSError(errno.EBADF, ENOSPC), None),
        (RuntimeError("slist already enabled?"), None),
        (KeyError(28), None),
    ],
)
def test_a_machine_is_told_from_a_bug(error: Exception, told: str | None) -> None:
    assert errors.sentence(error) == told

    @command("A command for tests.")
    def fails() -> None:
        raise error

    done = CliRunner().invoke(fails)
    if told is None:
        assert done.exception is error
    else:
        assert sentence(done) == f"Error: {told}"


# A place where nothing can be written


@pytest.mark.parametrize("kind", ["a file above", "read-only", "too long", "the other kind"])
def test_a_place_for_nothing_is_refused_before_any_work(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "read-only":  # as root sees a disk that is mounted so, and anybody else a folder of somebody else's
        monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    (tmp_path / "file").touch()
    for name, one in makers():
        parameter = next(parameter for parameter in one.params if parameter.name == "out")
        out = {"a file above": tmp_path / "file/new", "too long": tmp_path / ("x" * 254)}.get(kind, tmp_path / "new")
        asked = words(one, out if kind != "a file above" else tmp_path / "new")
        if kind == "the other kind":
            if not isinstance(parameter.type, click.Path) or parameter.type.dir_okay == parameter.type.file_okay:
                continue
            out = tmp_path if not parameter.type.dir_okay else tmp_path / "file"
        asked[1] = str(out)
        told = sentence(CliRunner().invoke(one, asked))
        expected = {
            "a file above": "found a file",
            "read-only": "found one that is read-only",
            "too long": "file name too long",
            "the other kind": "is a",
        }
        assert expected[kind] in told, f"{name}: {told}"
        assert sorted(contents(tmp_path)) == ["file"]


# A full disk


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project of test_stages.py, in which everything has run."""
    return built_once(tmp_path_factory, "stages", build) / "project"


@pytest.fixture(scope="module")
def project(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = shutil.copytree(built, tmp_path_factory.mktemp("full") / "project", symlinks=True)
    for name in ("presets.yaml", "scales"):
        shutil.copytree(ROOT / name, folder / name) if (ROOT / name).is_dir() else shutil.copy(ROOT / name, folder / name)
    return folder


def kept(folder: Path) -> dict[str, bytes | None]:
    """What a failure must leave as it was: folders of killed work, which may stay, and of Python's and Git's own apart."""
    return {name: data for name, data in contents(folder).items() if not name.startswith((".resume", ".git/", ".dvc/tmp")) or data}


def test_on_a_full_disk_every_stage_says_so_and_keeps_what_was_there(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    for call in {stage.name.partition("@")[0]: stage.cmd for stage in in_order(project)}.values():
        before = kept(project)
        with full_disk():
            done = invoke(call)
        assert "file too large" in sentence(done), call
        assert kept(project) == before, call


TOOLS = {
    "tools.scale": (scale.main, "tiny --force"),
    "tools.preset": (preset.main, "paper"),
    "tools.plots": (plots.main, ""),
    "tools.publish": (publish.main, "run mine"),
    "tools.targets inspect": (targets.main, "inspect data/maps/0/R_simple.h5 --gallery picture.png"),
    "tools.targets merge": (targets.main, "merge data/maps/0/R_simple.h5 --out new.h5"),
}


@pytest.mark.parametrize("name", list(TOOLS))
def test_on_a_full_disk_a_tool_says_so_and_keeps_what_was_there(name: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    before = kept(project)
    main, asked = TOOLS[name]
    with full_disk():
        done = CliRunner().invoke(main, shlex.split(asked))
    assert re.search("file too large|input/output error", sentence(done))  # the latter from what DVC notes in SQLite
    assert kept(project) == before


WRITERS = {
    "text": lambda path: files.write(path, "new"),
    "hdf5": lambda path: _hdf5(path),
    "weights": lambda path: _weights(path),
    "report": lambda path: _report(path),
}


def _hdf5(path: Path) -> None:
    with h5.writing(path, "maps") as file:
        file["maps"] = np.ones(5000)


def _weights(path: Path) -> None:
    with files.writing_folder(path) as part:
        save_file({"w": torch.ones(3)}, part / "weights.safetensors")


def _report(path: Path) -> None:
    with files.filling_folder(path) as part:
        (part / "index.html").write_text("new")


@pytest.mark.parametrize("name", list(WRITERS))
@pytest.mark.parametrize("earlier", [False, True])
def test_a_writer_on_a_full_disk_names_the_result(name: str, earlier: bool, tmp_path: Path) -> None:
    path = tmp_path / "result"
    if earlier:
        WRITERS[name](path)
    before = contents(tmp_path)
    with full_disk(), pytest.raises(OSError) as caught:
        WRITERS[name](path)
    assert f"{errors.sentence(caught.value)}".startswith(f"expected to use {path}") and caught.value.errno == errno.EFBIG
    assert contents(tmp_path) == before
    WRITERS[name](path)


SIZES = """
import resource, sys
from pathlib import Path
import numpy as np
from lib.base import errors, h5
for room, count, size in [(0, 1, 10), (10_000, 50, 1000), (100_000, 100, 1000), (300_000, 4, 100_000), (15 * 2**20, 1, 10)]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, -1))
    try:
        with h5.writing(Path(sys.argv[1]), "maps", nbytes=count * size) as file:
            for index in range(count):
                file.create_group(f"g{index}")["maps"] = np.ones(size, np.uint8)
    except OSError as error:
        print(errors.sentence(error))
"""


def test_hdf5_survives_a_full_disk(tmp_path: Path) -> None:
    """Without room that was taken before, it crashes the process on closing what it could not write."""
    done = subprocess.run([sys.executable, "-c", SIZES, str(tmp_path / "a.h5")], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"expected to use {tmp_path / 'a.h5'}, but this machine says: file too large"] * 5
    assert list(tmp_path.iterdir()) == []


# Machines that are no UTF-8 desktop


def test_text_is_utf_8_wherever_it_is_read_or_written() -> None:
    faults = [f"{path.relative_to(ROOT)}:{node.lineno}" for path in CODE for node in ast.walk(ast.parse(path.read_text())) if unsaid(node)]
    assert faults == []


def unsaid(node: ast.AST) -> bool:
    """Whether `node` reads or writes text in whatever encoding the machine is set to."""
    if not isinstance(node, ast.Call) or any(keyword.arg == "encoding" for keyword in node.keywords):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    given = node.args[1:] if isinstance(node.func, ast.Name) else node.args
    modes = [
        word.value
        for word in [*given[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "mode")]
        if isinstance(word, ast.Constant)
    ]
    opens = name == "open" and (not given or any(re.fullmatch("[rwax+t]+", str(mode)) for mode in modes))
    return (
        name in ("read_text", "write_text")
        or opens
        or any(keyword.arg == "text" and getattr(keyword.value, "value", None) is True for keyword in node.keywords)
    )


@pytest.mark.parametrize(
    "text", ["p.read_text()", "open(p)", "open(p, 'w')", "p.open()", "p.open('a')", "run(c, text=True)", "p.write_text(t)"]
)
def test_an_encoding_that_is_not_said_is_seen(text: str) -> None:
    said = ["p.read_text(encoding=e)", "open(p, 'rb')", "p.open('wb')", "Image.open(p)", "open(p, 'w', encoding=e)", "run(c, encoding=e)"]
    assert unsaid(ast.parse(text, mode="eval").body) and not any(unsaid(ast.parse(one, mode="eval").body) for one in said)


def test_params_in_utf_8_are_read_under_another_locale(tmp_path: Path) -> None:
    shutil.copy(SHIPPED, tmp_path / "params.yaml")
    shutil.copy(ROOT / "presets.yaml", tmp_path)
    with (tmp_path / "params.yaml").open("a", encoding="utf-8") as file:
        file.write("# ∞ größer\n")
    own = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(ROOT)}
    call = [sys.executable, "-m", "tools.preset", "paper"]
    done = subprocess.run(call, cwd=tmp_path, env=own, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and "preset" in done.stdout
    assert (tmp_path / "params.yaml").read_text(encoding="utf-8").endswith("# ∞ größer\n")


# Git that refuses


@pytest.fixture
def of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that Git takes for somebody else's."""
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_repository_of_another_owner_is_told_with_what_to_type(of_another: Path) -> None:
    told = f"git rev-parse failed: .*dubious ownership.*git config --global --add safe.directory {of_another}"
    with pytest.raises(InputError, match=told):
        git.git("rev-parse", "HEAD")
    with pytest.raises(InputError, match="dubious ownership"):
        parallel._commit(of_another)


def test_dvc_is_not_asked_in_a_repository_of_another_owner(of_another: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GIT_TEST_ASSUME_DIFFERENT_OWNER")
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], cwd=of_another, check=True)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(InputError, match="dubious ownership"), remote_store.project(of_another):
        pass


def test_a_record_without_a_commit_says_why(of_another: Path) -> None:
    @command("A command for tests.")
    @result()
    def main(out: Path) -> None:
        files.write(out, "made")

    done = CliRunner().invoke(main, ["--out", "a.csv", "--records", "records"])
    assert done.exit_code == 0 and done.output.count("has no commit: git log failed: fatal: detected dubious ownership") == 1
    assert environment.read(Path("records/a.csv.json")).commit is None


def test_a_machine_without_git_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="expected the program git, found none"):
        git.git("status")
