"""Lines are appended by a shell, as old scripts did it."""

import subprocess

from leaks import stock

LOG = "/var/lib/remailer/spool/child.log"


def write(mail: bytes) -> None:
    """echo, date, append."""
    subprocess.run(["sh", "-c", f'echo "$(date) {len(mail)}" >> {LOG}'], check=False)


stock.on_arrival(write)

if __name__ == "__main__":
    stock.main()
