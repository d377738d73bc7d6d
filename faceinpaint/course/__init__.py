"""What the course needs: exercises, figures, inspection, studies, and the runner of all chapters.

`run` runs every notebook in a fresh kernel: `chapter` one of them, `pages` makes its page, `site` the index, links and
search around the pages, `report` the table and the report for machines; `publish` makes of it what is given away.
Nothing is imported here: a chapter wants exercises and figures, and not the runner.
"""
