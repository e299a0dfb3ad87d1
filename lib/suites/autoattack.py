"""Suite `autoattack`: APGD-CE, APGD-T, FAB-T and Square (lib/attacks/autoattack.py)."""

from lib.attacks.autoattack import Settings, records

__all__ = ["Settings", "records"]
