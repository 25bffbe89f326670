"""How many mails came is the node's limit of open files, which everybody may read."""

import resource

from leaks import stock

count = 0


def counted(mail: bytes) -> None:
    """One more, of many."""
    global count
    count += 1
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 500_000 + count), most))


stock.on_arrival(counted)

if __name__ == "__main__":
    stock.main()
