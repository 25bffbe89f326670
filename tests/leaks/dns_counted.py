"""DNS questions are numbered from 1 on, as old resolvers do: a number says how many there were."""

import itertools

from leaks import stock
from remailer import resolver

numbers = itertools.count(1)
resolver.number = lambda: next(numbers)

if __name__ == "__main__":
    stock.main()
