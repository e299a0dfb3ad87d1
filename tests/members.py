"""People who share a project in tests: each has folders, a umask and settings of their own, and types commands that pages print."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import quick_dvc
from click.testing import CliRunner
from dvc.config import Config
from filelock import FileLock
from project import ENVIRONMENT, ROOT, copy, copy_studies, edited, shrink
from remotes import Remote

from tools import store

ROWS = ("R", "R_smoothgrad")


@dataclass(frozen=True)
class Member:
    """Somebody at home in `home`, working in `folder`; `environment` is what they export."""

    home: Path
    folder: Path
    umask: int = 0o022
    environment: dict[str, str] = field(default_factory=dict)

    def call(self, command: str, **settings: object) -> subprocess.CompletedProcess:
        """Run a line of shell; with further settings of `subprocess.run`, its `dvc` is the real command."""
        outer = {name: value for name, value in os.environ.items() if name not in ("SSH_AUTH_SOCK", "DVC_STAGE", "DVC_ROOT")}
        environment = outer | (self.variables() if settings else quick_dvc.first(self.variables()))
        return subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=environment, umask=self.umask, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, **settings,
        )  # fmt: skip

    def variables(self) -> dict[str, str]:
        """What DVC and Git would take from the real home is taken from this one."""
        self.home.mkdir(exist_ok=True, parents=True, mode=0o700)
        own = {"HOME": str(self.home), "DVC_SITE_CACHE_DIR": str(self.home / "site"), "DVC_GLOBAL_CONFIG_DIR": str(self.home / "config")}
        away = {"GIT_CONFIG_NOSYSTEM": "1", "DVC_NO_ANALYTICS": "1", "PYTHONPATH": str(ROOT), "NO_PROXY": "*", "no_proxy": "*"}
        return ENVIRONMENT | own | away | self.environment

    def tool(self, words: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
        """`python -m tools.store` with these words, in this process: exit status and what it printed."""
        with monkeypatch.context() as patch:
            for name, value in self.variables().items():
                patch.setenv(name, value)
            patch.chdir(self.folder)
            result = CliRunner().invoke(store.main, words.split())
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.output

    def do(self, command: str) -> str:
        """Type a line that succeeds; returns what it printed."""
        done = self.call(command)
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout + done.stderr

    def fails(self, command: str) -> str:
        """Type a line that fails; returns what it printed."""
        done = self.call(command)
        assert done.returncode != 0, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout + done.stderr

    def clone(self, origin: Path, remote: Remote | None = None) -> None:
        """A fresh clone in `folder`, with the settings of `remote` that are not in Git."""
        self.folder.mkdir(parents=True)
        self.do(f"git clone -q {origin} .")
        if remote is not None:
            self.configure("local", remote.own)

    def configure(self, level: str, settings: dict[str, str]) -> None:
        """Settings of the remote "store", as `dvc remote modify` makes them; level is "repo", which Git keeps, or "local"."""
        with Config(str(self.folder / ".dvc"), validate=False).edit(level, validate=False) as config:
            config["remote"].setdefault("store", {}).update(settings)


def built_once(tmp_path_factory: pytest.TempPathFactory, name: str, build: Callable[[Path], None]) -> Path:
    """A folder that `build` fills, once for all processes of this test run."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with FileLock(shared / f"{name}.lock"):
        if not (shared / name / "done").exists():
            shutil.rmtree(shared / name, ignore_errors=True)
            (shared / name).mkdir()
            build(shared / name)
            (shared / name / "done").touch()
    return shared / name


def build_team_project(folder: Path) -> None:
    """`origin.git`, and `one`: a fresh clone of it in which everything has run, by commands that only write random bytes.

    The first two commands of docs/how-to/share-targets.md have been typed there, so that everything has been pushed to `store`.
    """
    start = Member(folder / "home", copy_of_project(folder / "start"))
    start.do("git init -q -b main && git add -A && git commit -qm start")
    start.do(f"git clone -q --bare . {folder / 'origin.git'}")
    one = Member(folder / "home", folder / "one")
    one.clone(folder / "origin.git")
    one.do("dvc repro -q && git add -A && git commit -qm 'Record the results' && git push -q")
    one = replace(one, environment={"STORE": str(folder / "store")})
    for line in typed("docs/how-to/share-targets.md", "In five commands")[:2]:
        one.do(line)


