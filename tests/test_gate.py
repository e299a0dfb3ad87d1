"""The gate on outcomes whose verdicts can be worked out by hand: 1,000 images, so that one image is 0.1 points."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base.errors import InputError
from lib.evaluation.outcome_file import Outcomes, Radius, Record
from lib.gate.check import SEVERITY, Check, counted, worst
from lib.gate.checks import checks
from lib.gate.findings import shortening
from lib.gate.rules import RULES
from lib.report.gate import Gate, Line, from_json, to_json
from lib.report.templates import environment

N, CLEAN = 1000, 980
PROBED = 100  # the first so many images
REACH = {"l2": 20.0, "linf": 1.0}
LONGEST = {"l2": 4.0, "linf": 0.4}  # radius of image 0; the further down an image, the sooner it falls, down to 0 for the last 20
HEADLINE = {"l2": 1.5, "linf": 0.2}


def first(count: int) -> np.ndarray:
    """The first `count` images, (N,) bool."""
    return np.arange(N) < count


def same(value: float, count: int = N) -> np.ndarray:
    """Telemetry with one value for the first `count` images, NaN for the others."""
    return np.where(first(count), value, np.nan).astype(np.float32)


def some(count: int, asked: int = PROBED) -> np.ndarray:
    """Telemetry that is 1 for the first `count` images and 0 for the other ones that were asked."""
    return np.where(first(asked), first(count), np.nan).astype(np.float32)


def radius_of(norm: str, factor: float = 1.0) -> Radius:
    length = (factor * LONGEST[norm] * np.clip(1 - np.arange(N) / CLEAN, 0, None)).astype(np.float32)
    noticed = {"zero": same(0, CLEAN), "nan": same(0, CLEAN), "late": same(0.001, CLEAN)}
    noticed |= {"searched": np.where(first(CLEAN), length, np.nan), "reach": same(REACH[norm])}
    return Radius(length, np.where(first(CLEAN), "search image", "clean"), noticed)


def probes(norm: str) -> list[Record]:
    before = np.where(first(PROBED), radius_of(norm).radius, np.nan)
    health = {"zero": some(0), "nan": some(0), "vanished": some(0), "cosine": same(0.8, PROBED), "predicted": same(0.6, PROBED)}
    seen = {
        "gradients": health,
        "black_box": {"before": before, "noise": same(np.inf, PROBED), "line": 2 * before},
        "longer": {"before": before, "after": before},
        "float64": {"before": before, "after": before},
    }
    found = [Record("probe", name, norm, 0.0, "worst", first(CLEAN)[None], {}, told, first(PROBED)) for name, told in seen.items()]
    returned = {"outside": same(0, CLEAN), "lead": same(-1e-5, CLEAN)}
    return [*found, Record("probe", "returned", norm, 0.0, "worst", first(CLEAN)[None], {}, returned)]


def attacks(norm: str) -> list[Record]:
    place = (norm, HEADLINE[norm])
    steps = {"steps_held_by_floor": same(0.01), "effective_step": same(0.99)} if norm == "l2" else {}
    left = int((radius_of(norm).radius > HEADLINE[norm]).sum())
    return [
        Record("paper", "pgd40", *place, "mean", np.repeat(first(left + 40)[None], 3, 0), {}, {"violation": same(0)} | steps),
        Record("autoattack", "standard", *place, "worst", np.repeat(first(left)[None], 4, 0), {}, {}, first(200)),
    ]


def honest(row: str = "R", factor: float = 1.0) -> Outcomes:
    """All that the gate reads, of a model that nothing is wrong with."""
    forward = {"spread": some(0), "alone": some(0), "near": some(0), "probabilities": some(0), "classes": same(10, PROBED)}
    records = [Record("probe", "forward", "none", 0.0, "worst", first(CLEAN)[None], {}, forward, first(PROBED))]
    for norm in LONGEST:
        records += [*attacks(norm), *probes(norm)]
    radii = {norm: radius_of(norm, factor) for norm in LONGEST}
    return Outcomes("mnist5k", row, 0, "digest", np.arange(N), np.arange(N) % 10, first(CLEAN), radii, tuple(records), {})


UNDEFENDED = honest("NR", factor=0.5)


def judge(found: Outcomes, reference: Outcomes | None = UNDEFENDED) -> dict[str, Check]:
    """The checks by number."""
    told = checks([found], [reference] if reference else None)
    assert [check.id for check in told] == list(RULES)
    return {check.id: check for check in told}


def changed(attack: str, norm: str = "l2", **changes: object) -> Outcomes:
    """The honest outcomes with one record changed: a probe, "paper" or "autoattack"; telemetry is merged."""
    found = honest()

    def edited(record: Record) -> Record:
        if attack not in (record.attack, record.semantics) or record.norm != norm:
            return record
        telemetry = {"telemetry": record.telemetry | changes["telemetry"]} if "telemetry" in changes else {}  # type: ignore[operator]
        return replace(record, **(changes | telemetry))  # type: ignore[arg-type]

    return replace(found, records=tuple(edited(record) for record in found.records))


def forward(**telemetry: np.ndarray) -> Outcomes:
    return changed("forward", "none", telemetry=telemetry)


def noticed(attack: str, **telemetry: np.ndarray) -> Outcomes:
    return changed(attack, telemetry=telemetry)


def search(norm: str = "l2", **telemetry: np.ndarray) -> Outcomes:
    """The honest outcomes, but the search noticed this."""
    found = honest()
    told = found.radii[norm].telemetry | telemetry  # type: ignore[index]
    return replace(found, radii=found.radii | {norm: replace(found.radii[norm], telemetry=told)})  # type: ignore[index]


def radii(norm: str, images: int, length: float) -> Outcomes:
    """The honest outcomes, but the first images have this radius and the search found no less; inf: nothing was found."""
    found, name = honest(), "" if np.isinf(length) else "search image"
    old = found.radii[norm]  # type: ignore[index]
    told = old.telemetry | {"searched": np.where(first(images), length, old.telemetry["searched"])}
    new = Radius(np.where(first(images), length, old.radius), np.where(first(images), name, old.found_by), told)
    return replace(found, radii=found.radii | {norm: new})


def beaten(by: str, images: int, share: float) -> Outcomes:
    """The honest outcomes, but an attack of this name found `share` of the search's L2 radius on the first images."""
    found = honest()
    old = found.radii["l2"]
    new = replace(old, radius=np.where(first(images), share, 1) * old.radius, found_by=np.where(first(images), by, old.found_by))
    return replace(found, radii=found.radii | {"l2": new})


