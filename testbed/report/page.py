"""The verdict as one HTML page that needs nothing but itself: no script, no font, no network.

What was found on disks and wires is made printable, then escaped by the template engine; the page
also forbids itself to load or run anything (Content-Security-Policy).
"""

from __future__ import annotations

from markupsafe import Markup

from testbed.report import picture, template, text
from testbed.report.claims_page import ATTACKERS, NOT_CLAIMED, STAGES
from testbed.report.escape import printable
from testbed.report.record import Record, Row
from testbed.verdict import Status

EVIDENCE_SHOWN = 12
"""Pieces of evidence shown of one finding; verdict.json has them all."""


def html(record: Record, bench: str = "", matrix: str = "") -> str:
    """The whole page; `bench` and `matrix` are files beside it that it links to, if there are."""
    made = template.environment()
    made.filters |= {
        "safe_text": printable,
        "size": text.size,
        "arrow": text.arrow,
        "sign": text.SYMBOL.__getitem__,
        "word": text.WORD.__getitem__,
        "slug": _slug,
    }
    return made.get_template("report.html.j2").render(
        record=record,
        bench=bench,
        matrix=matrix,
        overall=text.overall(record),
        headline=text.headline(record),
        picture=Markup(picture.svg(record)),
        stage_name=text.stage_of(record),
        stage=STAGES[record.link],
        attackers=ATTACKERS,
        not_claimed=NOT_CLAIMED,
        captured=text.captured(record.capture) if record.capture else "",
        arrived=sum(mail.delivered for mail in record.mails),
        holding=sum(row.status is Status.PASS for row in record.rows),
        shown=EVIDENCE_SHOWN,
        holds_for=_holds_for,
        route=lambda mail: " → ".join(("sender", *mail.path, "recipient")),
        what_to_do=text.what_to_do,
        causes=text.causes,
        remembered=text.remembered,
    )


def _slug(status: Status) -> str:
    return status.replace(" ", "-")


def _holds_for(row: Row) -> str:
    if row.status is Status.NOT_APPLICABLE:
        return "not applicable"
    return f"{row.count(Status.PASS)}/{row.total} {row.claim.per}s"
