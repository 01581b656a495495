"""Executors: who carries the runs of a study out.

Nothing is imported here, so that a worker loads no more than its runs need.
"""