def again(probe: str, share: float) -> Outcomes:
    """The honest outcomes, but a further search found this share of the known radii."""
    return noticed(probe, after=share * np.where(first(PROBED), radius_of("l2").radius, np.nan))


def black_box(name: str, images: int, share: float) -> Outcomes:
    length = np.where(first(images), share, 2) * np.where(first(PROBED), radius_of("l2").radius, np.nan)
    return noticed("black_box", **{name: length})


def broken(images: int, asked: int = 200) -> Outcomes:
    """The honest outcomes, but AutoAttack breaks the first images of those that it was tried on."""
    correct = np.repeat((first(N) & ~first(images))[None], 4, 0)
    return changed("autoattack", correct=correct, asked=first(asked))


def without(attack: str) -> Outcomes:
    """The honest outcomes without one probe or attack."""
    found = honest()
    return replace(found, records=tuple(record for record in found.records if attack not in (record.attack, record.semantics)))


def test_nothing_is_wrong_with_an_honest_model() -> None:
    found = judge(honest())
    loud = {number: check for number, check in found.items() if check.verdict not in ("pass", "info")}
    assert not loud
    assert found["G9"].verdict == found["G11"].verdict == found["G16"].verdict == "info"


def test_every_check_is_not_measured_without_records() -> None:
    found = judge(replace(honest(), radii={}, records=()), None)
    assert {check.verdict for check in found.values()} == {"not measured"}
    assert all(check.value is None and check.note.startswith("not measured: ") for check in found.values())


