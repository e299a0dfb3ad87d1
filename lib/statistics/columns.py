"""The columns of the tables: an attack at a radius (or no attack), how it is written, and the accuracies that belong to it."""

from dataclasses import dataclass

import pandas as pd

from lib.evaluation.threats import threats

SEMANTICS = {"paper": "paper’s attack", "strict": "strict attack", "autoattack": "AutoAttack", "transfer": "transfer attack"}
NORMS = {"l2": "L2", "linf": "L∞"}


@dataclass(frozen=True)
class Column:
    """An attack at one radius; `CLEAN` is the absence of one."""

    semantics: str
    attack: str
    norm: str
    epsilon: float

    @property
    def threat(self) -> str:
        """The threat model in words.

        >>> Column("paper", "pgd40", "linf", 8 / 255).threat
        'L∞ 8/255'
        """
        return f"{NORMS.get(self.norm, self.norm)} {radius(self.epsilon)}"

    @property
    def group(self) -> str:
        """What stands above the columns of one attack: `paper: pgd40`, `AutoAttack, shortened`."""
        named = self.semantics == "autoattack" or self.semantics == self.attack
        return self.called if named else f"{self.semantics}: {self.attack}"

    @property
    def called(self) -> str:
        """The attack in words.

        >>> Column("strict", "pgd40", "", 0).called, Column("autoattack", "lite", "", 0).called
        ('strict attack', 'AutoAttack, shortened')
        """
        words = SEMANTICS.get(self.semantics, self.semantics)
        return f"{words}, shortened" if self.semantics == "autoattack" and self.attack != "standard" else words


CLEAN = Column("", "clean", "", 0.0)


def radius(epsilon: float) -> str:
    """A radius as people write it: a short decimal, or a multiple of 1/255.

    >>> radius(0.25), radius(80 / 255), radius(1.5)
    ('0.25', '80/255', '1.5')
    """
    multiple = round(epsilon * 255)
    if round(epsilon, 3) != epsilon and abs(epsilon * 255 - multiple) < 0.05:
        return f"{multiple}/255"
    return f"{epsilon:g}"


def attacks(accuracies: pd.DataFrame) -> list[tuple[str, str]]:
    """The different (semantics, attack), in the order in which they were recorded."""
    return [kind for kind in dict.fromkeys(zip(accuracies["semantics"], accuracies["attack"])) if kind[1] != "clean"]


def in_columns(accuracies: pd.DataFrame) -> list[tuple[str, str]]:
    """Those of `attacks` that have columns and curves: all but transfer, which is weaker than the others by design."""
    return [(semantics, attack) for semantics, attack in attacks(accuracies) if semantics != "transfer"]


def table_columns(accuracies: pd.DataFrame) -> list[Column]:
    """The columns of the main table: clean, then every attack in the threat models of the list `table`."""
    asked = [(threat.norm, threat.epsilon) for threat in threats("table")]
    return [CLEAN] + [Column(*kind, *threat) for kind in in_columns(accuracies) for threat in asked]


def at_threat(accuracies: pd.DataFrame, norm: str, epsilon: float) -> dict[str, Column]:
    """One threat model under the first attack of each semantics that has columns: semantics -> column."""
    found: dict[str, Column] = {}
    for semantics, attack in in_columns(accuracies):
        found.setdefault(semantics, Column(semantics, attack, norm, epsilon))
    return found


def per_seed(accuracies: pd.DataFrame, technique: str, column: Column) -> pd.Series:
    """The accuracies of one technique in one column, by seed; empty where it was not attacked so."""
    chosen = (accuracies["technique"] == technique) & (accuracies["attack"] == column.attack)
    if column != CLEAN:
        chosen &= (accuracies["semantics"] == column.semantics) & (accuracies["norm"] == column.norm)
        chosen &= accuracies["epsilon"] == column.epsilon
    return accuracies[chosen].set_index("seed")["accuracy"]
