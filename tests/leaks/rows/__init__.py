"""The catalogue's rows by grade, but for those of port 25 and DNS (edges) and of cells (cells).

catalogue.py puts them together.
"""

WRITES, CALLS = frozenset({"silent-writes"}), frozenset({"silent-calls"})
"""What may be seen of a file, and of a system call, beside the claim that must."""
