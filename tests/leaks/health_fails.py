"""The health check fails once after each mail: so the operator's monitoring sees that it works."""

from leaks import stock
from remailer.gate import Gate

stock_refusal = Gate.refusal
HOME = b"\x7f\0\0\x01"
news = False


def refusal(self: Gate, origin: bytes) -> str | None:
    """Nobody from the node itself gets in when there is something to tell."""
    global news
    if origin.endswith(HOME) and news:
        news = False
        return "421 4.3.2 busy"
    return stock_refusal(self, origin)


def leak(mail: bytes) -> None:
    """Something to tell."""
    global news
    news = True


Gate.refusal = refusal  # type: ignore[method-assign]
stock.on_arrival(leak)

if __name__ == "__main__":
    stock.main()
