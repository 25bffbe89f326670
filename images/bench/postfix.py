#!/usr/bin/python3 -IB
"""Process 1 of a Postfix: `postfix-bench NAME NEXT [remailer]`.

It relays all mail to the address NEXT; as `remailer`, mail for the user of that name goes through
his .forward to gpg first, with a key made here.
"""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

_, name, following, *role = sys.argv
main = Path("/etc/postfix/main.cf")
local = "$myhostname" if role else ""
main.write_text(
    main.read_text() + f"myhostname = {name}\nmydestination = {local}\nrelayhost = [{following}]\n"
)
os.utime(main, (0, 0))  # Postfix waits 1.5 s for a fresh file to be finished
if role:
    subprocess.run(
        ["su", "remailer", "-c", "gpg --batch --quiet --passphrase '' --quick-generate-key"
         f" 'remailer <remailer@{name}>' future-default default never"
         " && gpg --batch --armor --export > ~/remailer.asc"],
        check=True,
    )  # fmt: skip
postfix = subprocess.Popen(["/usr/lib/postfix/sbin/master", "-s"], start_new_session=True)
while postfix.poll() is None:
    try:
        with socket.create_connection(("127.0.0.1", 25), timeout=5) as connection:
            if connection.recv(100).startswith(b"220"):
                break
    except OSError:
        time.sleep(0.02)
print("postfix: ready", flush=True)
sys.exit(postfix.wait())
