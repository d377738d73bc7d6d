"""Run the course: every notebook in a fresh kernel, then a site of one page per chapter, a table and a JUnit report.

`chapter` runs one notebook, `pages` makes its page, `site` the index, links and search around the pages, `report` the
table and the report for machines, and `run` all of it.
"""

from faceinpaint.course.chapter import Outcome, run_chapter
from faceinpaint.course.pages import write_pages
from faceinpaint.course.run import CELL_SECONDS, NOTEBOOKS, find_chapters, run_course
from faceinpaint.course.site import write_site

__all__ = [
    "CELL_SECONDS", "NOTEBOOKS", "Outcome", "find_chapters", "run_chapter", "run_course", "write_pages", "write_site",
]
