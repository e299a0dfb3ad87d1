"""Which images are attacked, what counts as robust, and that batches are bookkeeping only."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from classifiers import Flat, Linear, random_linear, seen, smooth
from torch import Tensor, nn

from lib.attacks import outcomes as evaluation
from lib.attacks import own, paper, probes, referee, search
from lib.attacks.outcomes import Asked
from lib.attacks.work import Evaluation, Work, scattered
from lib.base.errors import InputError
from lib.base.image_file import Split, digest
from lib.evaluation import radii
from lib.evaluation.outcome_file import NORMS, Outcomes, Radius, Record
from lib.evaluation.threats import Threat
from lib.network.batches import Batch

SHAPE = (1, 6, 6)
THREATS = [Threat("l2", 0.4, 0.2), Threat("linf", 0.06, 0.03)]
SEARCH = search.Settings(seed=0, gradients=14, classes=3, steps=5, worth=0.01)
SETTINGS = evaluation.Settings(SEARCH, paper.Settings(seed=0, steps=2, runs=2, batch_size=50), None, None)


def split(labels: np.ndarray, seed: int = 0) -> Split:
    images = np.random.default_rng(seed).integers(0, 256, (len(labels), *SHAPE), dtype=np.uint8)
    return Split("toy", images, labels.astype(np.int64), np.arange(len(labels)) + 1000, 4, digest(images, labels))


def labelled_by(model: nn.Module, count: int, wrong: tuple[int, ...] = ()) -> Split:
    """A split whose labels are the model's own decisions, except at the rows in `wrong`."""
    plain = split(np.zeros(count))
    with torch.no_grad():
        labels = model(torch.from_numpy(plain.images).float() / 255).argmax(1).numpy()
    labels[list(wrong)] = (labels[list(wrong)] + 1) % 4
    return split(labels)


def evaluate(model: nn.Module, test: Split, images: int | None = None, batch_size: int = 100, settings=SETTINGS) -> Outcomes:
    asked = evaluation.evaluation("NR", 3, settings, THREATS, Evaluation(images, batch_size))
    return evaluation.outcomes(model, test, asked, torch.device("cpu"))


def noted(model: nn.Module, test: Split, batch_size: int = 100, telemetry=lambda rows: {}, limit=lambda rows: None):
    """An attack that finds the radius 1 + row / 100 everywhere and leaves a record; returns what was found and what it was asked."""
    asked: list[tuple[np.ndarray, Tensor]] = []

    def attack(model, work):
        asked.append((work.rows, work.batch.labels))
        length = (1 + work.rows / 100).astype(np.float32)
        known = {norm: Radius(length, np.full(len(work), "mine"), telemetry(work.rows)) for norm in NORMS}
        plain = np.ones((2, len(work)), bool)
        return known, [Record("probe", "none", "l2", 1.0, "mean", plain, {"images": 4}, telemetry(work.rows), limit(work.rows))]

    plan = Asked("NR", 3, attack, {"mine": {}}, Evaluation(None, batch_size))
    return evaluation.outcomes(model, test, plan, torch.device("cpu")), asked


def test_misclassified_images_have_the_radius_0_and_are_never_attacked():
    model = smooth(4, SHAPE)
    test = labelled_by(model, 20, wrong=(0, 7, 8, 19))
    found, asked = noted(model, test, batch_size=5)
    expected = np.ones(20, bool)
    expected[[0, 7, 8, 19]] = False
    assert np.array_equal(found.clean, expected)
    assert np.concatenate([rows for rows, _ in asked]).tolist() == np.flatnonzero(expected).tolist()
    assert np.array_equal(torch.cat([labels for _, labels in asked]).numpy(), test.labels[expected])
    assert [len(rows) for rows, _ in asked] == [5, 5, 5, 1]
    assert np.array_equal(found.records[0].correct, np.stack([expected, expected])) and found.records[0].accuracy == 0.8
    for norm in NORMS:
        np.testing.assert_allclose(found.radii[norm].radius, np.where(expected, 1 + np.arange(20) / 100, 0))
        assert found.radii[norm].found_by.tolist() == np.where(expected, "mine", "clean").tolist()


def test_no_attack_makes_a_misclassified_image_robust():
    """Attacked with its true label, an image on the wrong side could come back to the right one."""
    model = smooth(4, SHAPE, seed=2)
    found = evaluate(model, labelled_by(model, 20, wrong=(0, 7)))
    for record in (*found.records, found.strict("l2", 0.01)):
        assert record.correct.shape[1] == 20 and not record.correct[:, [0, 7]].any() and record.accuracy > 0


def test_what_is_found_is_labelled_with_where_it_was_found():
    model = smooth(4, SHAPE)
    test = labelled_by(model, 12)
    found = evaluate(model, test, images=8)
    assert (found.dataset, found.row, found.seed, found.images_digest) == ("toy", "NR", 3, test.digest)
    assert found.rows.tolist() == list(range(8)) and np.array_equal(found.labels, test.labels[:8])
    assert found.clean.shape == (8,) and all(record.correct.shape == (2, 8) for record in found.records)
    assert [(one.semantics, one.attack, one.norm, one.epsilon) for one in found.records] == [
        ("paper", "pgd2", threat.norm, threat.epsilon) for threat in THREATS
    ]
    assert list(found.settings) == ["search", "paper", "referee", "probes"] and found.settings["search"]["gradients"] == 14
    assert len(evaluate(model, test).rows) == 12


