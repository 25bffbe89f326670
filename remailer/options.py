"""Options that the node's and the sender's half of the command line have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from remailer.places import DIRECTORY as DIRECTORY

DirectoryOption = Annotated[Path, typer.Option("--directory", help="file of all remailers")]
