"""The black-box table: who broke an image, known in advance for eight images."""

from dataclasses import replace

import numpy as np
import pytest
import report_grid

from lib.evaluation.outcome_file import Outcomes, Record
from lib.report import black_box

ORDER = {"attacks": ["apgd-ce", "apgd-t", "square"]}
NUMBER = 8


def lost(*images: int) -> np.ndarray:
    """All images stand but these, (n,) bool."""
    return ~np.isin(np.arange(NUMBER), images)


def outcomes(*records: Record, clean: np.ndarray | None = None) -> list[Outcomes]:
    labels = np.zeros(NUMBER, np.int64)
    return [Outcomes("mnist", "JR", 0, "together", "0" * 64, np.arange(NUMBER), labels, lost() if clean is None else clean, records)]


def made(semantics: str, attack: str, correct: np.ndarray, epsilon: float = 0.2) -> Record:
    return Record(semantics, attack, "linf", epsilon, "worst", np.atleast_2d(correct))


def ensemble(*lines: np.ndarray, epsilon: float = 0.2) -> Record:
    square = {"square_asked": np.where(lines[1], 1.0, np.nan).astype(np.float32)}
    return Record("autoattack", "lite", "linf", epsilon, "worst", np.stack(lines), ORDER, square)


def only(*records: Record, clean: np.ndarray | None = None) -> list[int]:
    return np.flatnonzero(black_box.only(outcomes(*records, clean=clean), "JR", "linf", 0.2)).tolist()


def test_an_image_counts_only_if_no_white_box_attack_broke_it():
    transfer = made("transfer", "from R", lost(1, 2, 3))
    assert only(transfer) == [1, 2, 3]
    assert only(transfer, made("strict", "pgd40", lost(1, 5)), made("paper", "fgsm", lost(2))) == [3]


def test_images_made_on_the_network_itself_are_white_box():
    assert only(made("transfer", "from JR", lost(1, 2)), made("transfer", "from R", lost(2, 3))) == [3]


def test_noise_is_black_box_and_other_probes_are_neither():
    assert only(made("probe", "noise", lost(4)), made("probe", "single", lost(4, 5))) == [4]


def test_images_that_are_misclassified_as_they_are_do_not_count():
    assert only(made("transfer", "from R", lost(0, 1)), clean=lost(0)) == [1]


def test_larger_radii_do_not_count_and_smaller_ones_do():
    assert only(made("transfer", "from R", lost(1), 0.3), made("transfer", "from R", lost(2), 0.1)) == [2]


def test_of_an_ensemble_only_what_fell_to_square_is_black_box():
    assert only(ensemble(lost(0), lost(0, 1), lost(0, 1, 2))) == [2]


def test_what_fell_to_square_at_a_smaller_radius_is_not_laid_to_the_first_attack_at_a_larger_one():
    small = ensemble(lost(0), lost(0), lost(0, 2), epsilon=0.1)
    large = ensemble(lost(0, 2), lost(0, 2, 3), lost(0, 2, 3, 4))
    assert only(small, large) == [2, 4]


def test_images_that_the_ensemble_was_not_asked_for_stand():
    record = ensemble(lost(0, 6, 7), lost(0, 1, 6, 7), lost(0, 1, 2, 6, 7))
    assert only(replace(record, asked=np.arange(NUMBER) < 6)) == [2]


def test_the_table_puts_each_attack_beside_the_strict_one_on_the_same_images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_grid.make({"JR": 0.2, "NR": 0.2})
    table = black_box.build(report_grid.read())
    found = {line.technique: line for line in table.lines}
    assert table.asked == {"random noise": 32, "from AT(L2,1.5)": 40, "from AT(L2,2.5)": 40, "from Standard": 40}
    paper, strict = 16, 13  # of the 100 images at L∞ 0.2, the first ones
    cell = found["JR"].cells["from AT(L2,1.5)"]
    assert (cell.accuracy, cell.strict, cell.images) == pytest.approx((paper / 40, strict / 40, 40))
    assert found["JR"].cells["random noise"].accuracy == 1
    assert "from Standard" not in found["Standard"].cells and "from Standard" in found["JR"].cells
    assert found["JR"].square == black_box.Square(0, 2 * 12) and found["JR"].only == 0
    frame = black_box.to_frame(table).set_index(["technique", "attack"])
    assert frame.loc[("JR", "square")]["accuracy_percent"] == 100 and frame.loc[("JR", "square")]["n"] == 24
