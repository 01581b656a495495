"""What each code of a model does in a data set, as one page."""

from twincode.explorer.page import explore

__all__ = ["explore"]
