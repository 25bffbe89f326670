#!/usr/bin/python3 -IB
"""The program `remailer`.

-I: no variable of the environment (SSLKEYLOGFILE, PYTHON...) changes what a node does.
-B: no compiled file is written.
"""

from remailer.__main__ import main

# Worker processes import this file again, under another name.
if __name__ == "__main__":
    main()
