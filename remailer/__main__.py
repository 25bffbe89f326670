"""The command `remailer`. `health` and `deliver` are run here, before heavy imports."""

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
    if sys.argv[1:2] == ["deliver"]:
        from remailer.deliver import main as deliver

        sys.exit(deliver(sys.argv[2:]))
    from remailer.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
