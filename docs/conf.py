"""The docs as a site: `make docs` builds it into build/site. Everything works offline."""

from __future__ import annotations

from p2vprep import __version__

project = "p2vprep"
author = "The p2vprep maintainers"
copyright = author  # noqa: A001 - the name is Sphinx's
version = release = __version__
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
master_doc = "index"
exclude_patterns: list[str] = []
html_theme = "alabaster"
html_theme_options = {
    "description": "Prepare the disk of a converted Windows machine, offline",
    "fixed_sidebar": False,
    "font_family": "sans-serif",
    "page_width": "1100px",
    "sidebar_collapse": True,
}
html_show_sourcelink = False
html_copy_source = False
html_show_sphinx = False
myst_heading_anchors = 4
"""Headings have the anchors that code forges give them."""
suppress_warnings = ["misc.highlighting_failure"]
"""Examples may be excerpts that are no whole document."""
