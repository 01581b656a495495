"""Figures, one a file: each function turns results into a ``Figure`` or, without data, None."""
