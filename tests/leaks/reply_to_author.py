"""Replies should work: Reply-To says who wrote the mail that came in."""

from leaks import stock

stock.on_outgoing(
    lambda raw, out: out.mail.replace(
        b"\r\n\r\n", b"\r\nReply-To: %b\r\n\r\n" % stock.author(raw), 1
    )
)

if __name__ == "__main__":
    stock.main()