def test_checks_carry_the_names_and_rules_of_the_list() -> None:
    assert {number: (check.name, check.unit, check.rule) for number, check in judge(honest()).items()} == {
        number: (rule.name, rule.unit, rule.rule) for number, rule in RULES.items()
    }


@pytest.mark.parametrize(
    ("number", "found", "verdict", "value"),
    [
        ("G1", noticed("returned", outside=same(1e-5, CLEAN)), "pass", 1e-5),
        ("G1", noticed("returned", outside=same(2e-5, CLEAN)), "fail", 2e-5),
        ("G1", noticed("returned", lead=some(1, CLEAN) * np.float32(2e-4)), "fail", 0),
        ("G1", noticed("paper", violation=same(2e-5)), "fail", 2e-5),
        ("G1", noticed("paper", violation=same(np.inf)), "fail", np.inf),
        ("G2", forward(spread=some(1) * np.float32(9e-5)), "pass", 9e-5),
        ("G2", forward(spread=some(1) * np.float32(1.1e-4)), "fail", 1.1e-4),
        ("G2", forward(alone=some(1) * np.float32(9e-5)), "pass", 0),
        ("G2", forward(alone=some(1) * np.float32(1.1e-4)), "fail", 1.1e-4),
        ("G2", forward(alone=some(2), spread=some(1) * np.float32(0.5)), "fail", 0.5),
        ("G2", forward(near=some(1) * np.float32(9e-3)), "pass", 0),
        ("G2", forward(near=some(1) * np.float32(2e-2)), "fail", 2e-2),
        ("G3", forward(probabilities=some(1)), "fail", 1),
        ("G3", forward(classes=same(4, PROBED)), "pass", 0),
        ("G3", forward(classes=same(3, PROBED)), "warn", 0),
        ("G4", broken(2), "pass", 1),
        ("G4", broken(3), "fail", 1.5),
        ("G4", broken(1, asked=16), "pass", 6.25),
        ("G4", broken(2, asked=16), "fail", 12.5),
        ("G4", broken(0, asked=0), "pass", 0),
        ("G4", beaten("mine", CLEAN, 0.971), "pass", 0),
        ("G4", beaten("mine", CLEAN, 0.969), "fail", 0),
        ("G4", beaten("autoattack apgd-ce", CLEAN, 0.9), "fail", 0),
        ("G5", radii("linf", 100, 0.51), "pass", 0),
        ("G5", radii("linf", 101, 0.51), "fail", 10.1),
        ("G5", radii("l2", 1, np.inf), "fail", 0.1),
        ("G6", again("longer", 0.981), "pass", 1.9),
        ("G6", again("longer", 0.979), "warn", 2.1),
        ("G6", again("longer", 0.971), "warn", 2.9),
        ("G6", again("longer", 0.969), "fail", 3.1),
        ("G6", again("longer", 1.5), "pass", 0),
        ("G6", search(late=same(0.019, CLEAN)), "pass", 0),
        ("G6", search(late=same(0.021, CLEAN)), "warn", 0),
        ("G8", black_box("noise", 5, 0.96), "pass", 0),
        ("G8", black_box("noise", 1, 0.9), "warn", 100 / CLEAN),
        ("G8", black_box("line", 5, 0.9), "fail", 500 / CLEAN),
        ("G8", beaten("from NR", 5, 0.96), "pass", 0),
        ("G8", beaten("from NR", 5, 0.9), "fail", 500 / CLEAN),
        ("G8", beaten("autoattack square", 5, 0.9), "fail", 500 / CLEAN),
        ("G8", beaten("autoattack apgd-t", 5, 0.9), "pass", 0),
        ("G9", noticed("gradients", vanished=some(10)), "info", 10),
        ("G9", noticed("gradients", vanished=some(11)), "fail", 11),
        ("G9", noticed("paper", effective_step=same(0.3)), "info", 0),
        ("G10", noticed("gradients", zero=some(10)), "warn", 10),
        ("G10", noticed("gradients", zero=some(11)), "fail", 11),
        ("G10", noticed("gradients", nan=some(1)), "fail", 0),
        ("G10", noticed("gradients", predicted=same(0.011, PROBED)), "pass", 0),
        ("G10", noticed("gradients", predicted=same(0.009, PROBED)), "fail", 0),
        ("G10", noticed("gradients", predicted=same(101, PROBED)), "fail", 0),
        ("G10", noticed("gradients", predicted=same(np.inf, PROBED)), "fail", 0),
        ("G10", search(zero=same(0.0009, CLEAN)), "pass", 0),
        ("G10", search(zero=same(0.09, CLEAN)), "warn", 0),
        ("G10", search(zero=same(0.11, CLEAN)), "fail", 0),
        ("G10", search(nan=some(1, CLEAN)), "fail", 0),
        ("G11", beaten("paper", 5, 0.96), "info", 4),
        ("G11", beaten("paper", 1, 0.9), "warn", 4),
        ("G11", beaten("paper", 2, 0.9), "fail", 4),
        ("G13", noticed("gradients", cosine=same(0.21, PROBED)), "pass", 0.21),
        ("G13", noticed("gradients", cosine=same(0.19, PROBED)), "warn", 0.19),
        ("G14", again("float64", 0.971), "pass", 2.9),
        ("G14", again("float64", 0.969), "fail", 3.1),
    ],
)
def test_each_rule_holds_up_to_its_limit_and_not_beyond(number: str, found: Outcomes, verdict: str, value: float) -> None:
    check = judge(found)[number]
    assert (check.verdict, check.value) == (verdict, pytest.approx(value, rel=1e-3, abs=1e-6))


