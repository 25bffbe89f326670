"""Rows of the spool are as long as their mails: padding was a waste of the disk."""

from leaks import stock
from remailer import seal

seal.size_class = lambda length: length

if __name__ == "__main__":
    stock.main()