def test_no_radius_is_longer_than_the_box_allows_or_than_any_attack_found():
    """What the paper's attack fools has a radius within its ball; no perturbation is longer than the way to the far corner."""
    model = smooth(4, SHAPE, seed=2)
    model[1].weight.data *= 4
    test = labelled_by(model, 30, wrong=(3,))
    found = evaluate(model, test)
    pixels = test.images.reshape(30, -1) / 255
    far = np.maximum(pixels, 1 - pixels)
    for norm, reach in {"l2": np.sqrt((far**2).sum(1)), "linf": far.max(1)}.items():
        np.testing.assert_allclose(found.radii[norm].reach, reach, rtol=1e-5)
        assert (found.radii[norm].capped <= reach * (1 + 1e-5)).all()
        assert np.array_equal(np.isnan(found.radii[norm].telemetry["searched"]), ~found.clean)
    for record in found.records:
        fooled = ~record.correct.all(0)
        assert fooled.any() and not radii.stands(found.radii[record.norm].radius[fooled], record.epsilon).any()


def test_the_referee_and_the_probes_are_asked_where_there_are_settings_for_them():
    model = smooth(4, SHAPE, seed=2)
    plan = referee.Settings(0, {"linf": 0.01}, 5, ["apgd-ce"], 2, 1, 1)
    found = evaluate(
        model, labelled_by(model, 12), settings=evaluation.Settings(SEARCH, None, plan, probes.Settings(0, 4, 2, ["linf"], 2.0))
    )
    assert {record.semantics for record in found.records} == {"autoattack", "probe"}
    assert next(record for record in found.records if record.semantics == "autoattack").asked.sum() == 5


def test_the_first_images_have_the_same_outcomes_in_any_batch_size_and_number():
    """Radii up to what the order of a sum changes in the last digits, and that may grow over the steps."""
    model = smooth(4, SHAPE, seed=2)
    model[1].weight.data *= 4
    test = labelled_by(model, 30, wrong=(3, 4, 20))
    whole = evaluate(model, test)
    assert all(0 < record.accuracy < 0.9 for record in whole.records)
    for count, size in [(6, 1), (None, 7), (11, 4)]:
        other = evaluate(model, test, count, size)
        for one, record in zip(other.records, whole.records, strict=True):
            assert np.array_equal(one.correct, record.correct[:, : len(other.rows)]) and one.settings == record.settings
        for norm in NORMS:
            np.testing.assert_allclose(other.radii[norm].radius, whole.radii[norm].radius[: len(other.rows)], rtol=1e-3)


def test_no_batch_is_larger_than_asked():
    model = smooth(4, SHAPE)
    test = labelled_by(model, 30)
    with seen(model) as batches:
        evaluate(model, test, batch_size=7)
    assert max(map(len, batches)) == 7


def test_telemetry_stays_with_its_image_and_is_nan_where_nothing_was_attacked():
    model = smooth(4, SHAPE)
    found, _ = noted(model, labelled_by(model, 6, wrong=(2,)), telemetry=lambda rows: {"row": rows.astype(np.float32)})
    (record,) = found.records
    for values in (record.telemetry["row"], found.radii["l2"].telemetry["row"]):
        np.testing.assert_array_equal(values, [0, 1, np.nan, 3, 4, 5])
    assert record.noticed("row").tolist() == [0, 1, 3, 4, 5] and record.noticed("other").size == 0


def test_a_probe_of_the_first_images_counts_those_among_them_that_are_misclassified():
    """Asked for the first 4 of 6 with image 2 misclassified: 3 of 4 stand."""
    model = smooth(4, SHAPE)
    for wrong in (2, 3):
        (record,) = noted(model, labelled_by(model, 6, wrong=(wrong,)), limit=lambda rows: rows < 4)[0].records
        assert record.asked.tolist() == [True] * 4 + [False] * 2 and record.accuracy == 0.75


def test_a_record_of_some_images_becomes_one_of_all():
    asked = np.array([True, False, True])
    part = Record("probe", "noise", "l2", 1.0, "worst", np.array([[True, False]]), {}, {"a": np.array([1.0, 2.0], np.float32)})
    found = scattered(part, asked)
    assert found.correct.tolist() == [[True, False, False]] and found.accuracy == 0.5
    np.testing.assert_array_equal(found.telemetry["a"], [1, np.nan, 2])


def test_work_is_cut_into_groups_that_know_their_rows():
    data = Batch(torch.arange(5.0).view(5, 1, 1, 1), torch.arange(5))
    work = Work(data, np.arange(10, 15), 2)
    groups = list(work.chunks(np.array([4, 0, 3])))
    assert [positions.tolist() for positions, _ in groups] == [[4, 0], [3]]
    assert [part.rows.tolist() for _, part in groups] == [[14, 10], [13]]
    assert groups[0][1].batch.labels.tolist() == [4, 0]


