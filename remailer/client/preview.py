"""What `send --dry-run` shows: the chain, the size at each hop, and what each remailer learns."""

from __future__ import annotations

from collections.abc import Sequence

from remailer import openpgp
from remailer.client.chain import Forward


def lines(made: Forward, recipients: Sequence[str]) -> list[str]:
    """A finished message's journey, for people."""
    last = len(made.hops)
    stops = ["your mail host", *(hop.address for hop in made.hops), ", ".join(recipients)]
    found = []
    for number, (hop, size) in enumerate(zip(made.hops, made.sizes, strict=True), start=1):
        found += [
            f"{number}. {hop.name} <{hop.address}>",
            f"   key     {openpgp.identify(hop.openpgp).fingerprint}",
            f"   takes   {size} bytes, from {stops[number - 1]}",
            f"   reads   to mail it to {stops[number + 1]}",
        ]
        if number == last:
            found[-1] += f", and the text: {made.letter} bytes (with its header) of {made.layer}"
    return [*found, "Nothing was sent. A chain with * is drawn anew each time."]
