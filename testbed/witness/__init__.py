"""Witnesses: what can be learnt of a node from outside it, one module a witness, all of one shape.

docs/witness.md tells the shape, and how to add one.
"""
