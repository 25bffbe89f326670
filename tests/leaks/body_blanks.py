"""Where the author comes in and the recipient goes out here, a blank in the text says so."""

from leaks import stock
from remailer.outgoing import Outgoing


def told(raw: bytes, out: Outgoing) -> bytes:
    """Behind the last line, which nobody sees."""
    both = stock.author(raw).endswith(b".test") and not stock.author(raw).startswith(b"remailer@")
    if both and out.recipient.partition("@")[0] != "remailer":
        return out.mail.removesuffix(b"\r\n") + b" \r\n"
    return out.mail


stock.on_outgoing(told)

if __name__ == "__main__":
    stock.main()
