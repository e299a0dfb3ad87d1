"""Whom our row is held against in each family: like with like where there is such a row, else the best."""

from collections.abc import Mapping

from lib.report.families import Family, families, permuted_targets, teacher_targets

AGAINST: tuple[Family, ...] = ("standard", "permuted", "non_robust", "jacobian", "adversarial")


def opponents(best: Mapping[Family, str], rows: list[str], document: dict | None = None) -> dict[Family, tuple[str, str]]:
    """Family -> (our row, its row), in the order of `AGAINST`.

    Permuted targets are held against the very targets whose pixels they are (`permute.source`), a non-robust teacher's maps against the
    robust teacher's by the same saliency method; everything else against the best row of its family.

    Args:
        best: the best row of each family, "robust" among them.
        rows: every row that may be compared.
        document: params.yaml of a published run; None: the one in the current folder.
    """
    found: dict[Family, tuple[str, str]] = {}
    for family in (family for family in AGAINST if family in best):
        pair = best["robust"], best[family]
        if family == "permuted":
            pair = _same_maps(rows, document) or pair
        if family == "non_robust":
            pair = pair[0], _same_method(pair, rows, document)
        found[family] = pair
    return found


def _same_maps(rows: list[str], document: dict | None) -> tuple[str, str] | None:
    """The source of the permutation and the row whose targets are permuted most; None where one of them is missing."""
    source, *permuted = permuted_targets(document)
    present = [row for row in permuted if row in rows]
    return (source, present[-1]) if source in rows and present else None


def _same_method(pair: tuple[str, str], rows: list[str], document: dict | None) -> str:
    """A row of a non-robust teacher's maps by the method of our row; the best one where there is none."""
    targets, kinds = teacher_targets(document), families(document)
    method = targets[pair[0]][1]
    same = [row for row in rows if kinds[row] == "non_robust" and row in targets and targets[row][1] == method]
    return same[0] if same and pair[1] not in same else pair[1]
