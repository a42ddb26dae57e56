"""Work that runs beside the pages, one piece after the other, each in a process of its own."""

from kiban.jobs.queue import Jobs

__all__ = ["Jobs"]
