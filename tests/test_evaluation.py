"""Which images are attacked, what counts as robust, and that batches are bookkeeping only."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from classifiers import Flat, Linear, random_linear, seen, smooth
from torch import Tensor, nn

from lib.attacks import pgd
from lib.attacks.paper import Rules
from lib.base.errors import InputError
from lib.base.image_file import Split, digest
from lib.evaluation import outcomes as evaluation
from lib.evaluation.outcome_file import Outcomes, Record
from lib.evaluation.threats import Threat
from lib.evaluation.work import Evaluation, Work, scattered
from lib.network.batches import Batch

SHAPE = (1, 6, 6)
THREATS = [Threat("l2", 0.4, 0.2), Threat("linf", 0.06, 0.03)]


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


def evaluate(model: nn.Module, test: Split, images: int | None = None, batch_size: int = 100, suite: str = "pgd", **changes) -> Outcomes:
    usual = {"seed": 0, "steps": 2, "restarts": 2, "semantics": ["paper", "strict"], "paper": Rules(50), "strict_step": 5.0}
    settings = pgd.Settings(**{**usual, "strict_losses": ["margin", "cross_entropy"], **changes})
    asked = evaluation.Asked("NR", 3, suite, settings, THREATS, Evaluation(images, batch_size))
    return evaluation.outcomes(model, test, asked, torch.device("cpu"))


def stub(monkeypatch, telemetry=lambda rows: {}, limit=lambda rows: None) -> list[tuple[np.ndarray, Tensor]]:
    """Replace the suite by one that leaves everything correct; returns what it was asked."""
    asked = []

    def records(model, work, threats, settings):
        asked.append((work.rows, work.batch.labels))
        return [
            Record("paper", "none", "l2", 1.0, "mean", np.ones((2, len(work)), bool), {"images": 4}, telemetry(work.rows), limit(work.rows))
        ]

    monkeypatch.setattr(evaluation, "suite", lambda name: SimpleNamespace(records=records))
    return asked


def test_misclassified_images_count_as_not_robust_and_are_never_attacked(monkeypatch):
    model = smooth(4, SHAPE)
    test, asked = labelled_by(model, 20, wrong=(0, 7, 8, 19)), stub(monkeypatch)
    found = evaluate(model, test, batch_size=5)
    expected = np.ones(20, bool)
    expected[[0, 7, 8, 19]] = False
    assert np.array_equal(found.clean, expected)
    assert np.concatenate([rows for rows, _ in asked]).tolist() == np.flatnonzero(expected).tolist()
    assert np.array_equal(torch.cat([labels for _, labels in asked]).numpy(), test.labels[expected])
    assert [len(rows) for rows, _ in asked] == [5, 5, 5, 1]
    assert np.array_equal(found.records[0].correct, np.stack([expected, expected]))
    assert found.records[0].accuracy == 0.8


def test_no_attack_makes_a_misclassified_image_robust():
    """Attacked with its true label, an image on the wrong side could come back to the right one."""
    model = smooth(4, SHAPE, seed=2)
    found = evaluate(model, labelled_by(model, 20, wrong=(0, 7)), steps=1)
    for record in found.records:
        assert record.correct.shape[1] == 20 and not record.correct[:, [0, 7]].any()
        assert 0 < record.accuracy < 0.9


def test_what_is_found_is_labelled_with_where_it_was_found():
    model = smooth(4, SHAPE)
    test = labelled_by(model, 12)
    found = evaluate(model, test, images=8)
    assert (found.dataset, found.row, found.seed, found.suite, found.images_digest) == ("toy", "NR", 3, "pgd", test.digest)
    assert found.rows.tolist() == list(range(8)) and np.array_equal(found.labels, test.labels[:8])
    assert found.clean.shape == (8,) and all(record.correct.shape[1] == 8 for record in found.records)
    kinds = [(semantics, attack) for semantics in ("paper", "strict") for attack in ("pgd2", "fgsm")]
    assert [(one.semantics, one.attack, one.norm) for one in found.records] == [(*kind, norm) for kind in kinds for norm in ("l2", "linf")]
    assert len(evaluate(model, test).rows) == 12


def test_the_first_images_have_the_same_outcomes_in_any_batch_size_and_number():
    model = smooth(4, SHAPE, seed=2)
    model[1].weight.data *= 4
    test = labelled_by(model, 30, wrong=(3, 4, 20))
    whole = evaluate(model, test)
    assert all(0 < record.accuracy < 0.9 for record in whole.records)
    for count, size in [(None, 1), (None, 7), (11, 4), (30, 30)]:
        other = evaluate(model, test, count, size)
        for one, record in zip(other.records, whole.records, strict=True):
            assert np.array_equal(one.correct, record.correct[:, : len(other.rows)])
            assert one.settings == record.settings


def test_no_batch_is_larger_than_asked():
    model = smooth(4, SHAPE)
    test = labelled_by(model, 30)
    with seen(model) as batches:
        evaluate(model, test, batch_size=7)
    assert max(map(len, batches)) == 7


def test_telemetry_stays_with_its_image_and_is_nan_where_nothing_was_attacked(monkeypatch):
    model = smooth(4, SHAPE)
    stub(monkeypatch, lambda rows: {"row": rows.astype(np.float32)})
    (record,) = evaluate(model, labelled_by(model, 6, wrong=(2,))).records
    np.testing.assert_array_equal(record.telemetry["row"], [0, 1, np.nan, 3, 4, 5])
    assert record.noticed("row").tolist() == [0, 1, 3, 4, 5] and record.noticed("other").size == 0


def test_an_attack_on_the_first_images_counts_those_among_them_that_are_misclassified(monkeypatch):
    """Asked for the first 4 of 6 with image 2 misclassified: 3 of 4 stand."""
    model = smooth(4, SHAPE)
    for wrong in (2, 3):
        stub(monkeypatch, limit=lambda rows: rows < 4)
        (record,) = evaluate(model, labelled_by(model, 6, wrong=(wrong,))).records
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


def test_a_model_without_gradients_is_robust_by_luck_only_and_that_is_recorded_as_found():
    found = evaluate(Flat(10.0), split(np.zeros(5)))
    assert [record.accuracy for record in found.records] == [1.0] * 8
    assert found.records[0].noticed("steps_held_by_floor").tolist() == [1] * 5
    strict = next(record for record in found.records if record.semantics == "strict")
    assert strict.noticed("zero_gradients").tolist() == [1] * 5


@pytest.mark.parametrize("name", ["deepfool", "../pgd", "", "pgd.py"])
def test_an_unknown_suite_is_refused(name):
    with pytest.raises(InputError, match="attack suite must be a file in lib/suites"):
        evaluation.suite(name)


def test_a_suite_is_the_file_of_its_name():
    assert evaluation.suite("pgd").records is pgd.records


@pytest.mark.parametrize(
    "images, size, sentence", [(0, 1, "images must be positive or null, got 0"), (1, 0, "batch_size must be positive")]
)
def test_unusable_plans_are_refused(images, size, sentence):
    with pytest.raises(InputError, match=sentence):
        Evaluation(images, size)
