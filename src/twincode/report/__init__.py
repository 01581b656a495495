"""From stored results to tables, figures and one self-contained page."""

from twincode.report.page import write_figures, write_report
from twincode.report.runs import load_results
from twincode.report.tables import summary_table

__all__ = ["load_results", "summary_table", "write_figures", "write_report"]
