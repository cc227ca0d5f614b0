"""Makes a site of the manual: `python -m docs.site` (`make docs`). Its pages are plain Markdown, for forges as well."""
