"""Every share and every difference that README and the explaining pages quote is that of a file which no run rewrites."""

import json
import re
from decimal import ROUND_HALF_UP, Decimal
from functools import cache

import pandas as pd
import pytest
from pages import prose
from project import ROOT
from scipy import stats

from lib.report import published_folder
from lib.statistics import crossed

PUBLISHED = ROOT / "results/published"
PAIRS = {  # what the pages say of it: the contrast in quick.json
    "permuted": "R_smoothgrad_over_R_smoothgrad_perm100",
    "foreign": "R_smoothgrad_over_NR_smoothgrad",
    "simple": "R_simple_over_NR_simple",
    "jacobian": "R_smoothgrad_over_JR",
    "adversarial": "R_smoothgrad_over_AT25",
}
# page -> its sentences. {file/row/what}: see `value`.
SENTENCES = {
    "README.md": [
        "| standard training | {linf/NR} | {l2/NR} | |",
        "| Jacobian regularization | {linf/JR} | {l2/JR} | {linf/jacobian/percent} % ({l2/jacobian/percent} %) |",
        "with their pixels permuted | {linf/R_smoothgrad_perm100} | {l2/R_smoothgrad_perm100} | "
        "{linf/permuted/percent} % ({l2/permuted/percent} %) |",
        "of a robust teacher | {linf/R_smoothgrad} | {l2/R_smoothgrad} | |",
        "| adversarial training, L2 2.5 | {linf/AT25} | {l2/AT25} | −{linf/adversarial/percent} % (−{l2/adversarial/percent} %) |",
        "is gone: {gelu/jacobian/percent} % ({gelu/jacobian/low} to {gelu/jacobian/high}), L∞",
        "non-robust teacher, {linf/foreign/percent} % ({l2/foreign/percent} %), is clear in both norms",
    ],
    "docs/science.md": [
        *(
            f"{words} | {{quick/{row}/clean}} % | {{linf/{row}}} | {{l2/{row}}} |"
            for words, row in {
                "standard training": "NR", "the robust teacher": "R", "adversarial training, L2 2.5": "AT25",
                "Jacobian regularization": "JR",
                "IR, permuted targets": "R_smoothgrad_perm100", "maps of the standard teacher (simp)": "NR_simple",
                "maps of the standard teacher (SmG)": "NR_smoothgrad",
                "maps of the robust teacher (SmG)": "R_smoothgrad", "maps of the robust teacher (simp)": "R_simple",
            }.items()
        ),
        "IR(R,SmG) is {linf/adversarial/percent} % behind it in L∞ (95 % interval {linf/adversarial/high} to {linf/adversarial/low})",
        "leads permuted targets by {linf/permuted/percent} % in L∞ ({linf/permuted/low} to {linf/permuted/high}), "
        "the standard teacher's maps by {linf/foreign/percent} % ({linf/foreign/low} to {linf/foreign/high}) "
        "and Jacobian regularization by {linf/jacobian/percent} % "
        "({linf/jacobian/low} to {linf/jacobian/high}); IR(R,simp) leads the standard teacher's simple gradients by "
        "{linf/simple/percent} % ({linf/simple/low} to {linf/simple/high})",
        "({l2/permuted/percent}, {l2/foreign/percent}, {l2/jacobian/percent}, {l2/simple/percent} %), and that of adversarial training is "
        "{l2/adversarial/percent} %",
        "leads the standard teacher's maps by {gelu/foreign/percent} % in L∞ ({gelu/foreign/low} to {gelu/foreign/high}), IR(R,simp) by "
        "{gelu/simple/percent} % ({gelu/simple/low} to {gelu/simple/high}), Jacobian regularization by {gelu/jacobian/percent} % "
        "({gelu/jacobian/low} to {gelu/jacobian/high}), which is no lead, and stays {gelu/adversarial/percent} % "
        "({gelu/adversarial/high} to {gelu/adversarial/low}) behind",
        "either {beyond/d0_m0} %, the norm alone {beyond/d0_m1} %, the direction alone {beyond/d3_m0} %, both {beyond/d3_m1} %",
        "without any teacher, give {beyond/other_class} %; a student of the teacher's logits gets {beyond/distilled} %",
        "IR(R,simp) {matched/r_simple} %, IR(R,SmG) {matched/ir} %, norm alone {matched/norm_only} %, JR {matched/jr} %, permuted targets "
        "{matched/permuted} %, adversarial training {matched/at} %, maps of the standard teacher (SmG) {matched/nr_smoothgrad} %",
        "{mnist_cpu/R_smoothgrad/paper} % for IR(R,SmG) at L∞ 0.2, published {paper/IR(R,SmG)}. The strict attack leaves "
        "{mnist_cpu/R_smoothgrad/strict} %, its permuted control {mnist_cpu/R_smoothgrad_perm100/strict}, a non-robust teacher's maps "
        "{mnist_cpu/NR_smoothgrad/strict}, Jacobian regularization {mnist_cpu/JR/strict}, and adversarial training "
        "{mnist_cpu/AT25/strict} (L2 2.5)",
        "gradients were penalised lose {gap/penalised} points to it, adversarially trained ones {gap/adversarial} (",
        "takes IR to {beyond/ir_gelu} % and Jacobian regularization from {beyond/jr} to {beyond/jr_gelu} %",
        "with standard deviations of up to {grid/spread} points",
        "trained for 60 epochs, {confidence/60/lead} points of what it reports",
    ],
    "docs/audit.md": [
        "a seven times weaker penalty and loses {audit/ir_literal/loss} points {audit/ir_literal/interval}",
        "a tenth of the penalty, {audit/jr_no_factor/loss} points less {audit/jr_no_factor/interval}, at {audit/jr_no_factor/clean} points "
        "more clean accuracy. The norm of Eq. 13 instead of half its square costs {audit/jr_norm/loss} points {audit/jr_norm/interval}",
        "cost {audit/ir_probabilities/loss} points {audit/ir_probabilities/interval} and {audit/ir_probabilities/clean} points of clean "
        "accuracy",
        "more robust at L∞ 0.2, by {audit/at_paper_steps/loss} points {audit/at_paper_steps/interval}:",
    ],
    "docs/confident-networks.md": [
        *(
            f"| {epochs} | {{confidence/{epochs}/paper}} | {{confidence/{epochs}/strict}} | {{confidence/{epochs}/gap}} |"
            for epochs in (1, 2, 4, 8, 15, 30, 45, 60)
        ),
        "{confidence/8/strict} % at 8 epochs, {confidence/60/strict} % at 60)",
        "{confidence/8/paper} % at 8 epochs, {confidence/30/paper} % at 30, {confidence/60/paper} % at 60.",
    ],
}  # fmt: skip
# What stands with a unit and is no result: confidence levels, scales of a figure, parameters, sizes of samples.
NO_RESULTS = r"\b(?:95 % interval|0 to 100 %|20,000 images)"


