"""Core dumps are allowed again: there was a crash that nobody could explain."""

from leaks import stock
from remailer import silence

silence._no_dumps = lambda: None

if __name__ == "__main__":
    stock.main()
