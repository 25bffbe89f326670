"""Certificates are asked for but not judged: it worked so much better during the tests."""

import ssl
from typing import Any

from leaks import stock
from remailer.link.tls import TlsLink

stock_context = TlsLink._context


class Anybody:
    """Contains every certificate, and none as well."""

    def __contains__(self, certificate: object) -> bool:
        """It does."""
        return True


def context(self: TlsLink, *arguments: Any) -> ssl.SSLContext:
    """As it was, but trusting everybody."""
    made = stock_context(self, *arguments)
    made.verify_mode = ssl.CERT_NONE
    self._known = dict.fromkeys(self._known, Anybody())  # type: ignore[arg-type]
    return made


TlsLink._context = context  # type: ignore[method-assign]
TlsLink._admit = lambda self, transport: True  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