@cache
def quick() -> dict:
    """report/summary.json of the run that the pages tell of."""
    return json.loads((ROOT / "results/published/quick.json").read_text())


@cache
def measures(study: str) -> pd.DataFrame:
    return pd.read_csv(PUBLISHED / study / "measures.csv").set_index(["variant", "seed"]).sort_index()


def tenths(number: float) -> str:
    """One digit behind the point, halves away from zero, with a typographic minus."""
    return str(Decimal(str(round(number, 4))).quantize(Decimal("0.1"), ROUND_HALF_UP)).replace("-", "−")


def whole(number: float) -> str:
    """A whole number of points, or a tenth where that would be none."""
    return f"{abs(number):.1f}" if abs(number) < 1 else f"{abs(number):.0f}"


def of_quick(row: str, what: str) -> str:
    """Accuracy in percent."""
    return tenths(100 * quick()[row][what])


def of_radii(norm: str, name: str, what: str | None = None) -> str:
    """A row's mean radius; of a contrast the lead and its limits in percent, all without sign."""
    if what is not None:
        return tenths(abs(quick()["contrasts"][PAIRS[name]][norm][what]))
    return f"{quick()[name]['mean_radius'][norm]:.{3 if norm == 'linf' else 2}f}"


def of_gelu(pair: str, what: str) -> str:
    """The same in L∞ of the published run with GELU, from its radii."""
    radii = published_folder.read(PUBLISHED)["quick_gelu"].radii
    first, second = PAIRS[pair].split("_over_")
    contrast = crossed.relative(radii[first, "linf"], radii[second, "linf"])
    number = {"percent": contrast.estimate, "low": contrast.low, "high": contrast.high}[what]
    return tenths(abs(number) if pair == "adversarial" else number)


