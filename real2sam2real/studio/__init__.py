"""The studio's server: a workspace on disk, edited from a page in the browser; the page itself is in `studio/`."""
