"""The checkers checked: planted leaks against the verdict, and what that adds up to."""
