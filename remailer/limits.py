"""`Max-Size`, `Max-Date`, `Max-Count`: what protects a reply block from those who have it.

All three drop a message; a value that can't be read drops it, too, as it was meant to protect. Pure
but for the counting, which the spool does (`Use`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from email.utils import parsedate_to_datetime

from remailer.errors import Dropped

_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Use:
    """That a message may go only if its PGP message was used at most so often today."""

    digest: bytes
    """32 bytes that stand for the PGP message."""
    most: int


def check_size(value: str, size: int) -> None:
    """Raise Dropped if a text of `size` bytes is larger than so many kilobytes."""
    if size > _number(value) * 1024:
        raise Dropped("Max-Size")


def check_date(value: str, now: datetime) -> None:
    """Raise Dropped if it is later than that.

    `2026-08-25` and `25 Aug 2026` are that whole day (UTC); with a time they are that moment, in
    the zone that is named (RFC 5322, 3.3), or else UTC.
    """
    if now > _moment(value):
        raise Dropped("Max-Date")


def use(value: str, digest: bytes) -> Use:
    """What is to be counted. Raises Dropped if nothing was encrypted: nothing can be counted."""
    if not digest:
        raise Dropped("Max-Count")
    return Use(digest, _number(value))


def _number(value: str) -> int:
    if not _NUMBER.fullmatch(value):
        raise Dropped("number")
    return int(value)


def _moment(value: str) -> datetime:
    try:
        if ":" in value:
            moment = parsedate_to_datetime(value)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return datetime.combine(_day(value), time.max, UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        raise Dropped("Max-Date") from None


def _day(value: str) -> date:
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return date.fromisoformat(value)
    return parsedate_to_datetime(f"{value} 00:00").date()
