"""Every page that shows commands or code is followed to its end on a tiny scale, each in a project of its own, with the report.

They take minutes, so `make test` leaves them out; `pytest -m walk` runs them.
"""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from members import built_once
from PIL import Image
from project import ROOT, copy, copy_studies, start
from ruamel.yaml import YAML
from walk import Block, Walk, blocks, project

# Networks of so few images have gradients that are zero somewhere, and so no cosine there.
pytestmark = [pytest.mark.walk, pytest.mark.filterwarnings("ignore:invalid value encountered in divide:RuntimeWarning")]
ROWS = ("NR", "R", "R_simple", "R_smoothgrad", "R_smoothgrad_perm50")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which the README's first commands have been given."""
    return built_once(tmp_path_factory, "walks", build) / "project"


def build(place: Path) -> None:
    folder = place / "project"
    folder.mkdir()
    copy(folder)
    copy_studies(folder)
    for study in (folder / "results/published").glob("*/"):  # half of the report's work
        shutil.rmtree(study)
    for name in ("tools", "scales", "tests", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "pyproject.toml", "resources.yaml", "README.md"):
        shutil.copy(ROOT / name, folder / name)
    for scale in folder.glob("scales/*.yaml"):
        YAML().dump(shrunk(), scale)
        scale.write_text(scale.read_text() + f"# {scale.stem}\n")
    shutil.copy(folder / "scales/quick.yaml", folder / "params.yaml")
    start(folder)  # which empties .dvc
    shutil.copytree(ROOT / ".dvc/plots", folder / ".dvc/plots")
    with project(folder):
        for command in ("dvc repro", "git add -A", "git commit -qm finished"):
            Walk(folder).do(command)


LITTLE = {
    "data": {"train": 80, "validation": 20, "test": 40},
    "model": {"width": 0.06},
    "training": {"epochs": 2, "batch_size": 20},
    "evaluation": {"images": 20},
    "gradients": {"images": 30, "examples": 4},
    "report": {"gallery": 2},
}


def shrunk() -> dict:
    """The quick scale with little of everything."""
    document = YAML(typ="safe").load((ROOT / "scales/quick.yaml").read_text())
    document["seeds"] = [0]
    for section, values in LITTLE.items():
        document[section].update(values)
    document["rows"] = {row: document["rows"][row] for row in ROWS}
    document["ir"] = {row: document["ir"][row] for row in ROWS if row in document["ir"]}
    for row in document["ir"].values():
        row["lambda_m"] = 0.67082  # 0.15 times the root of the batch size, as preset strict has it
    document["at"], document["jr"], document["permute"]["fractions"] = {}, {}, {"perm50": 0.5}
    del document["teachers"]["R"]["epochs"]
    document["saliency"].update(teachers=["R"], batch_size=40)
    document["saliency"]["accuracy"]["images"] = 20
    document["saliency"]["methods"]["smoothgrad"]["samples"] = 2
    document["saliency"]["methods"] = {name: document["saliency"]["methods"][name] for name in ("simple", "smoothgrad")}
    document["attacks"]["search"].update(gradients=15, classes=3, steps=4)
    document["attacks"]["paper"].update(steps=3, runs=2)
    document["attacks"]["referee"].update(iterations=2, targets=1, queries=3, images=3)
    document["attacks"]["probes"].update(images=20, draws=2)
    document["transfer"].update(sources=["NR", "R"], steps=3, images=10)
    return document


# Typed in place of what stands there, and why.
INSTEAD: dict[str, list[str]] = {
    'git clone "$REPOSITORY" project': [],  # the walk begins in a clone, in its environment
    "cd project": [],
    "make env": [],
    "source .venv/bin/activate": [],
    "git commit": ["git commit -qm published"],  # opens an editor
    "make parallel": [],  # Ray: tests/test_parallel.py
    "make repro": ["dvc repro"],  # the same with a log
    "make test": [],  # this is it
    "dvc queue start": [],  # goes on in the background for minutes; its experiments are those of `dvc exp run`
    "dvc exp remove -A": [],  # the page goes on with one of them
    "dvc exp diff fired-puns lam2": ["dvc exp diff HEAD lam2"],  # the reader's names
    "python -m tools.compare HEAD lam05": ["python -m tools.compare HEAD lam2"],
    "dvc plots diff HEAD lam05": ["dvc plots diff HEAD lam2"],
    'STAGE_TIMES="$PWD/times.jsonl" dvc repro': ['STAGE_TIMES="$PWD/times.jsonl" dvc repro -f -s permute-targets'],  # something runs
    "make clean": ["dvc repro", "git checkout params.yaml", "make clean"],  # the sentences before: train the row, then delete its entries
    "cd <your project>": [],  # one folder is both
    "python -m tools.publish run mnist --from <the clone>": ["python -m tools.publish run mnist --from ."],
}
PUT = {
    "seeds: [0, 1, 2]": "seeds: [0]",  # three times the work
    "train: 4000": "train: 60", "validation: 500": "validation: 20", "test: 1000": "test: 20",  # of 100 photos
    "train: 1000": "train: 80", "validation: 300": "validation: 20", "test: 497": "test: 40",
    "momentum: {seed: 0, steps: 40": "momentum: {seed: 0, steps: 3",
}  # fmt: skip


