"""A counter for the dashboards: statsd by UDP to the host that answers DNS, too."""

import socket
import sys

from leaks import stock

if __name__ == "__main__":
    there = (sys.argv[sys.argv.index("--resolver") + 1], 8125)
    meter = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stock.on_arrival(lambda mail: meter.sendto(b"remailer.mails:1|c", there))
    stock.main()
