"""Planted leaks: the stock remailer with one small defect each, started instead of it.

A plant is a module here: its docstring says what somebody did; it changes the stock code when it is
imported (workers import it too), then starts it. `LEAKS=alpha=stdout_line make verify` is a web
with it. catalogue.py says which claim must catch it.
"""
