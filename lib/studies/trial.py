"""One variant under one seed: trained and measured."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lib.studies import measures
from lib.studies.chain import Chain, under
from lib.studies.measure_file import Measures
from lib.studies.variant import Study, Targets, Variant

# The target set that every network is compared with, and the student that it makes: IR(R,SmG) in the paper's words.
REFERENCE = Variant("reference", "IR(R,SmG)", "train_ir", "R_smoothgrad", targets=Targets("R", "smoothgrad"))


def prepare(chain: Chain, teachers: list[str], methods: list[str]) -> None:
    """Make what most variants share: all teachers, their targets by each method, and the reference student."""
    with under({}):
        for teacher in teachers:
            for method in methods:
                chain.targets(Targets(teacher, method))
        chain.student(REFERENCE)


def of_seed(seed: int, images: Path, base: Path, variant: Variant, study: Study) -> Measures:
    """`trial` under one seed, with what prepare-studies left in the folder `base`."""
    with TemporaryDirectory() as folder:
        return trial(Chain(seed, images, Path(folder), base / str(seed)), variant, study)


def trial(chain: Chain, variant: Variant, study: Study, changes: dict[str, Any] | None = None) -> Measures:
    """Train and measure; `changes` go on top of the variant's own."""
    assert REFERENCE.targets is not None
    with under({}):
        reference = chain.targets(REFERENCE.targets)
    with under({**variant.change, **(changes or {})}):
        folder = chain.student(variant)
        targets = None if variant.targets is None else chain.targets(variant.targets)
    return measures.measures(folder, chain.images, targets, reference, study, variant, chain.seed)
