"""The rows of the catalogue by grade; catalogue.py puts them together."""

WRITES, CALLS = frozenset({"silent-writes"}), frozenset({"silent-calls"})
"""What may be seen of a file, and of a system call, beside the claim that must."""
