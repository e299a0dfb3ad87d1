"""Parts of a parallel run whose answers are known without one: what is planned, shown, forecast and recorded."""

import os
import subprocess
import time
from io import StringIO
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner
from dvc.lock import LockError
from dvc.utils.serialize import load_yaml
from ray import exceptions
from rich.console import Console
from toy_pipeline import STAGES, copied, finished, toy

from benchmarks import parallel_cost
from lib.base.errors import InputError
from lib.parallel import dvc_patches, engine, lockfile, run
from lib.parallel.plan import Step, plan
from lib.parallel.resources import GIB, Resources, Table
from lib.parallel.run_lock import only_run
from lib.parallel.run_state import Board
from lib.parallel.view import Lines, headline, picture
from lib.parallel.worker import Outcome
from tools import parallel


def board(*names: str) -> Board:
    return Board([Step(name, (), (), True) for name in names], began=0.0)


def ended(stage: str, state: str = "ran", seconds: float = 10.0, **more) -> Outcome:
    return Outcome(stage, state, seconds, log=f"/logs/{stage}.log", **more)


def test_time_left_is_the_mean_of_each_kind_over_how_many_run_side_by_side() -> None:
    watched = board("a@1", "a@2", "a@3", "b@1", "b@2", "c")
    assert watched.left(0.0) is None
    for outcome in (ended("a@1"), ended("a@2", seconds=20.0), ended("b@1", seconds=6.0), ended("b@2", "unchanged", 1.0)):
        watched.end(outcome)
    # 36 s of work in 18 s: two side by side. a@3 takes 15 s like its kind, c 12 s like all.
    assert watched.left(18.0) == pytest.approx((15 + 12) / 2)
    watched.heard("a@3", {"began": True, "node": "n", "log": "/l"})
    watched.running["a@3"].began = 12.0
    assert watched.left(18.0) == pytest.approx((9 + 12) / (42 / 18))


def test_what_workers_tell_arrives_late_twice_or_after_the_end() -> None:
    watched = board("a")
    watched.heard("a", {"line": "lost"})
    for _ in range(2):  # the first worker died
        watched.heard("a", {"began": True, "node": "n", "log": "/l"})
    watched.heard("a", {"line": "epoch 3"})
    assert (watched.running["a"].tries, watched.running["a"].line) == (2, "epoch 3")
    watched.end(ended("a"))
    watched.heard("a", {"began": True, "node": "n", "log": "/l"})
    assert watched.running == {}


def test_a_terminal_shows_counts_forecast_and_the_last_line_of_every_log() -> None:
    watched = board("train@a", "train@b", "train@c", "report")
    watched.end(ended("train@a", seconds=100.0))
    watched.end(ended("train@c", "failed", seconds=100.0))
    watched.heard("train@b", {"began": True, "node": "cat:/work", "log": "/logs/train@b.log"})
    watched.heard("train@b", {"line": "training: 40%"})
    watched.running["train@b"].began = 50.0
    console = Console(file=StringIO(), width=100, force_terminal=True, record=True)
    console.print(picture(watched, 100.0))
    text = console.export_text()
    assert headline(watched, 100.0) == "2 of 4 done, 1 running, 1 failed; 1:40 gone, about 1:00 left"
    for word in (headline(watched, 100.0), "train@b", "0:50", "cat", "training: 40%"):
        assert word in text
    assert Path("/logs/train@b.log").as_uri() in console.file.getvalue()  # type: ignore[attr-defined]


def test_elsewhere_a_line_stands_for_every_step_once() -> None:
    watched, out = board("a", "b", "c"), StringIO()
    lines = Lines(watched, Console(file=out, width=40))
    watched.end(ended("a", seconds=65.0))
    lines.look()
    watched.end(ended("b", "failed", because="exit status 1"))
    watched.end(Outcome("c", "left out", because="needs b"))
    lines.look()
    lines.look()
    told = ["[1/3] a ran, 1:05", "[2/3] b FAILED, 0:10: exit status 1 (/logs/b.log)", "[3/3] c was left out: needs b"]
    assert out.getvalue().splitlines() == told


