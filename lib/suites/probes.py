"""Suite `probes`: what the gate needs to know beside the attacks (lib/attacks/probes.py)."""

from lib.attacks.probes import Settings, records

__all__ = ["Settings", "records"]
