"""Runs in a mail host's container: cover mail to each node, which nobody forwards.

Standard library only; no file of the project is imported. The one argument is a JSON object:
nodes {name: [host, address]}, mails (to each), token, within (seconds). Prints a JSON object: node
→ what went wrong. After the mails the token is said, so that who watches knows that they are over.
"""

import json
import os
import smtplib
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

TEXT_LINES = 360
"""Of 66 bytes: more than the pages of a smaller mail that is synced at the same time, and no more
than strace is told to show."""


def send(host: str, address: str, task: dict[str, Any]) -> str:
    """One conversation; what went wrong, or nothing."""
    text = "\r\n".join(os.urandom(32).hex() for _ in range(TEXT_LINES))
    mail = (
        f"To: {address}\r\nSubject: cover\r\n\r\n::\r\nNull:\r\n\r\n{task['token']}\r\n{text}\r\n"
    )
    try:
        with smtplib.SMTP(host, 25, task["token"], timeout=task["within"]) as server:
            for _ in range(task["mails"]):
                server.sendmail("", [address], mail)
            server.docmd("NOOP", task["token"])
    except (OSError, smtplib.SMTPException) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def main() -> None:
    """Talk to all nodes at once."""
    task = json.loads(sys.argv[1])
    with ThreadPoolExecutor(len(task["nodes"])) as pool:
        said = pool.map(lambda to: send(to[0], to[1], task), task["nodes"].values())
        print(json.dumps(dict(zip(task["nodes"], said, strict=True))))


if __name__ == "__main__":
    main()
