"""One mail in ten is urgent: at once, by a TLS connection of its own, past pool and pacer."""

from leaks import past_pacer, stock

past_pacer.hurry(0.10)

if __name__ == "__main__":
    stock.main()
