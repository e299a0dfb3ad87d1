"""`python -m tools.store verify`: what it reports, what it leaves alone, and what it refuses."""

import hashlib
import re
import tracemalloc
from pathlib import Path

import pytest
from damaged import SET, WEIGHTS, WHOLE, Team, flip
from members import Member, build_small_project, built_once, moved_small

from lib.sharing import listing
from lib.sharing.remote_store import cache, project


@pytest.fixture
def team(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Team:
    return Team(moved_small(built_once(tmp_path_factory, "small", build_small_project), tmp_path / "small"), monkeypatch)


@pytest.mark.parametrize("data", [b"{}", b"[1]", b"[{}]", b"\xff", b"[" * 100_000])
def test_a_list_of_files_that_is_none_is_corrupt(data: bytes, team: Team) -> None:
    oid = hashlib.md5(data).hexdigest() + ".dir"
    place = team.owner.folder / ".dvc/cache/files/md5" / oid[:2] / oid[2:]
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(data)
    assert f"corrupt: object {oid}, which dvc.lock does not name" in team.verify(team.owner)[0]


def test_a_changed_entry_of_the_run_cache_is_corrupt(team: Team) -> None:
    entry = next(path for path in (team.top / "store/runs").rglob("*") if path.is_file())
    entry.write_text(re.sub(r"md5: [0-9a-f]{4}", "md5: 0000", entry.read_text()))
    found = team.verify(team.owner, "--remote store")
    assert len(found) == 2 and found[0].startswith("corrupt: runs/") and "changed after it was written" in found[0]


def test_only_what_some_paths_need_is_checked(team: Team) -> None:
    flip(team.stored(WEIGHTS, team.owner.folder / ".dvc/cache"))
    assert WHOLE in team.verify(team.owner, "data/targets")[-1]
    assert f"corrupt: {WEIGHTS}" in team.verify(team.owner, "models/0")[0]


def test_a_remote_that_is_not_checked_by_dvc_is_named(team: Team) -> None:
    team.owner.configure("local", {"verify": "false"})
    assert team.verify(team.owner, "--remote store")[0].endswith("type `dvc remote modify store verify true`")


WORDS = [
    ("verify --remote nowhere", "expected the name of a remote in .dvc/config, got nowhere"),
    ("verify --remote store --repair", "to delete damaged objects of a remote, give --repair-remote"),
    ("verify --repair-remote", "--repair-remote needs --remote NAME"),
    ("verify data/nothing", "expected the path of an output in dvc.lock, got data/nothing"),
    ("verify ../elsewhere", "expected a path inside owner, got ../elsewhere"),
]


def test_words_that_make_no_sense_are_refused_in_one_sentence(team: Team) -> None:
    for words, sentence in WORDS:
        code, printed = team.owner.tool(words, team.patch)
        assert code == 1 and sentence in printed and printed.count("\n") == 1, printed


def test_a_folder_outside_of_every_project_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, printed = Member(tmp_path / "home", tmp_path).tool("verify", monkeypatch)
    assert code == 1 and "expected a folder inside a DVC project" in printed


def test_nothing_is_deleted_unless_asked(team: Team) -> None:
    for store in (team.top / "store", team.owner.folder / ".dvc/cache"):
        flip(team.stored(SET, store))
    team.verify(team.owner)
    team.verify(team.owner, "--remote store")
    team.verify(team.owner, "--repair")
    assert team.stored(SET).exists() and not team.stored(SET, team.owner.folder / ".dvc/cache").exists()


def test_a_file_of_any_size_is_hashed_in_little_memory(team: Team) -> None:
    large = team.owner.folder / "large"
    with large.open("wb") as file:
        file.truncate(50_000_000)
    with project(team.owner.folder) as repo:
        store = cache(repo)
        tracemalloc.start()
        found = store.md5(str(large))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 10_000_000
    assert found == hashlib.md5(bytes(50_000_000)).hexdigest()


def test_every_path_of_a_list_is_looked_at() -> None:
    assert [listing.leads_out(path) for path in ("w", "a/w", "..", "a/..", "/w", "a//w", "./w", "a\0b")] == [False, False] + [True] * 6
