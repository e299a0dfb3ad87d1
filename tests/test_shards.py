"""Shards give the bytes of one run, survive a kill, and refuse to be merged where they do not belong together."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base.errors import InputError
from lib.targets import target_file
from lib.targets.extraction import shards
from lib.targets.target_file import Header, Place

SHAPE = (23, 1, 2, 2)
MAPS = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
HEADER = Header("toy", "a" * 64, "R_simple", {"saliency": {"method": "simple"}})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def maps(rows: range):
    for first in range(rows.start, rows.stop, 4):
        yield MAPS[first : min(first + 4, rows.stop)]


def whole() -> bytes:
    target_file.write(Path("whole.h5"), HEADER, SHAPE, [MAPS])
    return Path("whole.h5").read_bytes()


def shard(first: int, stop: int, header: Header = HEADER, total: int = 23) -> Path:
    path = Path(f"{first}.h5")
    target_file.write(path, header, (stop - first, *SHAPE[1:]), maps(range(first, stop)), Place(first, total))
    return path


# The bytes of one run


@given(st.integers(1, 30), st.integers(1, 6), st.data())
def test_parts_are_passes_that_cover_every_row_once(size, count, data):
    total = data.draw(st.integers(1, 100))
    count = min(count, -(-total // size))
    found = [shards.part(total, size, index + 1, count) for index in range(count)]
    assert [row for part in found for row in part] == list(range(total))
    assert all(part.start % size == 0 and len(part) > 0 for part in found)


@pytest.mark.parametrize("index, count", [(0, 2), (3, 2), (1, 4)])
def test_a_part_that_does_not_exist_is_refused(index, count):
    with pytest.raises(InputError, match=r"1 <= I <= K <= 3 .passes of 10 images., got "):
        shards.part(23, 10, index, count)


@pytest.mark.parametrize("size", [4, 8, 20, 23, 100])
def test_the_size_of_shards_changes_no_byte(size):
    shards.write(Path("out.h5"), HEADER, SHAPE, range(23), size, maps)
    assert Path("out.h5").read_bytes() == whole()
    assert sorted(path.name for path in Path().iterdir()) == ["out.h5", "whole.h5"]


def test_parts_made_apart_merge_in_any_order_to_the_same_bytes():
    for index in (1, 2, 3):
        shards.write(Path(f"part{index}.h5"), HEADER, SHAPE, shards.part(23, 4, index, 3), 4, maps)
    shards.merge([Path(f"part{index}.h5") for index in (2, 3, 1)], Path("out.h5"))
    assert Path("out.h5").read_bytes() == whole()


def test_neighbours_merge_to_a_larger_shard():
    shards.merge([shard(4, 8), shard(8, 16)], Path("larger.h5"))
    shards.merge([Path("larger.h5"), shard(0, 4), shard(16, 23)], Path("out.h5"))
    assert Path("out.h5").read_bytes() == whole()


# Refusals


def refused(sentence: str, *paths: Path, out: str = "out.h5") -> None:
    with pytest.raises(InputError, match=sentence):
        shards.merge(paths, Path(out))
    assert not Path("out.h5").exists() and not list(Path().glob("*.part"))


def test_shards_that_do_not_belong_together_are_not_merged():
    first = shard(0, 8)
    refused("they differ in name", first, shard(8, 23, replace(HEADER, name="NR_simple")))
    refused("they differ in images_digest, provenance", first, shard(8, 23, replace(HEADER, images_digest="b" * 64, provenance={})))
    refused("sets of shape .24, 1, 2, 2. and .23, 1, 2, 2.", first, shard(8, 23, total=24))


def test_gaps_overlaps_and_nothing_are_not_merged():
    first = shard(0, 8)
    refused("after row 7 comes 12.h5 with rows from 12", first, shard(12, 23))
    refused("after row 7 comes 4.h5 with rows from 4", first, shard(4, 23))
    refused("after row 7 comes 0.h5 with rows from 0", first, first)
    refused("expected at least one shard to merge, got none")
    refused("is one of the shards", first, shard(8, 23), out="0.h5")


def test_a_damaged_shard_is_not_merged():
    first, second = shard(0, 8), shard(8, 23)
    data = bytearray(second.read_bytes())
    place = data.index(MAPS[20].tobytes())
    data[place] ^= 1
    second.write_bytes(data)
    refused("8.h5: dataset train/maps, row 12 was changed", first, second)


# Going on after a kill

SCRIPT = """
import json, os, sys, time
from pathlib import Path
from lib.targets.extraction import shards
from tests.test_shards import HEADER, MAPS, SHAPE

def maps(rows):
    with open("log", "a") as log:
        log.write(json.dumps([rows.start, rows.stop]) + "\\n")
    yield MAPS[rows.start : rows.stop - 1]
    if rows.start == int(sys.argv[1]):
        Path("there").touch()
        time.sleep(60)
    yield MAPS[rows.stop - 1 : rows.stop]

shards.write(Path("out.h5"), HEADER, SHAPE, range(23), 5, maps, device=sys.argv[2])
"""


def start(stop_at: int, device: str = "cpu") -> subprocess.Popen:
    root = Path(__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": str(root)}
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(stop_at), device], env=environment, stderr=subprocess.PIPE, text=True)


def killed_at(row: int) -> None:
    process = start(row)
    while not Path("there").exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    Path("there").unlink()
    assert not Path("out.h5").exists()


def asked_for() -> list[int]:
    found = [json.loads(line)[0] for line in Path("log").read_text().splitlines()]
    Path("log").unlink()
    return found


def finished(device: str = "cpu") -> str:
    printed = start(-1, device).communicate()[1]
    assert Path("out.h5").read_bytes() == whole() and not Path(".resume").exists()
    return printed


def test_a_kill_loses_at_most_one_shard():
    killed_at(10)
    assert asked_for() == [0, 5, 10]
    finished()
    assert asked_for() == [10, 15, 20]


def test_a_damaged_shard_is_made_again():
    killed_at(10)
    asked_for()
    (path,) = Path(".resume").rglob("000000005-*.h5")
    path.write_bytes(path.read_bytes()[:-100])
    assert "rows 5 to 9 are extracted again" in finished()
    assert asked_for() == [5, 10, 15, 20]


def test_shards_of_another_extraction_are_not_taken_up():
    killed_at(10)
    asked_for()
    assert "belongs to an extraction with other settings, data or code" in finished("cuda")
    assert asked_for() == [0, 5, 10, 15, 20]
