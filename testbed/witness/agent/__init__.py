"""Runs inside the witness container, with root's eyes on the nodes' processes and nothing else.

Standard library and canary.py only. Each job takes a JSON object and gives one answer a node.
"""