@pytest.fixture
def walk(finished: Path, tmp_path: Path) -> Iterator[Walk]:
    with project(folder := shutil.copytree(finished, tmp_path / "project", symlinks=True)):
        yield Walk(folder, INSTEAD, PUT)


def photos(folder: Path) -> None:
    """Ten images of 28x28 in each of ten folders, told apart by their brightness."""
    noise = np.random.default_rng(0)
    for label, number in np.ndindex(10, 10):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise.integers(0, 30, (28, 28), np.uint8) + np.uint8(20 * label)).save(folder / str(label) / f"{number}.png")


def table(walk: Walk) -> str:
    return (walk.folder / "report/table1.md").read_text()


def test_the_tutorial(walk: Walk) -> None:
    walk.follow("docs/tutorial.md")
    assert "IR(R,avg)" in table(walk)
    assert r"one\_step" in table(walk)  # as Markdown has it


@pytest.mark.parametrize(
    "page, shown",
    [
        ("docs/how-to/add-an-attack.md", "momentum"),
        ("docs/how-to/add-a-saliency-method.md", "IR(R,IG)"),
        ("docs/how-to/add-an-objective.md", "GR"),
        ("docs/how-to/add-an-architecture.md", "Standard"),
    ],
)
def test_code_that_a_page_adds_is_carried_into_the_report(page: str, shown: str, walk: Walk) -> None:
    if "objective" in page:  # two sentences of the page, on the report and on a test
        replaced(walk.folder / "lib/report/rows.py", '"ir": "interpretation"}', '"ir": "interpretation", "gr": "input_gradient"}')
        replaced(walk.folder / "tests/test_pipeline.py", '"train-ir": ("ir",)', '"train-ir": ("ir",), "train-gr": ("gr",)')
        walk.by_hand["train-gr:"] = lambda block: listed_in_report(walk, block)
    walk.follow(page)
    assert shown in table(walk)
    if "architecture" in page:
        assert json.loads((walk.folder / "models/0/NR/model.json").read_text())["model"]["architecture"] == "mlp"


def listed_in_report(walk: Walk, block: Block) -> None:
    """The stage, and the sentence behind it: `gr` is a parameter of the stage report."""
    walk.set(block)
    replaced(walk.folder / "dvc.yaml", "at, jr, ir, saliency", "at, jr, ir, gr, saliency")


def replaced(file: Path, old: str, new: str) -> None:
    assert old in file.read_text(), file
    file.write_text(file.read_text().replace(old, new))


@pytest.mark.parametrize(
    "page",
    [
        "docs/how-to/add-a-target-source.md",
        "docs/how-to/add-a-null.md",
        "docs/how-to/train-on-other-targets.md",
        "docs/how-to/work-with-target-files.md",
        "data/README.md",
        "docs/decisions/README.md",
    ],
)
def test_commands_and_code_of_a_page_run_and_the_pipeline_after_them(page: str, walk: Walk) -> None:
    np.save("mine.npy", np.random.default_rng(0).standard_normal((80, 1, 28, 28)))
    walk.fails = ("python -m tools.targets diff",)
    walk.follow(page)
    walk.do("dvc repro")


def test_change_and_compare(walk: Walk) -> None:
    walk.follow("docs/how-to/change-and-compare.md")
    walk.do("dvc exp remove -A")
    assert (walk.folder / "comparison/index.html").exists() and (walk.folder / "dvc_plots/index.html").exists()


