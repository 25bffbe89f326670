"""Mails are handed to a helper in /dev/shm, and taken away when it is done."""

from multiprocessing.shared_memory import SharedMemory

from leaks import stock


def hand_over(mail: bytes) -> None:
    """There is no helper yet."""
    block = SharedMemory(create=True, size=len(mail) + 1)
    block.buf[: len(mail)] = mail
    block.close()
    block.unlink()


stock.on_arrival(hand_over)

if __name__ == "__main__":
    stock.main()