@pytest.mark.parametrize(
    ("number", "attack", "named"),
    [
        ("G1", "returned", "probe returned"),
        ("G2", "forward", "probe forward"),
        ("G3", "forward", "probe forward"),
        ("G4", "autoattack", "AutoAttack"),
        ("G6", "longer", "probe longer"),
        ("G8", "black_box", "probe black_box"),
        ("G9", "paper", "the paper's PGD"),
        ("G10", "gradients", "probe gradients"),
        ("G11", "paper", "the paper's PGD"),
        ("G13", "gradients", "probe gradients"),
        ("G14", "float64", "probe float64"),
    ],
)
def test_a_check_that_lacks_a_record_cannot_pass_and_names_it(number: str, attack: str, named: str) -> None:
    found = judge(without(attack))[number]
    assert found.verdict == "not measured"
    assert named in found.note


def test_a_check_that_lacks_a_record_can_still_fail() -> None:
    found = judge(replace(beaten("from NR", 5, 0.9), records=()))["G8"]
    assert found.verdict == "fail"
    assert "transfer finds less than the search at rows 0, 1, 2, 3, 4" in found.note and "not measured: probe black_box" in found.note


def test_images_that_only_a_black_box_breaks_are_listed_up_to_ten() -> None:
    found = judge(black_box("noise", 13, 0.9))["G8"]
    assert "noise finds less than the search at rows 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 3 more" in found.note


def test_the_radii_that_count_against_a_search_are_those_it_found_itself() -> None:
    """An attack that shortens what the search found is held against it, whatever stands in the file afterwards."""
    found = beaten("autoattack apgd-ce", CLEAN, 0.9)
    assert judge(found)["G4"].verdict == "fail"
    forgotten = {name: told for name, told in found.radii["l2"].telemetry.items() if name != "searched"}
    assert judge(replace(found, radii=found.radii | {"l2": replace(found.radii["l2"], telemetry=forgotten)}))["G4"].verdict == "pass"


