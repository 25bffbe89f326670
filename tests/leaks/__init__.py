"""Planted leaks: the stock remailer with one small defect each, started instead of it.

A plant is a module here. Its docstring says what somebody did; CLAIM is the claim that must catch
it, KIND as what, CLAIMS are all that may accuse the node because of it. It changes the stock code
when it is imported (workers import it too), then starts it. `testbed render --leak
alpha=stdout_line` puts it into a web.
"""
