"""Guardrails: what looks at requests and answers on their way and may let them pass, block them, mask them or flag them.

`config` reads them, `screening` runs those that a request is under, `base` says what one is. `spans` finds stretches of text,
also in streams cut anywhere; the other modules are one kind of guard each. Without a configuration nothing here is imported.
Programs import `CustomGuardrail` from here.
"""

from __future__ import annotations

from dragoman.gateway.guardrails.custom import CustomGuardrail

__all__ = ["CustomGuardrail"]
