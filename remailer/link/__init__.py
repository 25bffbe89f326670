"""Links: how one remailer hands mail to the next, one module a link stage."""
