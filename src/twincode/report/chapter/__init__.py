"""The results chapter: a study's numbers as tables, figures and computed sentences."""

from twincode.report.chapter.document import write_chapter

__all__ = ["write_chapter"]
