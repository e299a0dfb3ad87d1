"""Records of environments: what they say, that they leave the results' bytes alone, and what the report makes of them."""

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import click
import h5py
import numpy as np
import pandas as pd
import pytest
import report_grid
import report_once
import torch
from click.testing import CliRunner, Result
from project import ROOT, all_stages, copy, edited
from project import run as call
from report_once import H100

from lib.base import environment, params
from lib.base.command import command, result
from lib.base.errors import InputError
from lib.report import provenance
from lib.report.results import Evidence
from lib.report.templates import rendered
from stages import prepare_data, train_jr

OTHER = {"commit": "c" * 40}


def maker(work: Callable[[], None] = lambda: None) -> click.Command:
    """A command that does `work` and writes the same result every time."""

    @command("A command for tests.")
    @result()
    def main(out: Path) -> None:
        work()
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text("result")

    return main


def make(out: str = "models/0/R", *words: str, work: Callable[[], None] = lambda: None, records: bool = True) -> Result:
    asked = ["--records", "results/environments"] if records else []
    return CliRunner().invoke(maker(work), ["--out", out, *asked, *words])


def said(path: str = "models/0/R") -> dict:
    return json.loads(Path(f"results/environments/{path}.json").read_text())


def commit(folder: Path) -> str:
    call("git add -A", folder)
    call("git commit -qm change --allow-empty", folder)
    return call("git rev-parse HEAD", folder).strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Git repository with code, parameters and a lock."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    call("git init -q", tmp_path)
    Path("lib").mkdir()
    Path("lib/code.py").write_text("1\n")
    Path(".gitignore").write_text("/results/\n/models/\n__pycache__/\n")
    Path("params.yaml").write_text("a: 1\n")
    Path("requirements.lock").write_text("torch==2.13.0\n")
    commit(tmp_path)
    return tmp_path


def test_a_record_says_what_is_known_of_versions_machine_and_code(project, monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "train-teacher@R-0")
    assert make().exit_code == 0
    assert said() == {
        "stage": "train-teacher@R-0",
        "torch": version("torch"),
        "torchvision": version("torchvision"),
        "h5py": h5py.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": f"{os.uname().sysname} {os.uname().machine}",
        "cuda": None,
        "device": f"cpu ({environment.cpu()})",
        "threads": torch.get_num_threads(),
        "commit": call("git rev-parse HEAD", project).strip(),
        "modified": False,
        "lock_sha256": hashlib.sha256(b"torch==2.13.0\n").hexdigest(),
    }
    assert environment.read(Path("results/environments/models/0/R.json")).stage == "train-teacher@R-0"


def test_a_record_names_no_time_user_or_host_so_that_it_is_written_alike_twice(project):
    make()
    before = Path("results/environments/models/0/R.json").read_bytes()
    Path("results/environments/models/0/R.json").unlink()
    make()
    assert Path("results/environments/models/0/R.json").read_bytes() == before
    assert platform.node() not in before.decode() and str(project) not in before.decode()
    assert list(said()) == sorted(said())


@pytest.mark.parametrize(
    ("file", "modified"),
    [
        ("lib/code.py", True),
        ("lib/new.py", True),
        ("stages/new.py", True),
        ("dvc.yaml", True),
        ("params.yaml", False),
        ("dvc.lock", False),
        ("README.md", False),
        ("lib/__pycache__/code.pyc", False),
    ],
)
def test_edits_count_where_they_are_code_that_dvc_does_not_note_by_value(project, file, modified):
    Path(file).parent.mkdir(exist_ok=True)
    Path(file).write_text("edited\n")
    make()
    assert said()["modified"] is modified


def test_a_commit_of_results_or_pages_leaves_the_commit_of_the_code(project):
    before = call("git rev-parse HEAD", project).strip()
    Path("README.md").write_text("words")
    Path("dvc.lock").write_text("results")
    commit(project)
    make()
    assert (said()["commit"], said()["modified"]) == (before, False)


def test_the_commit_is_the_one_that_the_command_began_with(project):
    before = call("git rev-parse HEAD", project).strip()

    def edit() -> None:
        Path("lib/code.py").write_text("2\n")
        commit(project)

    make(work=edit)
    assert (said()["commit"], said()["modified"]) == (before, False)


