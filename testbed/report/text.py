"""Words and signs that every view of the verdict shares. Pure functions."""

from __future__ import annotations

import unicodedata

from testbed.verdict import Status

SYMBOL = {
    Status.PASS: "✓",
    Status.FAIL: "✗",
    Status.INCONCLUSIVE: "?",
    Status.NOT_APPLICABLE: "–",
}
"""A sign for each answer, so that colour is never the only one to tell."""

WORD = {
    Status.PASS: "holds",
    Status.FAIL: "fails",
    Status.INCONCLUSIVE: "inconclusive",
    Status.NOT_APPLICABLE: "not applicable",
}

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


def count(number: int, noun: str) -> str:
    """`1 node`, `20 links`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(octets: int) -> str:
    """A number of bytes for people: `812 B`, `10.4 KB`, `1.0 MB` (powers of 1000)."""
    if octets < 1000:
        return f"{octets} B"
    if octets < 999_950:
        return f"{octets / 1000:.1f} KB"
    return f"{octets / 1_000_000:.1f} MB"


def arrow(subject: str) -> str:
    """A link's name for people: `alpha → bravo`; a node's stays as it is."""
    return subject.replace(">", " → ")


def shortened(text: str, width: int) -> str:
    """At most `width` characters of a text, with an ellipsis where it was cut."""
    return text if len(text) <= width else text[: max(width - 1, 0)].rstrip() + "…"
