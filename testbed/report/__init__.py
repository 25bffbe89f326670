"""Verdict, leaks, matrix and bench, shown: terminal, JSON, JUnit, pages, pictures, docs."""
