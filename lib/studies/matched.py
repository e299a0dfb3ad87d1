"""A variant at the strength that matches the reference's validation loss."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from lib.base import params
from lib.base.errors import require
from lib.studies import measures
from lib.studies.chain import Chain, under
from lib.studies.matching import Search, match
from lib.studies.measure_file import Measures
from lib.studies.trial import REFERENCE, trial
from lib.studies.variant import Study, Variant


def of_seed(seed: int, images: Path, base: Path, variant: Variant, study: Study, search: Search) -> Measures:
    """`matched` under one seed, with what prepare-studies left in the folder `base`."""
    with TemporaryDirectory() as folder:
        return matched(Chain(seed, images, Path(folder), base / str(seed)), variant, study, search)


def matched(chain: Chain, variant: Variant, study: Study, search: Search) -> Measures:
    """Search, train and measure under one seed; the notes also hold strength, trials, the reference's loss, and 1 where the search
    succeeded."""
    require(len(variant.scale) > 0, f"a variant must name in `scale` what the strength multiplies, {variant.label} names nothing")
    with under({}):
        wanted = measures.validation_loss(chain.student(REFERENCE))

    def loss(strength: float) -> float:
        with under(scaled(variant, strength)):
            return measures.validation_loss(chain.student(variant))

    found = match(loss, wanted, search)
    notes = {"strength": found.strength, "trials": found.trials, "wanted_loss": wanted, "matched": float(found.matched)}
    measured = trial(chain, variant, study, scaled(variant, found.strength))
    return replace(measured, notes=measured.notes | notes)


def scaled(variant: Variant, strength: float) -> dict[str, float]:
    """The variant's changes with every parameter in `scale` times `strength`."""
    with under(variant.change):
        values = {key: params.value(*key.split(".")) for key in variant.scale}
    return {**variant.change, **{key: value * strength for key, value in values.items()}}
