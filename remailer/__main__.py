"""The command `remailer`. `remailer health` is answered here, before anything heavy is imported."""

from __future__ import annotations

import sys

HEALTH_SECONDS = 3.0


def healthy(port: int = 25) -> bool:
    """Whether the node greets on its port 25."""
    import socket

    try:
        with socket.create_connection(("127.0.0.1", port), HEALTH_SECONDS) as connection:
            greeting = connection.recv(3)
            connection.sendall(b"QUIT\r\n")
            return greeting == b"220"
    except OSError:
        return False


def main() -> None:
    """Run the command line."""
    if sys.argv[1:] == ["health"]:
        sys.exit(0 if healthy() else 1)
    from remailer.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
