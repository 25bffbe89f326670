"""Deleted rows are not overwritten and their pages not given back: it wears out the disk."""

from leaks import stock
from remailer import spool

spool._SCHEMA = spool._SCHEMA.replace("secure_delete = ON", "secure_delete = OFF").replace(
    "auto_vacuum = INCREMENTAL", "auto_vacuum = NONE"
)

if __name__ == "__main__":
    stock.main()
