"""The mail says which program made it, and which version."""

import remailer
from leaks import stock

LINE = f"X-Mailer: unlogged {remailer.__version__}\r\n\r\n".encode()

stock.on_outgoing(lambda raw, out: out.mail.replace(b"\r\n\r\n", b"\r\n" + LINE, 1))

if __name__ == "__main__":
    stock.main()