def test_the_share_of_steps_that_the_floor_held_is_told() -> None:
    found = judge(noticed("paper", effective_step=same(0.4), steps_held_by_floor=same(0.75)))["G9"]
    assert "takes 0.40 of its nominal step" in found.note and "75 % of the steps: this column reads too high" in found.note


@pytest.mark.parametrize(
    ("dataset", "place", "count", "verdict"),
    [
        ("mnist", ("l2", 3.5), 10, "pass"),
        ("mnist", ("l2", 3.5), 11, "fail"),
        ("mnist5k", ("linf", 0.3), 19, "pass"),
        ("mnist5k", ("linf", 0.3), 20, "fail"),
        ("imagefolder", ("l2", 3.5), 500, "not measured"),
    ],
)
def test_the_undefended_reference_must_fall(dataset: str, place: tuple[str, float], count: int, verdict: str) -> None:
    norm, epsilon = place
    old = UNDEFENDED.radii[norm]  # type: ignore[index]
    longer = replace(old, radius=np.where(first(count), 1.01 * epsilon, old.radius).astype(np.float32))
    reference = replace(UNDEFENDED, dataset=dataset, radii=UNDEFENDED.radii | {norm: longer})
    assert judge(honest(), reference)["G15"].verdict == verdict


def test_the_interval_is_students_of_the_mean_radius() -> None:
    """Of 980 radii evenly from 0 to 4 and 20 zeros: mean 1.962, standard deviation 1.176, so 1.962 * 0.0372 is 3.7 % of it."""
    found = judge(honest())["G16"]
    assert found.value == pytest.approx(3.72, abs=0.02)
    assert "mean radius 1.962 ± 0.073 of 1000 images" in found.note


@given(st.integers(1, 3000), st.integers(0, 3000), st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.booleans())
def test_only_a_single_image_is_ever_let_off(n: int, images: int, limit: float, inclusive: bool) -> None:
    verdict = counted(images, n, limit, "fail", "", inclusive).verdict
    within = images * 100 <= limit * n + 1e-6 if inclusive else images * 100 < limit * n - 1e-6
    assert verdict == ("pass" if within else "warn" if images <= 1 else "fail")


@given(st.lists(st.tuples(st.floats(0.01, 1), st.floats(0.01, 2)), min_size=1))
def test_a_further_search_never_counts_against_itself(pairs: list[tuple[float, float]]) -> None:
    before, after = (np.array(column) for column in zip(*pairs))
    percent = shortening(before, after)
    assert percent + 1e-9 >= 0 and percent < 100
    assert (percent > 1e-9) == bool((after < before * (1 - 1e-9)).any()) or percent < 1e-6


@given(st.lists(st.sampled_from(list(SEVERITY)), min_size=1))
def test_the_worst_verdict_is_one_of_them_and_none_is_worse(verdicts: list) -> None:
    assert worst(verdicts) in verdicts
    assert all(SEVERITY[verdict] <= SEVERITY[worst(verdicts)] for verdict in verdicts)


def test_transfer_in_a_file_of_its_own_counts_as_it_does_in_the_same() -> None:
    """The file of the transfer attack holds the first 400 images only."""
    whole = beaten("from NR", 5, 0.9)
    told, cut = whole.radii["l2"], {"rows": whole.rows[:400], "labels": whole.labels[:400], "clean": whole.clean[:400]}
    shown = Radius(told.radius[:400], told.found_by[:400], {})
    apart = checks([honest(), replace(whole, **cut, radii={"l2": shown}, records=())], [UNDEFENDED])
    assert {check.id: check for check in apart} == judge(whole)


def lines() -> Gate:
    """Two rows of two seeds: nothing is wrong with the first; the second fails G6 and warns in G13 at seed 1 only."""
    good = list(judge(honest()).values())
    weak, turned = again("longer", 0.9), noticed("gradients", cosine=same(0.1, PROBED))
    mixed = tuple(one if one.attack == "longer" else other for one, other in zip(weak.records, turned.records))
    bad = list(judge(replace(honest(), records=mixed)).values())
    return Gate([Line("R", "AT(L2,1.5)", {0: good, 1: good}), Line("JR", "JR <b>", {0: good, 1: bad})])


