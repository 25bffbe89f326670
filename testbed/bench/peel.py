"""`peel`: layers a second in our worker, over gpg as a subprocess, both in one container."""

from __future__ import annotations

from docker import DockerClient

from testbed.bench import inside
from testbed.bench.compare import Comparison

AIM = 5.0
KINDS = {
    "curve25519_gpg": "Curve25519 key of gpg's, message made by gpg",
    "curve25519_client": "Curve25519 key of gpg's, message made by `remailer send`",
    "rsa3072_gpg": "RSA-3072 key of gpg's, message made by gpg",
    "rsa3072_client": "RSA-3072 key of gpg's, message made by `remailer send`",
    "own_client": "a remailer's own key, message made by `remailer send`; gpg, which can't open "
    "that one, opens its own to the same key",
}
"""What agent/peel.py measures."""


def measure(
    docker: DockerClient, image: str, name: str, pairs: int, layers: int, seed: int
) -> list[Comparison]:
    """One comparison for each kind of key and maker. Raises WebError."""
    found: dict[str, list[tuple[float, float]]] = inside.alone(
        docker, image, name, "peel", pairs, layers, seed
    )
    return [
        Comparison(
            f"peel_{kind}",
            f"layers of 10 KB peeled a second: {KINDS[kind]}",
            "the worker's peel",
            "gpg as a subprocess",
            "layers/s",
            tuple((ours, theirs) for ours, theirs in samples),
            aim=AIM,
        )
        for kind, samples in found.items()
    ]
