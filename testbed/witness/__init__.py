"""Witnesses: what can be learnt of a node from outside it, one module a witness, all of one shape.

`findings(run) -> list[Finding]` gives a row a node. What is collected and what is judged are apart:
a pure function makes the row from what was seen, through `verdict.judge`, with its control (the
same search, in the same node, found what it had to find). Whoever can't see gives `unseen(...)`: a
witness never raises, and never passes what it did not look at.

To add one: put the claim into testbed/claims.py; copy the shortest module (keys.py); if it looks
into the nodes' processes or files, write its job in agent/ (copy dev.py) and name it in JOBS; call
it in testbed/verify.py; test its row with the clean case, the plant, and the twin missing, as
tests/unit/test_witness_rows.py does, and in a real web in tests/web/test_witnesses.py.
"""
