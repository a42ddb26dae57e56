"""The pages: server-rendered, no connection to the outside, one file of pages/ per page."""
