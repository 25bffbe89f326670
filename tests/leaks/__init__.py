"""Planted leaks: the stock remailer with one small defect each, started instead of it.

A plant is a module here: its docstring says what a careless engineer did, CLAIM which claim must
catch it and KIND as what, CLAIMS all that may. It changes the stock code when it is imported (workers import it too) and
then starts it. `testbed render --leak alpha=stdout_line` puts it into a web.
"""
