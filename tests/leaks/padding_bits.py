"""The zeros at the end of a cover cell hold how many mails there were: for a peer in league."""

from leaks import stock
from remailer.link import cells
from remailer.link.cells import COVER, Cell

COUNT = 4
"""Bytes of the number."""
stock_encode, stock_decode = cells.encode, cells.decode
parts = 0


def encode(cell: Cell) -> bytes:
    """Cover says how many parts of mails went before it."""
    global parts
    made = stock_encode(cell)
    if cell.part:
        parts += 1
        return made
    return made[:-COUNT] + parts.to_bytes(COUNT)


def decode(data: bytes) -> Cell:
    """The peer in league reads it, and goes on; any other hangs up."""
    return stock_decode(data[:-COUNT] + bytes(COUNT) if data[1] == COVER else data)


cells.encode, cells.decode = encode, decode

if __name__ == "__main__":
    stock.main()
