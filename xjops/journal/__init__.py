"""The journal: who did what, when, to which hosts, with what result; hash-chained JSON lines."""

from xjops.journal.chain import Entry, Journal, JournalError
from xjops.journal.runs import Run, noted, recorded

__all__ = ["Entry", "Journal", "JournalError", "Run", "noted", "recorded"]