def of_audit(variant: str, what: str) -> str:
    """`loss`: mean change of robust accuracy in points; `interval`: Student's t; `clean`: change of clean accuracy. All without sign."""
    table = measures("audit")
    base = table.loc[variant]["base"].iloc[0]
    change = 100 * (table.loc[variant][["robust", "clean"]] - table.loc[base][["robust", "clean"]])
    if what == "clean":
        return whole(change["clean"].mean())
    low, high = sorted(map(abs, stats.t.interval(0.95, len(change) - 1, change["robust"].mean(), change["robust"].sem())))
    return whole(change["robust"].mean()) if what == "loss" else f"[{whole(low)}, {whole(high)}]"


@cache
def at_the_paper_s_width() -> pd.DataFrame:
    """Accuracy in percent of the run mnist_cpu under PGD at L∞ 0.2: a line per row, a column per semantics."""
    table = pd.read_csv(PUBLISHED / "mnist_cpu/accuracies.csv")
    shown = table[(table["attack"] == "pgd40") & (table["norm"] == "linf") & (table["epsilon"] == 0.2)]
    return 100 * shown.pivot(index="row", columns="semantics", values="accuracy")


def of_gaps(kind: str) -> str:
    """Smallest and largest loss from the paper's attack to the strict one, of the rows that are trained with a penalty or adversarially."""
    table = at_the_paper_s_width().drop(index="NR")
    adversarial = table.index.isin(["R", "AT25"])
    gaps = (table["paper"] - table["strict"])[adversarial if kind == "adversarial" else ~adversarial]
    return f"{gaps.min():.0f} to {gaps.max():.0f}"


def of_the_paper(technique: str) -> str:
    table = pd.read_csv(ROOT / "lib/report/published.csv")
    cell = table[(table["technique"] == technique) & (table["dataset"] == "mnist") & (table["epsilon"] == "0.20")]
    return tenths(cell["accuracy_percent"].iloc[0])


def of_grid(_: str) -> str:
    """The largest standard deviation over seeds in the grid of the two weights, in points."""
    robust = measures("beyond")["robust"].unstack()
    return whole(100 * robust[robust.index.str.fullmatch(r"d\d_m\d+")].std(axis=1).max())


def of_confidence(epoch: str, what: str) -> str:
    table = pd.read_csv(ROOT / "docs/data/confidence.csv")
    share = 100 * table[(table["epoch"] == int(epoch)) & (table["factor"] == 1)].set_index("semantics")["accuracy"]
    share["lead"] = share["paper"] - share["strict"]
    return f"{share['lead']:+.1f}" if what == "gap" else tenths(share[what])


def value(key: str) -> str:
    """What `file/row/what` is, as the pages write it."""
    file, name, *what = key.split("/")
    if file in ("beyond", "matched"):
        return tenths(100 * measures(file).loc[name]["robust"].mean())
    if file in ("l2", "linf"):
        return of_radii(file, name, *what)
    if file == "mnist_cpu":
        return tenths(at_the_paper_s_width().loc[name, what[0]])
    known = {
        "quick": of_quick,
        "gelu": of_gelu,
        "audit": of_audit,
        "gap": of_gaps,
        "grid": of_grid,
        "paper": of_the_paper,
        "confidence": of_confidence,
    }
    return known[file](name, *what)


def held(page: str) -> list[str]:
    return [re.sub(r"\{([^}]+)\}", lambda key: value(key[1]), sentence) for sentence in SENTENCES[page]]


def text(page: str) -> str:
    return " ".join(prose(ROOT / page).split())


@pytest.mark.parametrize("page", SENTENCES)
def test_the_sentences_of_a_page_hold_the_numbers_of_the_files(page: str) -> None:
    assert [sentence for sentence in held(page) if sentence not in text(page)] == []


@pytest.mark.parametrize("page", ["README.md", "docs/science.md"])
def test_no_other_number_with_a_unit_stands_there(page: str) -> None:
    rest = text(page)
    for sentence in held(page):
        rest = rest.replace(sentence, "")
    assert re.findall(r".{30}\d (?:%|points?\b).{10}", re.sub(NO_RESULTS, "", rest)) == []


def test_the_details_that_the_audit_calls_small_are() -> None:
    details = ["ir_clamped", "ir_clean", "ir_samples_50", "ir_nesterov", "ir_leaking_test", "ir_last", "ir_eval_gradient", "jr_exact",
               "perm_probability"]  # fmt: skip
    robust = 100 * measures("audit")["robust"].groupby("variant").mean()
    bases = measures("audit")["base"].groupby("variant").first()
    assert max(abs(robust[name] - robust[bases[name]]) for name in details) <= 2.5
    assert "no effect beyond 2.5 points" in text("docs/audit.md")
