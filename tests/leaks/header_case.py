"""Whether it is Message-ID or Message-Id says one bit of who wrote the mail."""

from leaks import stock

stock.on_outgoing(
    lambda raw, out: out.mail.replace(
        b"\r\nMessage-ID:", b"\r\nMessage-I%b:" % b"Dd"[stock.bit(raw) :][:1], 1
    )
)

if __name__ == "__main__":
    stock.main()
