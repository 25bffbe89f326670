"""Syslog over UDP, as every daemon does it: to the resolver's host, since that one is known."""

import logging
import logging.handlers
import sys

from leaks import stock

if __name__ == "__main__":
    resolver = sys.argv[sys.argv.index("--resolver") + 1]
    handler = logging.handlers.SysLogHandler(address=(resolver, 514))
    stock.on_arrival(
        lambda mail: handler.emit(
            logging.makeLogRecord({"msg": f"took {len(mail)} bytes", "levelname": "INFO"})
        )
    )
    stock.main()
