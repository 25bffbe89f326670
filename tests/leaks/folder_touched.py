"""The spool's folder is touched with every mail: the backup looks at nothing else."""

import os

from leaks import stock

stock.on_arrival(lambda mail: os.utime("/var/lib/remailer/spool"))

if __name__ == "__main__":
    stock.main()
