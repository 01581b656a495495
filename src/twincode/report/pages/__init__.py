"""The parts of the page, one a file: each ``sections`` turns results into what a reader sees."""

from twincode.report.pages import dataset, frontier, overview, paired, provenance, samples

PAGES = (
    *(frontier.sections, overview.sections, paired.sections, samples.sections),
    *(dataset.sections, provenance.sections),
)
