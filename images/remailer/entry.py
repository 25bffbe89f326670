#!/usr/bin/python3 -IB
# -I: no variable of the environment (SSLKEYLOGFILE, PYTHON...) changes what a node does; -B: no file is written.
from remailer.cli import main

main()
