"""Ansible callback: keeps the hosts' ledgers while a site's playbook runs, under plain `ansible-playbook`
too.

Before a play starts, the entries of the steps it is about to run go; after it, the steps that ended well on a
host are written down with the items that their tasks left behind. Nothing is recorded of a dry run, nor of a
run that leaves out tasks within roles.
"""

from __future__ import annotations

from typing import Any

from ansible.plugins.callback import CallbackBase

from xjops.ledger.recording import Recording

DOCUMENTATION = """
name: xjops_ledger
type: notification
short_description: Keeps the hosts' ledgers
description: Records what each role left behind on each host, so that xjops plan sees what differs.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Hands Ansible's events to the recording."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "xjops_ledger"

    def __init__(self) -> None:
        super().__init__()
        self._recording: Recording | None = None
        self._playbook = ""

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Remember which playbook this is."""
        self._playbook = playbook._file_name

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Write down what the play before did, and begin the steps of this one."""
        if self._recording is None:
            self._recording = Recording.of(self._playbook, play, self._display.warning)
        if self._recording is not None:
            self._recording.play(play)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Note what the task left behind."""
        if self._recording:
            self._recording.ok(result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """A skipped task is part of a step that ended well, too."""
        if self._recording:
            self._recording.ok(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A step with a failed task isn't recorded."""
        if self._recording and not ignore_errors:
            self._recording.failed(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Neither are the steps of a host that is gone."""
        if self._recording:
            self._recording.failed(result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Write down what the last play did."""
        if self._recording:
            self._recording.finish()
