"""One cache for a machine: the workspace holds links to read-only objects, and no stage ever writes through one."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from members import ROOT, Member, built_once, ran

from lib.targets import target_file
from lib.targets.target_file import Header

MAPS, TARGETS, PERMUTED = (f"data/{name}.h5" for name in ("maps/0/R_smoothgrad", "targets/0/R_smoothgrad", "targets/0/R_smoothgrad_half"))
RECORDS = "results/environments"
THRESHOLD = f"python -m stages.threshold --maps {MAPS} --out {TARGETS} --records {RECORDS}"
PERMUTE = f"python -m stages.permute half 0 --targets {TARGETS} --out {PERMUTED} --records {RECORDS}"
PIPELINE = f"""
stages:
  maps:
    cmd: python team_stub.py --out {MAPS}
    deps: [team_stub.py]
    outs: [{MAPS}]
  threshold:
    cmd: {THRESHOLD}
    deps: [{MAPS}]
    params: [threshold]
    outs: [{TARGETS}, {RECORDS}/{TARGETS}.json]
  permute:
    cmd: {PERMUTE}
    deps: [{TARGETS}]
    params: [permute]
    outs: [{PERMUTED}, {RECORDS}/{PERMUTED}.json]
"""
PARAMS = """
threshold: {phi: 1.0, ddof: 1, when: before}
permute: {rule: fraction, seed: 0, fractions: {half: 0.5}}
"""
POWERLESS = "setpriv --bounding-set=-all --inh-caps=-all "
USERS = ["", POWERLESS] if os.getuid() == 0 and shutil.which("setpriv") else [""]


def build(folder: Path) -> None:
    """A project in which nothing has run."""
    user = Member(folder / "home", folder / "one", umask=0o027)
    user.folder.mkdir()
    for name, text in {"dvc.yaml": PIPELINE, "params.yaml": PARAMS}.items():
        (user.folder / name).write_text(text)
    for name in ("stub.py", "team_stub.py"):
        shutil.copy(ROOT / "tests" / name, user.folder / name)
    user.do("git init -q && dvc init -q")


@pytest.fixture(params=["hardlink", "symlink"])
def linked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Member:
    """A project with a shared cache in which nothing has run; its files will be links into the cache."""
    shutil.copytree(built_once(tmp_path_factory, "shared_cache", build), tmp_path, dirs_exist_ok=True)
    user = Member(tmp_path / "home", tmp_path / "one", umask=0o027)
    settings = f"\n[cache]\n    dir = {tmp_path / 'cache'}\n    shared = group\n    type = {request.param}\n"
    (user.folder / ".dvc/config.local").write_text(settings)
    return user


def objects(user: Member) -> dict[str, str]:
    """The MD5 of every object of the shared cache, by its name."""
    files = [path for path in (user.folder.parent / "cache/files").rglob("*") if path.is_file()]
    return {path.parent.name + path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in files}


def test_stages_read_linked_files_and_never_write_through_them(linked: Member) -> None:
    """By dvc repro and by hand, by root, who may write anywhere, and by somebody who may not."""
    linked.do("dvc repro -q")
    before = objects(linked)
    assert len(before) == 5 and all(name == md5 for name, md5 in before.items())
    for path in (MAPS, TARGETS, f"{RECORDS}/{TARGETS}.json"):
        file = linked.folder / path
        assert file.is_symlink() or file.stat().st_nlink == 2
        assert file.stat().st_mode & 0o222 == 0

    (linked.folder / "params.yaml").write_text(PARAMS.replace("phi: 1.0", "phi: 2.0"))
    for user in USERS:
        linked.do(f"dvc checkout -q -f && {user}{PERMUTE} && {user}{THRESHOLD}")
        assert objects(linked) == before
    assert ran(linked.do("dvc repro")) == {"threshold", "permute"}
    after = objects(linked)
    assert before.items() < after.items() and all(name == md5 for name, md5 in after.items())


@pytest.mark.parametrize("linked", ["hardlink"], indirect=True)
def test_a_second_clone_of_the_group_takes_what_the_first_has_computed(linked: Member) -> None:
    linked.do("dvc repro -q maps && git add -A && git commit -qm ran")
    top = linked.folder.parent
    second = Member(top / "home2", top / "two", umask=0o077)
    second.clone(linked.folder)
    shutil.copy(linked.folder / ".dvc/config.local", second.folder / ".dvc/config.local")
    second.do("dvc checkout -q maps")
    assert os.path.samefile(second.folder / MAPS, linked.folder / MAPS)
    assert ran(second.do("dvc repro maps")) == set()
    for path in (top / "cache/files/md5").rglob("*"):
        assert path.stat().st_mode & 0o7777 == (0o2775 if path.is_dir() else 0o444), path

    for user in USERS[1:]:
        assert "Permission denied" in second.fails(f"{user}bash -c 'echo >> {MAPS}'")
    if os.getuid() == 0:  # the one damage that the page warns of, and that `objects` shows
        second.do(f"echo >> {MAPS}")
        assert any(name != md5 for name, md5 in objects(linked).items())


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Path]:
    """A target file as it lies on read-only storage."""
    path = tmp_path / "storage/targets.h5"
    target_file.write(path, Header("toy", "0" * 64, "R", {}), (4, 1, 2, 2), [np.ones((4, 1, 2, 2), np.float32)])
    path.chmod(0o444)
    path.parent.chmod(0o555)
    yield path
    path.parent.chmod(0o755)


READ = """
import sys
from pathlib import Path
from lib.targets import target_file
with target_file.opened(Path(sys.argv[1])) as (_, maps):
    print(maps[:].sum())
"""


@pytest.mark.parametrize("user", USERS)
def test_a_file_on_read_only_storage_is_read(user: str, stored: Path) -> None:
    call = [*user.split(), sys.executable, "-c", READ, str(stored)]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "16.0", done.stderr
    assert [path.name for path in stored.parent.iterdir()] == [stored.name]


def test_a_file_that_somebody_has_locked_is_read(stored: Path) -> None:
    """As storage that cannot lock refuses it, too; h5py by itself stops here."""
    with stored.open("rb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="lock"):
            h5py.File(stored, "r", locking=True)
        with target_file.opened(stored) as (_, maps):
            assert maps[:].sum() == 16


def test_the_page_names_the_settings_that_are_tested() -> None:
    page = (ROOT / "docs/how-to/share-targets.md").read_text()
    assert set(re.findall(r"cache\.(\w+) (\S+)", page)) == {
        ("dir", "/shared/dvc-cache"), ("shared", "group"), ("type", "reflink,hardlink,symlink"),
    }  # fmt: skip
