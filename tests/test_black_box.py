"""The black-box table: who broke an image, known in advance for eight images."""

import numpy as np
import pytest
import report_grid

from lib.evaluation.outcome_file import Outcomes, Radius
from lib.report import black_box

NUMBER = 8
SEARCHED = [0.0, 0.1, 0.3, 0.3, 0.3, 0.3, 0.3, np.inf]  # the first image is misclassified as it is
REACH = np.ones(NUMBER, np.float32)


def outcomes(found: dict[int, tuple[float, str]], transfer: dict[int, float]) -> list[Outcomes]:
    """What other attacks of the evaluation found (image: radius, name), and what images of another network did (image: radius)."""
    clean = np.array(SEARCHED) > 0
    radius, names = np.array(SEARCHED, np.float32), np.where(clean, "search image", "clean").astype("U24")
    for image, (length, name) in found.items():
        radius[image], names[image] = length, name
    ours = Radius(radius, names, {"searched": np.where(clean, SEARCHED, np.nan).astype(np.float32), "reach": REACH})
    shown = np.where(clean, np.inf, 0.0).astype(np.float32)
    shown[list(transfer)] = list(transfer.values())
    theirs = Radius(shown, np.where(clean, "transfer from R", "clean"), {"from R": shown, "reach": REACH})
    plain = ("mnist", "JR", 0, "0" * 64, np.arange(NUMBER), np.zeros(NUMBER, np.int64), clean)
    return [Outcomes(*plain, {"linf": ours}, (), {"search": {}}), Outcomes(*plain, {"linf": theirs}, (), {"transfer": {}})]


@pytest.mark.parametrize(
    "found, transfer, expected",
    [
        ({}, {2: 0.15, 3: 0.2}, [2, 3]),
        ({}, {1: 0.05}, []),  # the search had broken it within the radius as well
        ({}, {2: 0.25}, []),  # at a larger radius
        ({4: (0.2, "autoattack square"), 5: (0.15, "autoattack apgd-t"), 6: (0.18, "paper")}, {}, [4]),
        ({4: (0.15, "autoattack apgd-ce")}, {4: 0.19}, []),  # the shorter one was found with gradients
        ({}, {7: 0.1}, [7]),
        ({}, {}, []),
    ],
)
def test_an_image_counts_only_if_the_search_left_it_and_a_black_box_attack_found_the_least(found, transfer, expected):
    assert np.flatnonzero(black_box.only(outcomes(found, transfer), "linf", 0.2)).tolist() == expected


def test_the_table_puts_each_attack_beside_the_strict_one_on_the_same_images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_grid.make({"JR": 0.2, "NR": 0.2})
    found = black_box.frame(report_grid.read())
    shown = black_box.wide(found)
    assert list(shown.columns)[-2:] == ["square", "black-box only"] and shown.loc["Standard", "from Standard"] == "–"
    assert shown.loc["JR", "from AT(L2,1.5)"] == "40.0<small>strict 32.5</small>"
    frame = found.set_index(["technique", "attack"])
    assert frame.drop("square", level="attack")["n"].unique().tolist() == [40]
    paper, strict = 16, 13  # of the 100 images at L∞ 0.2, the first ones
    cell = frame.loc[("JR", "from AT(L2,1.5)")]
    assert (cell["accuracy_percent"], cell["strict_percent"], cell["n"]) == (100 * paper / 40, 100 * strict / 40, 40)
    assert ("Standard", "from Standard") not in frame.index and ("JR", "from Standard") in frame.index
    square = frame.loc[("JR", "square")]
    assert (square["accuracy_percent"], square["n"], square["broken_by_black_box_only"]) == (100, 2 * 13, 0)