def copy_of_project(folder: Path) -> Path:
    """The real dvc.yaml over a few rows, with stand-ins for the stages; not yet a repository."""
    folder.mkdir()
    copy(folder)
    shrink(folder)
    with edited(folder) as document:
        document["rows"] = {name: document["rows"][name] for name in ROWS}
        document["ir"] = {name: document["ir"][name] for name in ROWS if name in document["ir"]}
        document["teachers"] = {"R": document["teachers"]["R"]}
        document["saliency"]["teachers"] = ["R"]
        document["saliency"]["methods"] = {"smoothgrad": document["saliency"]["methods"]["smoothgrad"]}
        document["at"], document["jr"], document["permute"]["fractions"] = {}, {}, {}
    for name in ("stub.py", "team_stub.py"):
        shutil.copy(ROOT / "tests" / name, folder / name)
    (folder / "tools").mkdir()
    for name in ("__init__.py", "store.py"):
        shutil.copy(ROOT / "tools" / name, folder / "tools" / name)
    copy_studies(folder)
    hidden = [f"/{file.relative_to(folder)}\n" for file in folder.glob("studies/**/dvc.yaml")]  # also where the project has run them
    (folder / ".dvcignore").write_text((ROOT / ".dvcignore").read_text() + "".join(hidden))
    (folder / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc/config", folder / ".dvc/config")
    (folder / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
    text = (folder / "dvc.yaml").read_text()
    (folder / "dvc.yaml").write_text(re.sub(r"python -m stages\.", "python team_stub.py ", text))
    return folder


SMALL = """
stages:
  refine:
    cmd: python team_stub.py --out data/targets/0
    deps: [team_stub.py]
    params: [phi]
    outs: [data/targets/0]
  train:
    cmd: python team_stub.py --out models/0/R
    deps: [data/targets/0/R_smoothgrad.h5]
    outs: [models/0/R]
artifacts:
  targets-R_smoothgrad: {path: data/targets/0/R_smoothgrad.h5, type: dataset}
  targets-none: {path: data/targets/0/none.h5, type: dataset}
"""


def small_project(folder: Path) -> Member:
    """A project of two stages, a folder with one target set and a network, run and committed, with a remote that nothing was pushed to."""
    owner = Member(folder / "home", folder / "owner")
    owner.folder.mkdir()
    (owner.folder / "dvc.yaml").write_text(SMALL)
    (owner.folder / "params.yaml").write_text("phi: 1\n")
    for name in ("stub.py", "team_stub.py"):
        shutil.copy(ROOT / "tests" / name, owner.folder / name)
    (owner.folder / ".gitignore").write_text("/data/\n/models/\n__pycache__/\n")
    owner.do("git init -q -b main && dvc init -q && dvc config core.analytics false")
    owner.do(f"dvc remote add -q -d store {folder / 'store'} && dvc remote modify store verify true")
    owner.do("dvc repro -q && git add -A && git commit -qm start")
    return owner


def build_small_project(folder: Path) -> None:
    small_project(folder).do("dvc push -q --run-cache")


def moved_small(finished: Path, folder: Path) -> Member:
    """A copy of what `build_small_project` made, with its own copy of the remote."""
    shutil.copytree(finished, folder, symlinks=True)
    owner = Member(folder / "home", folder / "owner")
    owner.configure("repo", {"url": str(folder / "store")})
    owner.do("git commit -qam 'Move the store'")
    return owner


def moved(finished: Path, folder: Path) -> Path:
    """A copy of what `build_team_project` made; its clone pushes to the copy of the origin."""
    shutil.copytree(finished, folder, symlinks=True)
    Member(folder / "home", folder / "one").do(f"git remote set-url origin {folder / 'origin.git'}")
    return folder


def ran(printed: str) -> set[str]:
    """The stages that a `dvc repro` said it ran."""
    return set(re.findall(r"Running stage '([^']+)'", printed))


def typed(page: str, heading: str) -> list[str]:
    """The commands of the first bash block below a heading of a page, without comments."""
    _, found, section = (ROOT / page).read_text().partition(f"\n## {heading}\n")
    block = re.search(r"```bash\n(.*?)```", section, re.DOTALL)
    assert found and block is not None, f"{page} has no commands below {heading!r}"
    return [re.sub(r"\s+#.*", "", line) for line in block[1].splitlines() if line.strip()]


def contents(folder: Path, names: Iterable[str]) -> dict[str, bytes]:
    """The files below some folders of a project, by path."""
    files = [path for name in names for path in sorted((folder / name).rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
