"""Two team members and a third project, over a folder, an S3 server and an SSH server: who pulls computes nothing again."""

import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from members import ROOT, Member, build_small_project, build_team_project, built_once, contents, edited, moved, moved_small, ran, typed
from project import SHIPPED
from remotes import Remote, serving
from ruamel.yaml import YAML

SET = "data/targets/0/R_smoothgrad.h5"
NAME = "targets-R_smoothgrad"
RESULTS = ("data", "models", "results/attacks", "results/transfer", "results/gradients")
SHARE = typed("docs/how-to/share-targets.md", "In five commands")
CHECK = "check@params"
STUDENT = {
    CHECK, "train-ir@R_smoothgrad-0", "evaluate-attacks@R_smoothgrad-0", "transfer-attacks@0", "measure-gradients@0", "report",
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_once(tmp_path_factory, "team", build_team_project)


@pytest.fixture
def team(finished: Path, tmp_path: Path) -> Path:
    """A bare repository and a clone of it in which everything has run."""
    return moved(finished, tmp_path / "team")


@pytest.fixture(params=["s3", "ssh"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Remote]:
    with serving(request.param, tmp_path) as served:
        print(f"remote: {served.server}")
        request.node.user_properties.append(("server", served.server))
        yield served


def change_lambda(member: Member) -> None:
    with edited(member.folder) as document:
        assert document["ir"]["R_smoothgrad"]["lambda_d"] != 7.0
        document["ir"]["R_smoothgrad"]["lambda_d"] = 7.0


def test_the_five_commands_of_sharing_work_word_for_word_in_fresh_clones(team: Path, tmp_path: Path) -> None:
    """The first two were typed by who computed, in `team`; the third is for a team mate, the fourth for a release, the last for anyone."""
    assert len(SHARE) == 5
    one = Member(tmp_path / "a", team / "one")
    two = Member(tmp_path / "b", tmp_path / "elsewhere/two", umask=0o077)
    two.clone(team / "origin.git")
    assert ran(two.do(SHARE[2])) == set()
    assert contents(two.folder, RESULTS) == contents(one.folder, RESULTS)
    assert os.stat(two.folder / SET).st_mode & 0o077 == 0

    two.do(SHARE[3])
    third = Member(tmp_path / "c", tmp_path / "third", environment={"REPOSITORY": str(team / "origin.git")})
    third.folder.mkdir()
    third.do("git init -q && dvc init -q && git commit -qm start")
    third.do(SHARE[4])
    third.do(f'dvc get -q "$REPOSITORY" {SET} --rev {NAME}@v1.0.0 -o got.h5')
    third.do(f'dvc import -q "$REPOSITORY" {SET} --rev {NAME}@v1.0.0 -o imported.h5')
    assert {(third.folder / f"{name}.h5").read_bytes() for name in ("R_smoothgrad", "got", "imported")} == {(one.folder / SET).read_bytes()}
    assert f"rev: {NAME}@v1.0.0" in (third.folder / "imported.h5.dvc").read_text()


def test_a_clone_computes_only_what_it_changes_and_takes_the_rest_from_others(team: Path, tmp_path: Path) -> None:
    two = Member(tmp_path / "b", tmp_path / "elsewhere/two", umask=0o027)
    two.clone(team / "origin.git")
    change_lambda(two)
    assert ran(two.do("dvc repro --pull")) == STUDENT
    two.do("dvc push -q --run-cache")  # and never commits

    three = Member(tmp_path / "d", tmp_path / "three", umask=0o077)
    three.clone(team / "origin.git")
    change_lambda(three)
    printed = three.do("dvc repro --pull")
    assert ran(printed) == {"report"}  # which has outputs that Git keeps, not DVC
    assert "Stage 'train-ir@R_smoothgrad-0' is cached" in printed
    assert contents(three.folder, RESULTS) == contents(two.folder, RESULTS)


def test_studies_that_nobody_has_run_do_not_stand_in_the_way_of_plain_commands(team: Path, tmp_path: Path) -> None:
    two = Member(tmp_path / "b", tmp_path / "elsewhere/two")
    two.clone(team / "origin.git")
    assert (two.folder / "studies/audit/dvc.yaml").exists()
    two.do("dvc pull && dvc checkout")
    assert "up to date" in two.do("dvc status")
    change_lambda(two)
    two.do("dvc exp save -n mine && git checkout -q . && dvc exp apply mine")
    assert "lambda_d: 7.0" in (two.folder / "params.yaml").read_text()


def test_a_team_works_over_a_server(remote: Remote, team: Path, tmp_path: Path) -> None:
    one = Member(tmp_path / "a", team / "one", environment=remote.environment)
    one.configure("repo", {"url": remote.url, **remote.shared})
    one.configure("local", remote.own)
    one.do(
        f"git commit -qam 'Move the store' && dvc push -q --run-cache && git tag -a {NAME}@v1.0.0 -m set && git push -q --tags origin main"
    )

    two = Member(tmp_path / "b", tmp_path / "elsewhere/two", umask=0o027, environment=remote.environment)
    two.clone(team / "origin.git", remote)
    change_lambda(two)
    assert ran(two.do("dvc repro --pull --allow-missing train-ir@R_smoothgrad-0")) == {CHECK, "train-ir@R_smoothgrad-0"}
    assert not (two.folder / "data/maps").exists()
    two.do("git checkout -q . && dvc pull -q")
    assert ran(two.do("dvc repro")) == set()
    assert contents(two.folder, RESULTS) == contents(one.folder, RESULTS)

    third = Member(tmp_path / "c", tmp_path / "anywhere", environment=remote.environment)
    third.folder.mkdir()
    own = " ".join(f"--remote-config {key}={value}" for key, value in remote.own.items())
    third.do(f"dvc artifacts get {team / 'origin.git'} {NAME} {own}")
    assert (third.folder / "R_smoothgrad.h5").read_bytes() == (one.folder / SET).read_bytes()

    remote.overwrite(object_of(one, SET), b"damaged")
    printed = one.fails("python -m tools.store verify --remote store --repair-remote")
    assert "1 corrupt; deleted 2 files" in printed  # the list of its folder too, or `dvc push` would look no further
    assert re.findall(r"^\w+: .*?:", printed, re.MULTILINE) == [f"corrupt: {SET}:"]


def object_of(member: Member, path: str) -> str:
    """Where a remote keeps the content of a file."""
    md5 = member.do(f"md5sum {path}").split()[0]
    return f"files/md5/{md5[:2]}/{md5[2:]}"


REFUSED = [
    ("true", "targets-R v1.0.0", "NAME must be one of the artifacts in dvc.yaml (targets-R_smoothgrad, targets-none), got 'targets-R'"),
    ("true", f"{NAME} 1", "a version must look like v1.0.0, got '1'"),
    (
        "true",
        "targets-none v1.0.0",
        f"dvc.lock records no output data/targets/0/none.h5, which targets-none stands for; of the artifacts in dvc.yaml it has {NAME}",
    ),
    ("echo >> params.yaml", f"{NAME} v1.0.0", "expected everything to be committed, but params.yaml is not"),
    ("echo phi: 2 > params.yaml && git commit -qam phi", f"{NAME} v1.0.0", f"{SET} is out of date: refine would run"),
    (f"rm {SET}", f"{NAME} v1.0.0", f"expected {SET}, found nothing there"),
    (f"echo >> {SET}", f"{NAME} v1.0.0", f"{SET} has the MD5"),
    ("true", f"{NAME} v1.0.0", f"{SET} is not in the remote store; run `dvc push {SET}` first"),
    (f"dvc push -q {SET} && echo >> $(find ../store -type f ! -name '*.dir')", f"{NAME} v1.0.0", f"{SET} is damaged in the remote store"),
    (f"git tag {NAME}@v1.0.0", f"{NAME} v1.0.0", "exists already"),
]


def test_a_release_is_refused_in_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = moved_small(built_once(tmp_path_factory, "small", build_small_project), tmp_path / "small")
    state = one.do("git rev-parse HEAD && cp -r data .. && rm -rf ../store").strip()
    for before, words, sentence in REFUSED:
        one.do(before)
        code, printed = one.tool(f"release {words}", monkeypatch)
        assert code == 1 and sentence in printed and "\n" not in printed[printed.index("Error: ") :].strip(), printed
        one.do(f"git reset -q --hard {state} && cp ../{SET} {SET} && rm -rf ../store")
    assert one.do("git tag").strip() == f"{NAME}@v1.0.0"


def test_every_artifact_names_a_target_set_of_the_first_seed() -> None:
    pipeline, params = (YAML(typ="safe").load(file.read_text()) for file in (ROOT / "dvc.yaml", SHIPPED))
    sets = [f"{teacher}_{method}" for teacher in params["saliency"]["teachers"] for method in params["saliency"]["methods"]]
    sets += [f"{params['permute']['source']}_{level}" for level in params["permute"]["fractions"]]
    named = {name: artifact["path"] for name, artifact in pipeline["artifacts"].items()}
    assert named == {f"targets-{name}": f"data/targets/{params['seeds'][0]}/{name}.h5" for name in sets}
    for artifact in pipeline["artifacts"].values():
        assert artifact["type"] == "dataset" and artifact["desc"] and artifact["labels"]


def test_a_server_ends_with_its_test(tmp_path: Path) -> None:
    with serving("ssh", tmp_path) as served:
        address = ("127.0.0.1", int(served.shared["port"]))
        socket.create_connection(address, timeout=5).close()
    end = time.monotonic() + 10  # the kernel ends the server's children in its own time
    while _listens(address) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _listens(address)


def _listens(address: tuple[str, int]) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(address) == 0
