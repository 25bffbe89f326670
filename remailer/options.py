"""Options that the node's and the sender's half of the command line have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DIRECTORY = Path("/etc/remailer/directory.json")

DirectoryOption = Annotated[Path, typer.Option("--directory", help="file of all remailers")]
