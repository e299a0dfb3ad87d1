"""Suite `pgd`: PGD and FGSM in two semantics (lib/attacks/pgd.py)."""

from lib.attacks.pgd import Settings, records

__all__ = ["Settings", "records"]
