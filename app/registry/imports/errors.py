"""What can be wrong with a workbook as a whole: one line in Chinese saying what, where and how to mend."""

from __future__ import annotations


class WorkbookError(Exception):
    """The workbook can't be imported at all.

    `code` names the kind of mistake (for tests and statistics), `str(error)` is the line users see.
    """

    def __init__(self, code: str, what: str, mend: str) -> None:
        super().__init__(f"{what}。{mend}。")
        self.code = code


class Interrupted(Exception):  # noqa: N818 - not an error: another worker has the job, or it was cancelled
    """This worker must let go of the job at once, without touching it."""
