"""How the pages of this folder become a site: ``make docs``."""

project = "twincode"
author = "The twincode developers"
copyright = "2026, the twincode developers"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["build", "jupyter_execute"]
html_theme = "furo"
html_title = "twincode"
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_execution_in_temp = True
autodoc_typehints = "none"