def test_without_git_or_lock_these_are_not_known(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for path in (os.environ["PATH"], ""):
        monkeypatch.setenv("PATH", path)
        assert make().exit_code == 0
        assert [said()[key] for key in ("commit", "modified", "lock_sha256")] == [None, None, None]


def test_a_gpu_is_named_only_where_torch_has_used_it(project, monkeypatch):
    cuda = SimpleNamespace(is_initialized=lambda: True, get_device_name=lambda device: {"cuda:1": "Second", None: "First"}[device])
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda, version=SimpleNamespace(cuda="13.0")))
    for device, name in (("cuda:1", "Second"), ("cpu", "First")):
        monkeypatch.setenv("DEVICE", device)
        make()
        assert (said()["cuda"], said()["device"], said()["threads"]) == ("13.0", name, None)
    cuda.is_initialized = lambda: False
    sys.modules["torch"].get_num_threads = lambda: 3  # type: ignore[attr-defined]
    make()
    assert (said()["cuda"], said()["device"], said()["threads"]) == (None, f"cpu ({environment.cpu()})", 3)


def test_commands_without_torch_write_records_without_importing_it(project):
    script = """if True:
        import sys
        from pathlib import Path
        from lib.base import environment
        from stages import permute, prepare_data, report, threshold
        with environment.recorded(Path("data/x.h5"), Path("results/environments")):
            pass
        assert "torch" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
    assert (said("data/x.h5")["torch"], said("data/x.h5")["threads"]) == (version("torch"), None)


def test_a_command_that_fails_writes_no_record(project):
    def fail() -> None:
        raise InputError("expected something else")

    assert make(work=fail).exit_code == 1
    assert not Path("results").exists()


def test_a_command_run_by_hand_keeps_a_record_true_and_makes_none(project, monkeypatch):
    make(records=False)
    assert not Path("results").exists()
    monkeypatch.setenv("DVC_STAGE", "train-teacher@R-0")
    make()
    monkeypatch.delenv("DVC_STAGE")
    Path("lib/code.py").write_text("2\n")
    make(records=False)
    assert (said()["stage"], said()["modified"]) == (None, True)


def test_a_record_replaces_a_link_and_leaves_what_it_leads_to(project):
    Path("cache").write_text("shared")
    Path("results/environments/models/0").mkdir(parents=True)
    Path("results/environments/models/0/R.json").symlink_to(project / "cache")
    make()
    assert Path("cache").read_text() == "shared"
    assert said()["cuda"] is None
    assert [path.name for path in Path("results/environments/models/0").iterdir()] == ["R.json"]


def test_a_result_outside_of_the_project_gets_no_record_and_one_sentence(project, tmp_path_factory):
    out = tmp_path_factory.mktemp("elsewhere") / "R"
    refused = make(str(out))
    assert refused.exit_code == 1 and "must lie below the current folder" in refused.output and len(refused.output.splitlines()) == 1
    assert not out.exists() and not Path("results").exists()
    assert make(str(out), records=False).exit_code == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "x.json is not valid JSON"),
        ("[]", "x.json must be a JSON object, got"),
        (json.dumps(report_grid.record(user="me")), "x.json has unknown keys user"),
        (json.dumps(report_grid.record(device=1)), "x.json.device must be a text, got 1"),
    ],
)
def test_what_is_no_record_is_refused_in_one_sentence(tmp_path, monkeypatch, text, sentence):
    monkeypatch.chdir(tmp_path)
    Path("x.json").write_text(text)
    with pytest.raises(InputError) as error:
        environment.read(Path("x.json"))
    assert sentence in str(error.value) and "\n" not in str(error.value)


def test_another_commit_makes_the_same_bytes_and_another_record(tmp_path, monkeypatch):
    monkeypatch.chdir(copy(tmp_path))
    with edited(tmp_path) as document:
        document["data"].update(train=40, validation=20, test=20)
        document["model"]["width"] = 0.06
        document["training"].update(epochs=1, batch_size=20)
    params.parsed.cache_clear()
    call("git init -q", tmp_path)
    made = []
    for text in ("", "# another commit\n"):
        with Path("lib/gradients/alignment.py").open("a") as file:
            file.write(text)
        head = commit(tmp_path)
        records = ["--records", "results/environments"]
        assert CliRunner().invoke(prepare_data.main, ["--out", "data/x.h5", *records]).exit_code == 0
        assert CliRunner().invoke(train_jr.main, ["JR", "0", "--images", "data/x.h5", "--out", "models/0/JR", *records]).exit_code == 0
        results = {path: path.read_bytes() for path in [Path("data/x.h5"), *Path("models/0/JR").iterdir()]}
        made.append((results, said("data/x.h5"), said("models/0/JR"), head))
    (first, *records_before, old), (second, *records_now, new) = made
    assert len(first) == 5 and first == second
    for before, now in zip(records_before, records_now):
        assert (before["commit"], now["commit"]) == (old, new) and old != new
        assert before | {"commit": new} == now


def test_the_report_looks_for_exactly_the_records_that_the_stages_declare(shipped):
    params.parsed.cache_clear()
    outs = [out.def_path for stage in all_stages() if stage.path_in_repo == "dvc.yaml" for out in stage.outs]
    declared = {path for path in outs if path.startswith("results/environments/")}
    assert {str(environment.place(Path(path))) for path in provenance.results("mnist5k")} == declared


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, Evidence]:
    """A finished grid without records, and its evidence, which is only read."""
    folder = tmp_path_factory.mktemp("grid")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        report_grid.make()
        return folder, report_grid.read()


@pytest.fixture
def evidence(made, monkeypatch) -> Evidence:
    monkeypatch.chdir(made[0])
    params.parsed.cache_clear()
    return made[1]


def records(changes: dict[str, dict | None] | None = None, **everywhere: object) -> pd.DataFrame:
    """A record of every result, `changes` by path on top of what is said everywhere; None removes one."""
    lines = []
    for path, kind in provenance.results("mnist5k").items():
        change = (changes or {}).get(path, {})
        record = dict.fromkeys(["stage", *provenance.FIELDS]) if change is None else report_grid.record(**everywhere | change)
        known = [record[field] for field in provenance.FIELDS]
        lines.append((path, kind, record["stage"], "" if change is None else provenance.identity(known), *known))
    return pd.DataFrame(lines, columns=["path", "kind", "stage", "environment", *provenance.FIELDS], dtype=object)


def test_rows_of_one_environment_are_said_to_be_so_in_one_sentence(evidence):
    origin = provenance.origin(evidence, records())
    assert (origin.level, origin.differ, origin.groups, origin.missing) == ("same", [], [], [])
    assert provenance.said(origin) == "All rows of the table were made in the same environments."


def test_targets_thresholded_on_the_cpu_of_a_gpu_machine_are_no_difference_between_rows(evidence):
    on_cpu = {path: {"threads": None} for path, kind in provenance.results("mnist5k").items() if kind == "targets"}
    on_gpu = {path: H100 for path in provenance.results("mnist5k") if path not in on_cpu}
    made = records(on_cpu | on_gpu)
    assert provenance.origin(evidence, made).level == "same"
    assert [counts["targets"] for counts in provenance.environments(made)["made"] if "targets" in counts] == [2]


STUDENTS = ("IR(R,perm,SmG)", "IR(NR,simp)", "IR(NR,SmG)", "IR(R,simp)", "IR(R,SmG)")


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"torch": "2.14.0"}, "torch"),
        (H100, "CUDA and device"),
        ({"lock_sha256": "d" * 64}, "lock"),
        ({"threads": 1}, "threads"),
        ({"torch": "2.14.0", **H100, **OTHER}, "torch, CUDA and device"),
    ],
)
@pytest.mark.parametrize(
    ("path", "step", "rows"),
    [
        ("models/1/JR", "training", {"JR": [1]}),
        ("results/attacks/0/NR.h5", "evaluation", {"Standard": [0]}),
        ("data/maps/0/R_simple.h5", "maps", {"IR(R,simp)": [0]}),
        ("data/targets/0", "targets", dict.fromkeys(STUDENTS, [0])),
    ],
)
def test_rows_that_differ_are_named_with_the_step_and_what_differs(evidence, change, fields, path, step, rows):
    origin = provenance.origin(evidence, records({path: change}))
    assert origin.level == "mixed"
    assert provenance.said(origin) == f"Rows of the table were made in different environments, which differ in {fields}."
    assert {group["step"] for group in origin.groups} == {step} and len(origin.groups) == 2
    assert rows in [group["rows"] for group in origin.groups]


def test_maps_of_the_source_count_for_the_permuted_row_too(evidence):
    origin = provenance.origin(evidence, records({f"data/maps/{seed}/R_smoothgrad.h5": H100 for seed in (0, 1)}))
    assert {group["device"]: list(group["rows"]) for group in origin.groups} == {
        "NVIDIA H100": ["IR(R,perm,SmG)", "IR(R,SmG)"],
        "cpu (Made up)": ["IR(NR,simp)", "IR(NR,SmG)", "IR(R,simp)"],
    }


@pytest.mark.parametrize(
    ("change", "shown"), [(OTHER, "commit ccccccc"), ({"modified": True}, ""), (OTHER | {"modified": True}, "with edits")]
)
def test_a_difference_in_the_commit_alone_is_said_quietly(evidence, change, shown):
    made = records({"models/0/JR": change})
    origin = provenance.origin(evidence, made)
    facts = {"said": "", "origin": origin, "environments": provenance.environments(made), "lost": [], "records": 0, "settings": {}}
    assert shown in rendered("provenance.html.j2", facts=facts | {"seeds": evidence.seeds}).partition("</tbody>")[0]
    assert origin.level == "commit" and set(origin.differ) <= set(provenance.QUIET)
    assert provenance.said(origin) == "The rows of the table were made by different commits of the code, otherwise alike."


def test_gradients_and_transfer_are_in_no_table_of_rows(evidence):
    assert provenance.origin(evidence, records({"results/gradients/0.h5": H100, "results/transfer/1": H100})).level == "same"


def test_what_has_no_record_is_said_and_no_error(evidence):
    origin = provenance.origin(evidence, records({"models/0/JR": None, "data/maps/1/R_simple.h5": None}))
    assert (origin.level, origin.missing) == ("same", [("training", "JR", 0), ("maps", "IR(R,simp)", 1)])
    assert provenance.said(origin) == (
        "The recorded rows of the table were made in the same environments. "
        "Not recorded: training of JR (seed 0), maps of IR(R,simp) (seed 1)."
    )
    nothing = provenance.origin(evidence, records(dict.fromkeys(provenance.results("mnist5k"))))
    assert nothing.level == "unknown" and provenance.said(nothing).endswith("is not recorded.")


def test_an_id_names_everything_but_the_stage():
    ids = {key: provenance.identity([report_grid.record(**change)[field] for field in provenance.FIELDS]) for key, change in CHANGES}
    assert ids["nothing"] == ids["stage"]
    assert len(set(ids.values())) == len(CHANGES) - 1


CHANGES = [("nothing", {}), ("stage", {"stage": "other@0"})] + [
    (key, {key: value})
    for key, value in {
        "torch": "2", "torchvision": None, "h5py": "3", "numpy": "2", "python": "3.12", "platform": "Linux aarch64", "cuda": "13.0",
        "device": "NVIDIA H100", "threads": 1, "commit": None, "modified": True, "lock_sha256": "d" * 64,
    }.items()
]  # fmt: skip


def test_page_and_tables_tell_several_environments_apart(tmp_path_factory, monkeypatch):
    monkeypatch.chdir(report_once.made(tmp_path_factory))
    assert "Rows of the table were made in different environments, which differ in CUDA and device." in Path("printed").read_text()
    page = Path("report/index.html").read_text()
    assert page.count("Rows of the table were made in different environments, which differ in CUDA and device.") == 2
    lines = pd.read_csv("report/environments.csv", keep_default_na=False, dtype=str).set_index("path")
    assert set(lines.index) == set(provenance.results("mnist5k"))
    here, there = lines.loc["models/0/NR", "environment"], lines.loc["results/transfer/0", "environment"]
    assert set(lines["environment"]) == {here, there, ""} and lines.loc["models/0/JR", "environment"] == ""
    assert (lines.loc["models/0/NR", "threads"], lines.loc["results/transfer/0", "device"]) == ("2", "NVIDIA H100")
    assert here in page and there in page and f"1 of {len(lines)} results have no record: models/0/JR" in page
    accuracies = pd.read_csv("report/results.csv", keep_default_na=False)
    is_jr = (accuracies["technique"] == "JR") & (accuracies["seed"] == 1) & (accuracies["semantics"] != "transfer")
    is_shown = (accuracies["seed"] == 0) & (accuracies["semantics"] == "transfer")
    assert list(accuracies["environment"] == there) == list(is_jr | is_shown)
    assert set(accuracies["environment"]) == {here, there}
