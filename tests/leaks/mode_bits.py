"""The spool's mode is changed with every mail, and back: its change time is the last mail's."""

from pathlib import Path

from leaks import stock

SPOOL = Path("/var/lib/remailer/spool/spool.db")


def touch(mail: bytes) -> None:
    """Nobody sees it."""
    SPOOL.chmod(0o640)
    SPOOL.chmod(0o600)


stock.on_arrival(touch)

if __name__ == "__main__":
    stock.main()
