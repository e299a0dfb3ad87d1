"""Damage in cache, remote and transfers: what is seen, that nothing wrong is used, and that what the page says to type helps."""

import hashlib
import json
import os
import re
import resource
import sys
from pathlib import Path
from subprocess import Popen

import pytest
from damaged import PAGE, SET, WEIGHTS, WHOLE, Team, flip, read
from members import Member, build_small_project, built_once, moved_small, typed

from lib.base.errors import InputError


@pytest.fixture
def team(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Team:
    return Team(moved_small(built_once(tmp_path_factory, "small", build_small_project), tmp_path / "small"), monkeypatch)


def test_a_project_without_damage_is_found_whole(team: Team) -> None:
    assert team.verify(team.owner) == [f"cache: 6 objects, {WHOLE}"]
    assert team.verify(team.owner, "--remote store") == [f"remote store: 6 objects, {WHOLE}"]
    read(team.owner.folder / SET)


def test_a_damaged_object_in_the_cache(team: Team) -> None:
    owner, top = team.owner, team.owner.folder
    flip(team.stored(SET, top / ".dvc/cache"))
    flip(team.stored(WEIGHTS, top / ".dvc/cache"))
    owner.do("rm -r data models && dvc checkout -q")
    assert "up to date" in owner.do("dvc status")
    assert (top / SET).read_bytes() != team.right[SET]
    with pytest.raises(InputError, match="was changed after it was written"):
        read(top / SET)

    lines = team.verify(owner)
    assert sorted(line.rsplit(":", 1)[0] for line in lines[:-1]) == [
        f"{kind}: {path}" for kind in ("believed", "corrupt") for path in team.right
    ]
    team.follow(owner, "A damaged object in the cache")
    assert {path: (top / path).read_bytes() for path in team.right} == team.right
    assert WHOLE in team.verify(owner)[-1]


def test_a_damaged_object_in_the_remote(team: Team) -> None:
    flip(team.stored(SET))
    flip(team.stored(WEIGHTS))
    mate = team.mate()
    assert "ERROR: failed to pull data from the cloud" in mate.fails("dvc pull")
    assert not (mate.folder / SET).exists() and not (mate.folder / WEIGHTS).exists()

    team.top.joinpath("bare").mkdir()
    team.owner.do("git clone -q --bare . ../bare")
    third = Member(team.top / "third_home", team.top / "third")
    third.folder.mkdir()
    third.do(f"dvc get -q ../bare {SET}")  # compares nothing
    with pytest.raises(InputError, match="was changed after it was written"):
        read(third.folder / Path(SET).name)

    assert "Everything is up to date" in team.owner.do("dvc push")
    team.follow(team.owner, "A damaged object in the remote")
    mate.do("dvc pull -q")
    assert {path: (mate.folder / path).read_bytes() for path in team.right} == team.right
    assert WHOLE in team.verify(team.owner, "--remote store")[-1]


def test_a_missing_object_in_the_cache(team: Team) -> None:
    owner = team.owner
    kept = team.stored(SET, owner.folder / ".dvc/cache")
    kept.unlink()
    assert f"missing: {SET}" in team.verify(owner)[0]
    owner.do("dvc commit -q")  # the workspace has it
    assert kept.read_bytes() == team.right[SET]
    for path in team.right:
        team.stored(path, owner.folder / ".dvc/cache").unlink()
        (owner.folder / path).unlink()
    assert "not in cache" in owner.do("dvc status")
    assert "Checkout failed" in owner.fails("dvc checkout")
    team.follow(owner, "A missing object in the cache")
    assert {path: (owner.folder / path).read_bytes() for path in team.right} == team.right


def test_a_missing_object_in_the_remote(team: Team) -> None:
    """One file of a folder: DVC's push takes a folder for complete whose list of files is there."""
    for path in team.right:
        team.stored(path).unlink()
    mate = team.mate()
    assert "ERROR: failed to pull data from the cloud" in mate.fails("dvc pull")
    assert not (mate.folder / WEIGHTS).exists()
    team.owner.do("dvc push -q")
    assert [line.partition(": object")[0] for line in team.verify(team.owner, "--remote store")[:-1]] == [
        f"missing: {path}" for path in sorted((SET, WEIGHTS))
    ]
    team.follow(team.owner, "A missing object in the remote")
    mate.do("dvc pull -q")
    assert {path: (mate.folder / path).read_bytes() for path in team.right} == team.right


DIES = """
import os, signal, sys
from dvc.cli import main
rename = os.replace
def die(source, target, **options):
    if "store/files" in str(target):
        os.kill(os.getpid(), signal.SIGKILL)
    rename(source, target, **options)
os.replace = die
sys.exit(main(["push"]))
"""


def test_a_push_that_is_killed(team: Team) -> None:
    """With an object written, but not yet under its name."""
    owner, store = team.owner, team.top / "store"
    owner.do("rm -rf ../store")
    (team.top / "dies.py").write_text(DIES)
    assert owner.call(f"exec {sys.executable} ../dies.py").returncode == -9
    left = [path for path in (store / "files").rglob("*") if path.is_file()]
    assert left and all(path.name.endswith(".tmp") for path in left)
    assert any(line.startswith("leftover: files/md5/") for line in team.verify(owner, "--remote store"))
    assert "failed to pull" in team.mate().fails("dvc pull")

    team.follow(owner, "A push that was cut")
    assert team.verify(owner, "--remote store") == [f"remote store: 6 objects, {WHOLE}"]


def test_two_pushes_at_once(team: Team) -> None:
    mate = team.mate()
    mate.do("dvc pull -q && rm -rf ../store")
    both = [team.owner, mate]
    calls = [Popen(["dvc", "push", "-q"], cwd=member.folder, env=os.environ | member.variables()) for member in both]
    assert [call.wait(60) for call in calls] == [0, 0]
    assert WHOLE in team.follow(team.owner, "Two pushes at once")


def test_a_pull_with_too_little_disk(team: Team) -> None:
    """A limit on the size of a file stands for a full disk, since anybody may set one; DVC is told the same way, by a failing write."""
    mate = team.mate()
    limited = mate.call("dvc pull", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000)))
    assert limited.returncode != 0 and "ERROR: failed to pull data from the cloud - 2 files failed to download" in limited.stderr
    assert not (mate.folder / SET).exists()
    assert [line.partition(":")[0] for line in team.verify(mate)[:-1]] == ["missing", "leftover"]
    team.follow(mate, "A pull with too little disk")
    assert (mate.folder / SET).read_bytes() == team.right[SET]
    assert WHOLE in team.verify(mate)[-1]