PLACE = {number: place for place, number in enumerate(RULES)}
INFO = {"G9", "G11", "G16"}


def test_the_table_shows_the_worst_seed_with_a_symbol() -> None:
    (_, good), (_, bad) = lines().table
    assert [cell.symbol for cell in good] == ["i" if number in INFO else "✓" for number in RULES]
    worse, turned = bad[PLACE["G6"]], bad[PLACE["G13"]]
    assert (worse.verdict, worse.symbol, worse.seeds) == ("fail", "✗", [1])
    assert (turned.verdict, turned.symbol, turned.seeds) == ("warn", "!", [1])
    assert worse.title == "G6 convergence – seed 0: pass 0 %; seed 1: fail 10 %"
    assert lines().counts == {"fail": 1, "warn": 1, "pass": 2 * len(RULES) - 8, "info": 6}


def test_what_is_behind_a_light_is_grouped_by_check_and_names_the_row() -> None:
    behind = [(rule.id, [(line.row, cell.check.note) for line, cell in entries]) for rule, entries in lines().behind]
    assert behind == [
        ("G6", [("JR", "L2: a longer search shortens the mean radius of 100 images by 10.00 %")]),
        ("G13", [("JR", "L2: median cosine 0.10")]),
    ]
    assert [(rule.id, rule.about, rows) for rule, rows in lines().failing] == [("G6", "radius", ["JR <b>"])]


def test_gate_json_has_every_check_of_every_seed_and_the_worst_verdict() -> None:
    found = json.loads(json.dumps(to_json(lines()), allow_nan=False))
    assert {row: entry["verdict"] for row, entry in found.items()} == {"R": "pass", "JR": "fail"}
    entry = found["JR"]["seeds"]["1"][PLACE["G6"]]
    assert set(entry) == {"check", "name", "value", "unit", "rule", "verdict", "note"}
    assert (entry["check"], entry["verdict"], entry["value"]) == ("G6", "fail", pytest.approx(10.0))
    assert [len(seed) for row in found.values() for seed in row["seeds"].values()] == [len(RULES)] * 4


def test_a_value_that_is_not_finite_becomes_null_in_json() -> None:
    found = to_json(Gate([Line("R", "R", {0: list(judge(noticed("paper", violation=same(np.inf))).values())})]))
    assert found["R"]["seeds"]["0"][0]["value"] is None and found["R"]["seeds"]["0"][0]["verdict"] == "fail"


def test_gate_json_is_read_as_it_was_written() -> None:
    assert from_json(json.loads(json.dumps(to_json(lines())))) == lines()


def test_the_page_shows_a_light_for_every_check_and_escapes_names() -> None:
    html = environment().from_string('{% from "gate.html.j2" import gate_table %}{{ gate_table(gate) }}')
    both, good = html.render(gate=lines()), html.render(gate=Gate(lines().lines[:1]))
    assert both.count('aria-label="G') == 2 * len(RULES) and both.count("<a class") == 2
    assert "JR &lt;b&gt;" in both and "JR <b>" not in both
    assert 'href="#G6-JR"' in both and 'id="G6-JR"' in both and "a longer search shortens the mean radius" in both
    assert "Behind every light" not in good


def test_every_rule_has_its_section_in_the_how_to() -> None:
    text = (Path(__file__).parents[1] / "docs/how-to/read-the-gate.md").read_text()
    assert all(f"**{rule.id} {rule.name}**" in text for rule in RULES.values())


def test_outcomes_of_two_models_or_of_other_images_are_refused() -> None:
    mine = honest()
    for other in (replace(mine, row="JR"), replace(mine, seed=1), replace(mine, images_digest="other"), replace(mine, rows=mine.rows + 1)):
        with pytest.raises(InputError, match="one model on one set of images"):
            checks([mine, other])
    with pytest.raises(InputError, match="at least one evaluation"):
        checks([])
