"""Witnesses: what can be learnt of a node from outside it, one module a witness."""
