"""Within `changed`, params.yaml reads as if it had been edited; afterwards as before."""

from pathlib import Path

import pytest

from lib.base import params
from lib.base.errors import InputError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch) -> Path:
    (tmp_path / "params.yaml").write_text("training: {epochs: 8, steps: [1, 2]}\nrows: {}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_changed_key_is_seen_inside_and_forgotten_outside() -> None:
    with params.changed({"training.epochs": 3}):
        assert params.value("training", "epochs") == 3 and params.value("training", "steps") == [1, 2]
    assert params.value("training", "epochs") == 8


def test_changes_nest_and_the_inner_one_wins() -> None:
    with params.changed({"training.epochs": 3, "training.steps": [5]}), params.changed({"training.epochs": 4}):
        assert params.value("training") == {"epochs": 4, "steps": [5]}


def test_new_keys_and_sections_can_be_added() -> None:
    with params.changed({"nulls.blocks": {"size": 4}, "rows.JR": 1}):
        assert params.value("nulls", "blocks", "size") == 4 and params.names("rows") == ["JR"]
    with pytest.raises(InputError, match="has no key 'nulls'"):
        params.value("nulls")


def test_an_error_inside_leaves_nothing_behind() -> None:
    with pytest.raises(KeyError), params.changed({"training.epochs": 3}):
        raise KeyError
    assert params.value("training", "epochs") == 8


def test_what_was_handed_in_cannot_be_changed_through_what_is_read() -> None:
    mine = {"size": 4}
    with params.changed({"nulls.blocks": mine}):
        params.value("nulls", "blocks")["size"] = 5
    assert mine == {"size": 4}


def test_a_key_through_a_value_is_refused() -> None:
    sentence = r"params.yaml: training.epochs must be a section to change training.epochs.first, got 8"
    with pytest.raises(InputError, match=sentence), params.changed({"training.epochs.first": 1}):
        pass
