"""Makes what was found on disks and wires safe to show. Pure functions."""

from __future__ import annotations

import unicodedata

_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def printable(text: str) -> str:
    """What was found, safe to show: no control, bidirectional or unassigned character survives.

    They become `\\xNN` or `\\uNNNN`; line ends and tabs become `\\n` and so on. Evidence comes from
    mails and wires, that is from whoever wrote them.
    """
    return "".join(_shown(char) for char in text)


def _shown(char: str) -> str:
    if unicodedata.category(char) not in _UNSAFE:
        return char
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")
