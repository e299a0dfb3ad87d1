"""What is said after `dvc repro`: what ran, what came from the cache, how long it took, where report and log are."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from project import ROOT, SHIPPED

from tools import summary

LOG = """\
'data.dvc' didn't change, skipping
Stage 'prepare-data' didn't change, skipping
Stage 'train-teacher@R-0' didn't change, skipping
Running stage 'train-ir@R_simple-0':
> python -m stages.train_ir R_simple 0
training:  50% 160/320 [00:10<00:10, 16.0step/s]
Updating lock file 'dvc.lock'

Stage 'train-ir@R_simple-1' is cached - skipping run, checking out outputs
Running stage 'report':
> python -m stages.report
Use `dvc push` to send your updates to remote storage.
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STAGE_TIMES", raising=False)
    Path("repro.log").write_text(LOG)
    times = [("train-ir@R_simple-0", 2.0, 30.0), ("report", 1.0, 4.0)]
    Path("times.jsonl").write_text("".join(json.dumps({"stage": name, "startup": one, "work": two}) + "\n" for name, one, two in times))
    return tmp_path


def said(*words: str) -> Result:
    return CliRunner().invoke(summary.main, words)


def test_it_counts_what_ran_what_was_cached_and_what_was_up_to_date(folder):
    printed = said("repro.log", "--times", "times.jsonl", "--seconds", "45").output
    assert printed.startswith(
        "2 stages ran, 1 came from the cache, 2 were up to date: 45 s in all, 34 s of work, 3 s to start processes, 8 s DVC"
    )
    table = {line.split()[0]: line.split()[1:] for line in printed.splitlines()[2:] if line}
    assert table["train-ir"] == ["1", "1", "30.0", "30.0"]
    assert table["train-ir@R_simple-0"] == ["30.0", "2.0"]
    assert "Everything that was printed: repro.log" in printed


def test_it_says_where_the_report_is_and_whether_it_is_new(folder):
    assert "There is no report/index.html yet." in said("repro.log").output
    Path("report").mkdir()
    Path("report/index.html").write_text("")
    assert "The report is report/index.html, made anew." in said("repro.log").output
    Path("repro.log").write_text("Stage 'report' didn't change, skipping\nData and pipelines are up to date.\n")
    assert said("repro.log").output.splitlines()[0] == "0 stages ran, 0 came from the cache, 1 were up to date."
    assert "The report is report/index.html, as it was before." in said("repro.log").output


def test_a_stage_that_failed_is_named_and_the_report_is_called_old(folder):
    Path("repro.log").write_text(LOG + "ERROR: failed to reproduce 'report': failed to run: python -m stages.report 'x', exited with 1\n")
    printed = said("repro.log").output
    assert "FAILED: report. What follows from it was not made; report/index.html is as it was before." in printed
    assert "made anew" not in printed


def test_by_hand_it_needs_only_the_file_that_stage_times_named(folder, monkeypatch):
    before = Path("times.jsonl").read_text()
    monkeypatch.setenv("STAGE_TIMES", "times.jsonl")
    assert "34 s of work, 3 s to start processes." in said().output
    assert Path("times.jsonl").read_text() == before


def test_stages_of_a_study_are_known_without_the_file_that_they_stand_in(folder):
    Path("repro.log").write_text("Running stage 'studies/audit/dvc.yaml:report':\n")
    assert "4 s of work" in said("repro.log", "--times", "times.jsonl").output


@pytest.mark.parametrize(
    ("words", "times", "sentence"),
    [
        ([], "", "expected a log of dvc repro, or --times"),
        (["--times", "times.jsonl"], "{", "expected stage, startup and work in line 1 of times.jsonl, got '{'"),
        (["--times", "times.jsonl"], '{"stage": "a"}', "expected stage, startup and work in line 1 of times.jsonl"),
    ],
)
def test_what_it_cannot_read_is_refused_in_one_sentence(folder, words, times, sentence):
    Path("times.jsonl").write_text(times)
    result = said(*words)
    assert result.exit_code == 1 and sentence in result.output and len(result.output.splitlines()) == 1


@pytest.mark.parametrize("status", [0, 3])
def test_make_repro_keeps_a_log_ends_with_the_summary_and_has_the_status_of_dvc(tmp_path, status):
    programs = tmp_path / ".venv/bin"
    programs.mkdir(parents=True)
    for name in ("lib", "stages", "tools", "Makefile", "presets.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copy(SHIPPED, tmp_path / "params.yaml")
    (tmp_path / "requirements.lock").write_text("")
    (tmp_path / ".venv/ready").write_text("")
    (programs / "python").symlink_to(sys.executable)
    line = '{"stage": "report", "startup": 1, "work": 2}'
    (programs / "dvc").write_text(
        f"#!/bin/sh\necho \"Running stage 'report':\"; echo sighs >&2\necho '{line}' >> $STAGE_TIMES\nexit {status}\n"
    )
    (programs / "dvc").chmod(0o755)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(["make", "repro"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode == 0) == (status == 0), done.stderr
    (log,) = (tmp_path / ".logs").glob("*.log")
    assert log.read_text() == "Running stage 'report':\nsighs\n"
    assert "1 stages ran" in done.stdout and "2 s of work" in done.stdout and f".logs/{log.name}" in done.stdout
