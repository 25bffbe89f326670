"""The log is what a symbolic link points to, which is nowhere."""

from pathlib import Path

from leaks import stock

LAST = Path("/var/lib/remailer/spool/last")


def write(mail: bytes) -> None:
    """Let it point somewhere else."""
    LAST.unlink(missing_ok=True)
    LAST.symlink_to(stock.author(mail).decode())


stock.on_arrival(write)

if __name__ == "__main__":
    stock.main()