def test_the_model_is_measured_in_eval_mode_and_returned_as_it_was():
    model = smooth(4, SHAPE, dropout=0.5)
    test = labelled_by(model.eval(), 10)
    model.train()
    modes = []
    model.register_forward_pre_hook(lambda module, inputs: modes.append((module.training, module[1].weight.requires_grad)))
    state = torch.get_rng_state()
    assert evaluate(model, test).clean.all()
    assert set(modes) == {(False, False)} and model.training and model[1].weight.requires_grad
    assert torch.equal(torch.get_rng_state(), state)


def test_pixels_are_divided_by_255():
    model = smooth(4, SHAPE)
    test = labelled_by(model, 4)
    with seen(model) as batches:
        evaluate(model, test)
    torch.testing.assert_close(batches[0], torch.from_numpy(test.images).double().div(255).float())


def test_more_images_than_the_split_has_are_refused():
    model = smooth(4, SHAPE)
    with pytest.raises(InputError, match="evaluation.images is 11, the test split has 10"):
        evaluate(model, labelled_by(model, 10), images=11)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_outputs_that_are_not_finite_are_refused(value):
    model = random_linear(4, SHAPE)
    test = labelled_by(model, 10)
    model.bias.data[2] = value
    with pytest.raises(InputError, match="the model's outputs must be finite, those of images 0 and after are not"):
        evaluate(model, test)


def test_a_model_that_is_always_wrong_is_refused_instead_of_called_robust():
    model = Linear(torch.zeros(4, *SHAPE), torch.tensor([1.0, 0.0, 0.0, 0.0]))
    with pytest.raises(InputError, match="classifies no test image correctly"):
        evaluate(model, split(np.ones(5)))


def test_a_model_without_gradients_has_no_radius_where_nothing_was_found_and_that_is_recorded():
    found = evaluate(Flat(10.0), split(np.zeros(5)))
    assert np.isinf(found.radii["linf"].radius).all() and set(found.radii["linf"].found_by) == {""}
    assert np.array_equal(found.radii["linf"].capped, found.radii["linf"].reach)
    assert [record.accuracy for record in found.records] == [1.0] * 2 and found.strict("l2", 5.0).accuracy == 1.0
    assert found.records[0].noticed("steps_held_by_floor").tolist() == [1] * 5
    assert found.radii["l2"].telemetry["zero"].tolist() == [1] * 5


@pytest.mark.parametrize("name", ["deepfool", "../pgd", "", "pgd.py"])
def test_an_unknown_attack_is_refused(name):
    with pytest.raises(InputError, match="attack must be a file in lib/own_attacks"):
        own.suite(name)


def test_candidates_of_an_own_attack_count_where_they_fool_the_model_again(monkeypatch):
    """On a half-space a step of 0.1 fools what is nearer than that, and one out of the box nothing; others keep no radius."""
    model, test = Flat(0.5), split(np.zeros(6))
    brightness = test.images.reshape(6, -1).mean(1) / 255
    attack = SimpleNamespace(attack=lambda model, work, norm, settings: work.batch.images.clamp(0, 0.9) + (0.6 if norm == "l2" else 0.05))
    monkeypatch.setattr(own, "choice", lambda *words: attack)
    labels = split((brightness > 0.5).astype(int)).labels
    test = Split("toy", test.images, labels, test.source_rows, 4, test.digest)
    found = evaluation.outcomes(model, test, own.asked("NR", 3, "mine", SEARCH, Evaluation(None, 4)), torch.device("cpu"))
    assert list(found.settings) == ["mine"] and found.records == () and np.isinf(found.radii["l2"].radius).all()
    moved = (np.minimum(test.images / 255, 0.9) + 0.05).reshape(6, -1).mean(1)
    fooled = (moved > 0.5) & (labels == 0)
    assert np.array_equal(np.isfinite(found.radii["linf"].radius), fooled)
    assert set(found.radii["linf"].found_by[fooled]) <= {"mine"}


def test_the_shortest_of_several_attacks_counts_image_by_image():
    """The second file is of the first two images only."""
    ours = Radius(np.array([1.0, np.inf, 3.0, np.inf], np.float32), np.array(["search", "", "search", ""]), {"reach": np.full(4, 5.0)})
    other = Radius(np.array([2.0, 0.5], np.float32), np.array(["mine", "mine"]))
    found = ours.shortened([other])
    assert found.radius.tolist() == [1.0, 0.5, 3.0, np.inf] and found.found_by.tolist() == ["search", "mine", "search", ""]
    assert found.capped.tolist() == [1.0, 0.5, 3.0, 5.0]


@pytest.mark.parametrize(
    "images, size, sentence", [(0, 1, "images must be positive or null, got 0"), (1, 0, "batch_size must be positive")]
)
def test_unusable_plans_are_refused(images, size, sentence):
    with pytest.raises(InputError, match=sentence):
        Evaluation(images, size)
