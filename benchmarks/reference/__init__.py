"""The plain way: the same computations written as a textbook would, for comparison alone."""