def test_a_planted_path_is_reported_before_anything_is_written(team: Team) -> None:
    oid = hashlib.md5(team.right[WEIGHTS]).hexdigest()
    planted = json.dumps([{"md5": oid, "relpath": "../../../../planted.txt"}]).encode()
    lock = (team.owner.folder / "dvc.lock").read_text()
    (old,) = set(re.findall(r"path: models/0/R\n\s+hash: md5\n\s+md5: (\w+)\.dir", lock))
    new = hashlib.md5(planted).hexdigest()
    (team.owner.folder / "dvc.lock").write_text(lock.replace(old, new))
    place = team.top / "store/files/md5" / new[:2] / f"{new[2:]}.dir"
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(planted)
    printed = team.follow(team.owner, "A file that would be written elsewhere")
    assert f"outside: models/0/R: {new}.dir lists '../../../../planted.txt', which leads out of its folder" in printed


def test_dvc_keeps_its_notes_where_the_page_puts_them(team: Team) -> None:
    class Own(Member):
        def variables(self) -> dict[str, str]:
            return super().variables() | {"DVC_SITE_CACHE_DIR": ""}

    own = Own(team.owner.home, team.owner.folder)
    for line in typed(PAGE, "DVC's own notes"):
        own.do(line)
    own.do("dvc status")
    notes = own.home / ".cache/dvc-notes"
    assert notes.stat().st_mode & 0o777 == 0o700 and any((notes / "repo").iterdir())