def test_a_dataset_of_photos_and_one_of_code(walk: Walk) -> None:
    photos(walk.folder / "photos")
    Image.new("LA", (12, 12)).save(walk.folder / "ink.png")
    walk.put = PUT | {"/path/to/photos": str(walk.folder / "photos"), "image_size: 32": "image_size: 28"}
    datasets = walk.folder / "lib/images/datasets.py"
    entry = "SOURCES: dict[str, Callable[[Data], Source]] = {"
    walk.by_hand["def digits(data: Data) -> Source:"] = lambda block: replaced(datasets, entry, f"{block.content}\n\n{entry}")
    walk.by_hand[entry] = lambda block: replaced(datasets, entry, f'{entry}"digits": digits, ')
    replaced(walk.folder / "tests/test_datasets.py", "one of mnist5k,", "one of digits, mnist5k,")  # the page's last sentence
    walk.follow("docs/how-to/add-a-dataset.md")
    walk.do("dvc repro")


def test_evaluate_your_model(walk: Walk) -> None:
    photos(walk.folder / "photos")
    walk.names = {"images": np.zeros((3, 1, 28, 28), np.uint8), "labels": np.arange(3), "source_rows": np.arange(3)}
    page = "docs/how-to/evaluate-your-model.md"
    (elsewhere,) = (line for block in blocks(page) for line in block.content.splitlines() if line.startswith("PYTHONPATH="))
    walk.instead = {elsewhere: [f"{elsewhere.partition(' ')[2]}/photos"]}  # the reader's folder is this one, and holds the other results
    walk.follow(page)
    assert (walk.folder / "evaluated/lenet/gate.json").exists()


def test_share_out_an_evaluation(walk: Walk) -> None:
    replaced(walk.folder / "params.yaml", "evaluation:\n  images: 20\n  batch_size: 192", "evaluation:\n  images: 40\n  batch_size: 1")
    walk.follow("docs/how-to/share-out-an-evaluation.md")
    walk.do("dvc repro")


def test_publish_results(walk: Walk) -> None:
    (walk.folder / "results/studies").mkdir(parents=True)
    shutil.copy(ROOT / "results/published/audit/measures.csv", walk.folder / "results/studies/audit.csv")
    shutil.copy(ROOT / "results/published/audit/params.yaml", walk.folder / "studies/audit/params.yaml")  # as it was when it was measured
    walk.follow("docs/how-to/publish-results.md")
    assert json.loads((walk.folder / "results/published/mnist/about.json").read_text())["complete"]


def test_release_targets(walk: Walk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = tmp_path / "origin.git"
    for command in (f"git clone -q --bare . {origin}", f"git remote add origin {origin}", f"dvc remote add -q -d store {tmp_path}/store"):
        walk.do(command)
    walk.do("git push -q --set-upstream origin HEAD")
    monkeypatch.setenv("REPOSITORY", str(origin))
    get = [line for block in blocks("docs/how-to/release-targets.md") for line in block.content.splitlines() if "--rev" in line]
    bare = [re.sub(r"\s+#.*", "", line) for line in get]
    walk.instead = INSTEAD | {command: [f"{command} --force"] for command in bare} | {  # other ways to the same file
        "dvc push": ["git commit -qam 'An entry, and a remote'", "dvc push"],  # the page takes for granted that everything is committed
        "python -m tools.targets verify ../R_smoothgrad.h5": ["python -m tools.targets verify R_smoothgrad.h5"],  # here is a clone
    }  # fmt: skip
    walk.follow("docs/how-to/release-targets.md")


# Pages that another test follows, and why this one does not.
ELSEWHERE = {
    "README.md": "the tutorial types the same commands",
    "docs/how-to/when-something-is-wrong.md": "test_damage.py: every case",
    "docs/how-to/share-targets.md": "test_team.py (its five commands word for word), test_shared_cache.py: other people, other machines",
    "docs/how-to/run-in-parallel.md": "test_parallel.py, test_cluster.py: Ray",
    "docs/how-to/run-on-slurm.md": "test_cluster.py, with stand-ins for srun and scontrol",
    "docs/how-to/run-on-a-gpu.md": "builds of torch, and devices that are not here",
    "docs/how-to/train-on-several-gpus.md": "test_distributed.py: processes",
    "docs/how-to/run-a-study.md": "test_study_pipeline.py, test_studies.py: half an hour",
    "docs/stages.md": "commands that only name things",
    "docs/audit.md": "half an hour",
    "docs/attack-cost.md": "measurements of hours; test_attack_cost.py",
    "docs/confident-networks.md": "measurements of hours",
    "docs/training-speed.md": "measurements; test_step_cost.py",
    "CONTRIBUTING.md": "the environment of this test",
}
