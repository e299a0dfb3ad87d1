"""The claims on grids whose answers are known beforehand."""

import pytest
from claim_grid import LEAD, make

from lib.report import claim_table, claims, contrasts, printed, statements
from lib.report.claims import GRADIENTS, Claim
from lib.report.results import Evidence
from lib.report.verdicts import CANNOT_TELL, CONTRADICTED, NOT_TESTED, SUPPORTED, every, most, over_seeds

COMPARED = {statement.key for statement in statements.statements()}
ABOUT_CIFAR = {"jacobian_cifar10", "divergence"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def judged(evidence: Evidence) -> list[Claim]:
    return claims.claims(evidence, contrasts.contrasts(evidence), contrasts.accuracies(evidence))


def found(*arguments, **changes) -> dict[str, Claim]:
    return {claim.key: claim for claim in judged(make(*arguments, **changes))}


def verdicts(found: dict[str, Claim], semantics: str = "strict") -> dict[str, str]:
    return {key: claim.findings[semantics].verdict for key, claim in found.items() if semantics in claim.findings}


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

    claim = found(share)["jacobian_mnist"]
    assert {name: finding.verdict for name, finding in claim.findings.items()} == {"paper": SUPPORTED, "strict": CANNOT_TELL}


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
    whole, part = found(LEAD), found(LEAD, without=missing)
    gone = {key for key in whole if whole[key].findings and not part[key].findings}
    assert gone == lost
    assert all(part[key].reason for key in gone)


def test_what_is_about_another_dataset_or_about_distillation_is_not_tested():
    on_mnist, on_cifar = found(LEAD), found({}, scale="cifar10")
    assert {key for key, claim in on_mnist.items() if not claim.findings} == {*ABOUT_CIFAR, "distillation"}
    untested = {key: claim.reason for key, claim in on_cifar.items() if not claim.findings}
    assert set(untested) == {"jacobian_mnist", "hardest", "falling", "alignment", "distillation"}
    assert untested["hardest"] == "It is about MNIST; this run is on cifar10."
    frame = claims.to_frame(list(on_cifar.values())).set_index("claim")
    assert frame.loc["distillation", "verdict"] == NOT_TESTED


@pytest.mark.parametrize(("mismatched", "other", "verdict"), [(0.9, 0.5, SUPPORTED), (0.5, 0.9, CONTRADICTED), (0.7, 0.7, CANNOT_TELL)])
def test_the_widest_difference_must_lie_where_the_paper_puts_it(mismatched, other, verdict):
    def share(row, column, seed):
        here = row == "R80_smoothgrad" and column.norm == "linf"
        return (mismatched if here else other) if row.endswith("0_smoothgrad") else 0.4

    assert verdicts(found(share, scale="cifar10"))["divergence"] == verdict


def test_smaller_gradients_need_all_seeds_and_allow_one_exception():
    def norms(row, seed):
        return {"NR": 10.0, "JR": 11.0}.get(row, 1.0) * (1 + seed / 10)

    assert found({}, norms=norms)["smaller_gradients"].findings[GRADIENTS].verdict == SUPPORTED
    several = found({}, norms=lambda row, seed: norms(row, seed) + 20 * (row in ("R", "AT25")))
    assert several["smaller_gradients"].findings[GRADIENTS].verdict == CONTRADICTED
    assert found({}, norms=norms, seeds=[0])["smaller_gradients"].findings[GRADIENTS].verdict == CANNOT_TELL


def test_jacobian_regularization_may_have_the_smaller_gradients_and_still_lose():
    def norms(row, seed):
        return (0.5 if row == "JR" else 1.0) * (1 + seed / 100)

    assert verdicts(found(LEAD, norms=norms))["smaller_yet_weaker"] == SUPPORTED
    assert verdicts(found(LEAD, norms=lambda row, seed: 1 / norms(row, seed)))["smaller_yet_weaker"] == CONTRADICTED


def test_alignment_is_followed_over_the_permuted_shares():
    order = ["R_smoothgrad", "R_smoothgrad_perm25", "R_smoothgrad_perm50", "R_smoothgrad_perm75", "R_smoothgrad_perm100"]

    def cosines(row, seed):
        return (0.9 - order.index(row) / 10) * (1 + (seed - 1) / 100) if row in order else 0.5

    finding = found({}, cosines=cosines)["alignment"].findings[GRADIENTS]
    assert finding.verdict == SUPPORTED and "0.90 → 0.80 → 0.70 → 0.60 → 0.50" in finding.numbers
    assert found({}, cosines=lambda row, seed: -cosines(row, seed))["alignment"].findings[GRADIENTS].verdict == CONTRADICTED


def test_the_frame_holds_one_line_per_finding():
    claimed = judged(make(LEAD))
    lines = claims.to_frame(claimed)
    assert list(lines.columns) == claims.COLUMNS
    assert len(lines) == sum(max(1, len(claim.findings)) for claim in claimed)
    numbers = lines.set_index(["claim", "semantics"])["ours"]
    assert "IR(R,SmG) over JR, L∞: +63.6 [" in numbers["jacobian_mnist", "strict"]
    assert "IR(R,SmG) over JR, L∞ 0.2: +35.0 [" in numbers["jacobian_mnist", "paper"]


def test_the_papers_own_numbers_are_computed_and_its_slips_named():
    published = {statement.key: statement.published for statement in statements.statements()}
    assert "in 5 of 5 cells, +1.20 to +11.81" in published["jacobian_mnist"]
    assert "+1.23 to +14.37" in published["jacobian_cifar10"] and "2.33" in published["jacobian_cifar10"]
    assert "6.71 and 6.05" in published["divergence"]
    assert "+0.58 over AT(L2,2.5) at L∞ 0.3" in published["hardest"] and "−8.76" in published["hardest"]
    assert "in 4 of 5 cells" in published["permuted"]
    assert printed.better_of_two("mnist") == 1.2


def test_the_table_shows_every_claim_and_every_verdict():
    evidence = make(LEAD)
    claimed = judged(evidence)
    html = str(claim_table.to_html(claimed, evidence))
    assert html.count('<tr><th scope="row">') == len(claimed)
    for verdict, count in claims.to_frame(claimed)["verdict"].value_counts().items():
        assert html.count(f"{verdict}</span>") == count, verdict


def test_the_tally_counts_what_the_table_shows():
    all_claims = list(found(LEAD).values())
    frame = claims.to_frame(all_claims)
    shown = list(frame[frame["semantics"].isin(["strict", ""])]["verdict"])
    assert len(shown) == len(all_claims)
    assert claims.tally(all_claims, "strict") == {verdict: shown.count(verdict) for verdict in set(shown)}


def test_rules_on_parts():
    parts = [SUPPORTED, SUPPORTED, CANNOT_TELL, CONTRADICTED]
    assert every(parts) == CONTRADICTED and every(parts[:3]) == CANNOT_TELL and every(parts[:2]) == SUPPORTED
    assert most(parts) == CANNOT_TELL and most(parts[:3]) == SUPPORTED and most([CONTRADICTED] * 2 + [SUPPORTED]) == CONTRADICTED
    assert every([]) == most([]) == NOT_TESTED


def test_gradient_measures_need_seeds_that_agree_closely_for_how_many_there_are():
    assert over_seeds([[1.0, 1.1, 0.9], [0.2, 2.0, 0.1]]) == [SUPPORTED, CANNOT_TELL]
    assert over_seeds([[-1.0, -1.4, -0.6]]) == [CONTRADICTED] and over_seeds([[-1.0, -1.4, -0.6]] * 2) == [CANNOT_TELL] * 2
    assert over_seeds([[1.0]]) == [CANNOT_TELL], "one seed decides nothing"
