"""The claims on grids whose answers are known beforehand."""

import pandas as pd
import pytest
import study_grid
from claim_grid import LEAD, make

from lib.report import claims, comparisons, published
from lib.report.claims import every, most
from lib.report.comparisons import CANNOT_TELL, CONTRADICTED, NOT_TESTED, SUPPORTED

GRADIENTS = ""
COMPARED = {
    claim["key"] for claim in claims.stated() if claim["measure"] in ("radius", "accuracy") and not {"also", "study"} & claim.keys()
}
ABOUT_CIFAR = {"jacobian_cifar10", "divergence"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def found(*arguments, study=(), **changes) -> pd.DataFrame:
    evidence = make(*arguments, **changes)
    return claims.claims(evidence, [*comparisons.of_run(evidence), *study])


def verdicts(found: pd.DataFrame, semantics: str = "strict") -> dict[str, str]:
    tested = found[(found["semantics"] == semantics) & (found["reason"] == "")]
    return dict(zip(tested["claim"], tested["verdict"]))


def untested(found: pd.DataFrame) -> dict[str, str]:
    """Claim -> why it is not tested."""
    return {claim: reason for claim, reason in zip(found["claim"], found["reason"]) if reason}


@pytest.mark.parametrize("semantics", ["paper", "strict"])
def test_where_the_paper_is_clearly_right_every_claim_that_can_be_tested_is_supported(semantics):
    claimed = verdicts(found(LEAD), semantics)
    assert {key for key in COMPARED if claimed.get(key) == SUPPORTED} == COMPARED - ABOUT_CIFAR


@pytest.mark.parametrize("semantics", ["paper", "strict"])
def test_where_the_paper_is_clearly_wrong_every_claim_that_can_be_tested_is_contradicted(semantics):
    upside_down = {row: 1 - share for row, share in LEAD.items()}
    claimed = verdicts(found(upside_down), semantics)
    assert {key for key in COMPARED if claimed.get(key) == CONTRADICTED} == COMPARED - ABOUT_CIFAR


def test_where_all_rows_are_equal_nothing_can_be_told():
    assert set(verdicts(found({})).values()) == {CANNOT_TELL}


def test_a_claim_about_all_attacks_falls_with_one_of_them():
    def share(row, column, seed):
        weak = column.epsilon == 0.3
        return {"R_smoothgrad": 0.1 if weak else 0.9, "JR": 0.5}.get(row, 0.5)

    assert verdicts(found(share), "paper")["jacobian_mnist"] == CONTRADICTED


def test_under_the_strict_attack_it_falls_with_the_radius_in_one_norm():
    def radius(row, norm, seed):
        return {"R_smoothgrad": 0.1 if norm == "l2" else 0.9}.get(row, 0.5)

    assert verdicts(found({}, radius=radius))["jacobian_mnist"] == CONTRADICTED


def test_a_claim_about_all_attacks_stays_open_while_one_of_them_is():
    def share(row, column, seed):
        return 0.5 if column.epsilon == 0.3 else LEAD[row]

    claimed = verdicts(found(share), "paper")
    assert claimed["jacobian_mnist"] == claimed["hardest"] == CANNOT_TELL
    assert claimed["smoothgrad"] == SUPPORTED, "about most cases, not all"


def test_the_verdict_may_differ_between_attacks():
    def share(row, column, seed):
        return LEAD[row] if column.semantics == "paper" else 0.5

    claimed = found(share)
    assert [verdicts(claimed, name)["jacobian_mnist"] for name in ("paper", "strict")] == [SUPPORTED, CANNOT_TELL]


@pytest.mark.parametrize(
    ("missing", "lost"),
    [
        (["JR"], {"jacobian_mnist", "foreign", "permuted", "smaller_yet_weaker"}),
        ([f"R_smoothgrad_perm{share}" for share in (25, 50, 75, 100)], {"foreign", "permuted", "content", "falling", "alignment"}),
        (["NR_simple", "NR_smoothgrad"], {"foreign", "teacher"}),
        (["AT25", "R_smoothgrad_perm25", "R_smoothgrad_perm50", "R_smoothgrad_perm75"], {"falling", "alignment"}),
    ],
)
def test_claims_about_missing_rows_are_not_tested_and_say_why(missing, lost):
    whole, part = untested(found(LEAD)), untested(found(LEAD, without=missing))
    assert part.keys() - whole.keys() == lost and {part[key] for key in lost} == {"missing rows"}


def test_what_is_about_another_dataset_or_about_distillation_is_not_tested_and_says_why():
    on_mnist, on_cifar = untested(found(LEAD)), untested(found({}, scale="cifar10"))
    assert on_mnist == dict.fromkeys(ABOUT_CIFAR, "other dataset") | {"distillation": "missing study"}
    assert set(on_cifar) == {"jacobian_mnist", "hardest", "falling", "alignment", "distillation"}
    assert on_cifar["hardest"] == "other dataset" and set(on_cifar.values()) <= set(claims.REASONS)


@pytest.mark.parametrize(("points", "verdict"), [((-9, -10, -11), SUPPORTED), ((9, 10, 11), CONTRADICTED), ((-9, 0, 9), CANNOT_TELL)])
def test_distillation_is_decided_by_the_study_that_trains_it(points, verdict):
    table = study_grid.frame("beyond", study_grid.raised("distilled", points))
    table = table[table["variant"].isin(["ir", "distilled"])].drop(columns=["radius_l2", "radius_linf"])
    assert verdicts(found(LEAD, study=comparisons.of_table("beyond", table)))["distillation"] == verdict


@pytest.mark.parametrize(("mismatched", "other", "verdict"), [(0.9, 0.5, SUPPORTED), (0.5, 0.9, CONTRADICTED), (0.7, 0.7, CANNOT_TELL)])
def test_the_widest_difference_must_lie_where_the_paper_puts_it(mismatched, other, verdict):
    def share(row, column, seed):
        here = row == "R80_smoothgrad" and column.norm == "linf"
        return (mismatched if here else other) if row.endswith("0_smoothgrad") else 0.4

    assert verdicts(found(share, scale="cifar10"))["divergence"] == verdict


def test_smaller_gradients_need_all_seeds_and_allow_one_exception():
    def norms(row, seed):
        return {"NR": 10.0, "JR": 11.0}.get(row, 1.0) * (1 + seed / 10)

    assert verdicts(found({}, norms=norms), GRADIENTS)["smaller_gradients"] == SUPPORTED
    several = found({}, norms=lambda row, seed: norms(row, seed) + 20 * (row in ("R", "AT25")))
    assert verdicts(several, GRADIENTS)["smaller_gradients"] == CONTRADICTED
    assert verdicts(found({}, norms=norms, seeds=[0]), GRADIENTS)["smaller_gradients"] == CANNOT_TELL


def test_jacobian_regularization_may_have_the_smaller_gradients_and_still_lose():
    def norms(row, seed):
        return (0.5 if row == "JR" else 1.0) * (1 + seed / 100)

    assert verdicts(found(LEAD, norms=norms))["smaller_yet_weaker"] == SUPPORTED
    assert verdicts(found(LEAD, norms=lambda row, seed: 1 / norms(row, seed)))["smaller_yet_weaker"] == CONTRADICTED


def test_alignment_is_followed_over_the_permuted_shares():
    order = ["R_smoothgrad", "R_smoothgrad_perm25", "R_smoothgrad_perm50", "R_smoothgrad_perm75", "R_smoothgrad_perm100"]

    def cosines(row, seed):
        return (0.9 - order.index(row) / 10) * (1 + (seed - 1) / 100) if row in order else 0.5

    line = found({}, cosines=cosines).set_index("claim").loc["alignment"]
    assert (line["verdict"], line["parts"], line["supported"]) == (SUPPORTED, 4, 4) and line["estimate"] == pytest.approx(0.1)
    assert verdicts(found({}, cosines=lambda row, seed: -cosines(row, seed)), GRADIENTS)["alignment"] == CONTRADICTED


def test_the_frame_holds_one_line_per_claim_and_attack_with_the_comparison_that_decides():
    lines = found(LEAD)
    assert list(lines.columns) == claims.COLUMNS and not lines.duplicated(["claim", "semantics"]).any()
    line = lines.set_index(["claim", "semantics"]).loc[("jacobian_mnist", "strict")]
    assert (line["comparison"], line["unit"], line["n"], line["seeds"]) == ("IR(R,SmG) over JR, L2", "%", 200, 3)
    assert line["estimate"] == pytest.approx(63.6, abs=0.1) and line["low"] < line["estimate"] < line["high"]
    assert lines.set_index(["claim", "semantics"]).loc[("jacobian_mnist", "paper"), "estimate"] == pytest.approx(35)


def test_of_a_contradicted_claim_the_part_is_shown_that_contradicts_it_most():
    def share(row, column, seed):
        return {"R_smoothgrad": {0.3: 0.1, 0.25: 0.3}.get(column.epsilon, 0.9)}.get(row, 0.5)

    line = found(share).set_index(["claim", "semantics"]).loc[("jacobian_mnist", "paper")]
    assert (line["verdict"], line["comparison"]) == (CONTRADICTED, "IR(R,SmG) over JR, L∞ 0.3")
    assert (line["parts"], line["supported"], line["contradicted"]) == (5, 3, 2)


def test_the_papers_own_numbers_are_computed_from_its_tables():
    columns = ["published_ahead", "published_cells", "published_low", "published_high"]
    lines = found(LEAD).set_index(["claim", "semantics"])[columns]
    assert list(lines.loc["jacobian_mnist", "strict"]) == [5, 5, 1.20, 11.81]
    assert list(lines.loc["jacobian_cifar10", ""]) == [8, 8, 1.23, 14.37]
    assert lines.loc[("divergence", ""), "published_high"] == 6.71
    assert list(lines.loc["hardest", "strict"]) == [3, 4, -8.76, 9.15]
    assert list(lines.loc["permuted", "strict"])[:2] == [4, 5]
    assert lines.loc[("defended", "strict"), "published_low"] == 0.34
    assert published.gaps("mnist", "IR(R,SmG)", "IR(R,simp)")["points"].tolist()[-2:] == [3.32, 0.66]


def test_the_table_shows_every_claim_and_every_verdict():
    claimed = found(LEAD)
    shown = claims.shown(claimed, {"paper": "Paper", "strict": "Strict"})
    assert len(shown) == claimed["claim"].nunique() and list(shown.columns)[1:] == ["Paper", "Strict"]
    for name, words in (("paper", "Paper"), ("strict", "Strict")):
        counts = {verdict: sum(f">{verdict}</span>" in cell for cell in shown[words]) for verdict in comparisons.VERDICTS}
        assert {verdict: count for verdict, count in counts.items() if count} == claims.tally(claimed, name)


def test_rules_on_parts():
    parts = [SUPPORTED, SUPPORTED, CANNOT_TELL, CONTRADICTED]
    assert every(parts) == CONTRADICTED and every(parts[:3]) == CANNOT_TELL and every(parts[:2]) == SUPPORTED
    assert most(parts) == CANNOT_TELL and most(parts[:3]) == SUPPORTED and most([CONTRADICTED] * 2 + [SUPPORTED]) == CONTRADICTED
    assert every([]) == most([]) == NOT_TESTED
