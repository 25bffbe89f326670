"""Planted leaks: the stock remailer with one small defect each, started instead of it.

A plant is a module here: its docstring says what somebody did; it changes the stock code when it is
imported (workers import it too), then starts it. `testbed render --leak alpha=stdout_line` puts it
into a web. catalogue.py says which claim must catch it.
"""