def test_a_lock_file_comes_into_the_order_of_a_serial_run(tmp_path: Path) -> None:
    """Entries that were there stay where they were; new ones follow in the order of the plan, whatever came first."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n")
    for name in ("d", "x", "b", "e", "a", "c"):
        lockfile.merge(tmp_path, {name: {"cmd": f"echo {name}"}})
    assert lockfile.names(tmp_path, ["a"]) == ["d", "x", "b", "e", "a", "c"]
    lockfile.arrange(tmp_path, ["e", "b"], ["a", "b", "c", "d", "e", "f"])
    assert list(load_yaml(str(tmp_path / "dvc.lock"))["stages"]) == ["e", "b", "a", "c", "d", "x"]
    assert lockfile.entries(tmp_path, ["c", "f"]) == {"c": {"cmd": "echo c"}}


def test_notes_are_gathered_once(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n")
    lockfile.merge(tmp_path, {"a": {"cmd": "old"}, "b": {"cmd": "echo b"}})
    notes = tmp_path / lockfile.NOTES
    notes.mkdir(parents=True)
    (notes / "1.yaml").write_text("a: {cmd: echo a}\n")
    (notes / "2.yaml").write_text("studies/audit/dvc.yaml:c: {cmd: echo c}\n")
    (notes / "3.yaml.part").write_text("a: {cmd: half")  # by a step that was killed
    (tmp_path / "studies/audit").mkdir(parents=True)
    lockfile.gather(tmp_path)
    assert load_yaml(str(tmp_path / "dvc.lock"))["stages"] == {"a": {"cmd": "echo a"}, "b": {"cmd": "echo b"}}
    assert load_yaml(str(tmp_path / "studies/audit/dvc.lock")) == {"schema": "2.0", "stages": {"c": {"cmd": "echo c"}}}
    assert [path.name for path in notes.iterdir()] == ["3.yaml.part"]


def test_recording_takes_a_tenth_of_the_time_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, recorded = 0.0, []

    def gather(root: Path) -> None:
        nonlocal now
        recorded.append(now)
        now += 30.0

    monkeypatch.setattr(run.time, "monotonic", lambda: now)
    monkeypatch.setattr(run.lockfile, "gather", gather)
    look = run._looks(tmp_path, Lines(board("a"), Console(file=StringIO())))
    while now < 700.0:
        look()
        now += 1.0
    assert recorded == [60.0, 360.0, 660.0]


def test_a_plan_holds_what_is_out_of_date_and_what_follows(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(toy(tmp_path / "fresh").folder)
    fresh = plan(Path.cwd())
    assert [step.name for step in fresh.steps] == list(fresh.order) and sorted(fresh.order) == sorted(STAGES)
    assert [step.name for step in fresh.steps if not step.portable] == ["report"]
    assert {step.name: set(step.needs) for step in fresh.steps}["measure@1"] == {"train@a-1", "train@b-1"}
    owner = copied(finished(tmp_path_factory), tmp_path / "done")
    monkeypatch.chdir(owner.folder)
    (owner.folder / ".dvc/tmp/rwlock").write_text('{"write": {"a"')  # by a DVC that was killed
    assert plan(owner.folder).steps == () and set(plan(owner.folder).unchanged) == set(STAGES)
    (owner.folder / "params.yaml").write_text("rows: {a: 1, b: 2}\n")
    (owner.folder / "results/1.txt").unlink()
    edited = {step.name: step for step in plan(owner.folder).steps}
    assert set(edited) == {"train@b-0", "train@b-1", "measure@0", "measure@1", "report"}
    assert (set(edited["measure@0"].needs), set(edited["measure@0"].given)) == ({"train@b-0"}, {"train@a-0"})
    assert [step.name for step in plan(owner.folder, ["measure@1"]).steps] == ["train@b-1", "measure@1"]
    assert set(plan(owner.folder, ["train@a-0"], force=True).order) == {"prepare", "train@a-0"}
    with pytest.raises(InputError, match="DVC cannot plan this: .*nonsense"):
        plan(owner.folder, ["nonsense"])


def test_resources_of_a_kind() -> None:
    table = Table(Path("resources.yaml"))
    assert table.of("train-ir@NR_simple-0").gpus == 0.25 and table.of("prepare-data").gpus == 0
    assert table.of("studies/audit/dvc.yaml:run@jr-0") == table.of("anything")
    here = {"CPU": 2.0, "memory": 8.0 * GIB}
    assert Resources(4, 1, 16).within(here).options() == {"num_cpus": 2, "num_gpus": 0.0, "memory": 8 * GIB}
    assert Resources(1, 2, 1).within(here | {"GPU": 1.0}).gpus == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("train: {cpus: 1, gpus: 0, memory: 1}", "expected an entry `default`"),
        ("default: {cpus: 0, gpus: 0, memory: 1}", "default: cpus must be at least 1, got 0"),
        ("default: {cpus: 1, gpus: 1.5, memory: 1}", "default: gpus must be a fraction below 1 or a whole number, got 1.5"),
        ("default: {cpus: 1, gpus: 0}", "default lacks the key memory"),
        ("default: {cpus: 1, gpus: 0, memory: 1, tpus: 3}", "default has unknown keys tpus"),
    ],
)
def test_a_bad_table_is_refused_in_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "table.yaml").write_text(text)
    with pytest.raises(InputError, match=sentence):
        Table(tmp_path / "table.yaml")


def test_busy_files_are_waited_for_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dvc_patches.time, "sleep", lambda _: None)
    told = iter([LockError("a is busy"), LockError("a is busy"), None])

    def find() -> int:
        error = next(told)
        if error is not None:
            raise error
        return 7

    assert dvc_patches.patiently(find) == 7

    def never() -> None:
        raise LockError("b is busy,\n it is blocked")

    with pytest.raises(InputError, match="gave up after 0 s: b is busy, it is blocked"):
        dvc_patches.patiently(never, seconds=0)


def test_a_process_that_nobody_noticed_the_end_of_is_dead() -> None:
    with subprocess.Popen(["true"]) as process:
        end = time.monotonic() + 10
        while dvc_patches.lives(process.pid):
            assert time.monotonic() < end
        assert psutil.pid_exists(process.pid)
    assert dvc_patches.lives(os.getpid()) and not dvc_patches.lives(process.pid)


def test_a_second_run_is_told_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / ".dvc/tmp/parallel/driver.lock"
    with only_run(path), pytest.raises(InputError, match=f"process .* is at work in {tmp_path}"), only_run(path):
        pass
    with only_run(path):
        pass


def test_bad_words_are_refused_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words, sentence in ((["--workers", "2", "--address", "h:1"], "found no .dvc in"), (["--workers", "0"], "0 is not in the range")):
        result = CliRunner().invoke(parallel.main, words)
        assert result.exit_code in (1, 2) and sentence in result.output
    (tmp_path / ".dvc").mkdir()
    result = CliRunner().invoke(parallel.main, ["--workers", "2", "--address", "h:1"])
    assert result.exit_code == 1 and "--workers is for this machine alone" in result.output


@pytest.mark.parametrize(
    "address, sentence",
    [
        ("127.0.0.1:1", "expected a Ray cluster at 127.0.0.1:1: [Errno 111] Connection refused"),
        ("nonsense", "expected a Ray cluster at nonsense: Invalid address format: nonsense"),
    ],
)
def test_an_address_where_no_ray_is_is_refused_in_one_sentence(address: str, sentence: str) -> None:
    with pytest.raises(InputError) as error:
        engine.connect(address, None)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    "refusal", [RuntimeError("Version mismatch:\n  2.9"), ValueError("no"), OSError(28, "No space"), exceptions.RaySystemError("no")]
)
def test_what_ray_refuses_at_its_start_is_one_sentence(refusal: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise refusal

    monkeypatch.setattr(engine.ray, "init", refuse)
    monkeypatch.setattr(engine.session, "end_with_this", lambda: None)
    with pytest.raises(InputError, match="^expected Ray to start here: .+") as error:
        engine.connect(None, 1)
    assert "\n" not in str(error.value)


def test_a_folder_that_git_refuses_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="^git status failed: fatal: not a git repository.*$"):
        run._commit(tmp_path)


@pytest.mark.parametrize("case", ["50", "50:1", "50:1:0", "a:1:2", "1:2:3:4"])
def test_a_bad_case_of_the_cost_is_refused(case: str) -> None:
    result = CliRunner().invoke(parallel_cost.main, [case])
    assert result.exit_code == 2 and f"expected STAGES:SECONDS:WORKERS like 50:1:8, got {case}" in result.output
