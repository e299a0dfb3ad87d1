"""The contrasts on grids whose answers are known beforehand."""

from dataclasses import replace

import numpy as np
import pytest
from claim_grid import LEAD, make

from lib.report import contrasts
from lib.report.rows import rows
from lib.report.verdicts import CANNOT_TELL
from lib.statistics import holm


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_single_seed_that_disagrees_leaves_a_claim_open():
    def share(row, column, seed):
        return {"R_smoothgrad": 0.9, "JR": 0.91 if seed == 2 else 0.2}.get(row, 0.5)

    evidence = make(share)
    lead = next(one for one in contrasts.contrasts(evidence) if one.pair.name == contrasts.JACOBIAN)
    assert lead.adjusted < 0.001 and lead.agreeing == 2 and lead.verdict == CANNOT_TELL


def test_contrasts_count_and_test_what_the_images_say():
    """At 200 images, 0.9 against 0.55: 70 images in one direction only, in each of three seeds that all agree."""
    [lead] = [
        one
        for one in contrasts.contrasts(make(LEAD))
        if one.pair.name == contrasts.JACOBIAN and one.column.semantics == "strict" and one.column.epsilon == 0.2
    ]
    assert [(count.first, count.second) for count in lead.counts] == [(70, 0)] * 3 and lead.total.g == 0.5
    assert lead.difference.points == pytest.approx(35) and lead.points == pytest.approx((35, 35, 35))
    assert lead.p == pytest.approx(2 * 2.0**-70, rel=1e-6) and lead.half_width == 0 and lead.agreeing == 3
    assert lead.name == "IR(R,SmG) − JR at L∞ 0.2"


def test_contrasts_are_corrected_over_all_of_one_semantics():
    random = np.random.default_rng(0)

    def share(row, column, seed):
        return random.uniform(0.4, 0.6)

    family = contrasts.contrasts(make(share))
    for semantics in ("paper", "strict"):
        part = [one for one in family if one.column.semantics == semantics]
        assert [one.adjusted for one in part] == holm([one.p for one in part])
        assert len(part) == 47


def test_contrasts_are_of_the_images_that_both_rows_were_attacked_on():
    family = contrasts.contrasts(make(LEAD, semantics=("strict", "autoattack"), asked=120))
    assert {one.column.semantics: one.images for one in family} == {"strict": 200, "autoattack": 120}
    [lead] = [one for one in family if one.pair.name == contrasts.CONTENT and one.column.semantics == "autoattack"]
    assert (lead.difference.first, lead.difference.second) == (1.0, 0.75) and lead.total.first == 3 * 30


def test_rows_are_compared_within_their_group_only():
    for pair in contrasts.pairs(make({}, scale="cifar10")):
        groups = {rows()[row].group for row in (pair.first, pair.second)} - {"none"}
        assert len(groups) == 1, pair


def test_majority_of_runs_decides_for_mcnemar_while_the_difference_keeps_the_shares():
    evidence = make(LEAD)
    scores = {key: {seed: one * 2 / 3 for seed, one in seeds.items()} for key, seeds in evidence.per_seed.items()}
    whole, part = contrasts.contrasts(evidence)[0], contrasts.contrasts(replace(evidence, per_seed=scores))[0]
    assert part.counts == whole.counts and part.difference.points == pytest.approx(whole.difference.points * 2 / 3)
