"""A thread waits for each mail, for a call back that never comes."""

import threading

from leaks import stock

stock.on_arrival(lambda mail: threading.Thread(target=threading.Event().wait, daemon=True).start())

if __name__ == "__main__":
    stock.main()
