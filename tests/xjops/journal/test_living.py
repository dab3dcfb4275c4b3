"""What tells one process from every other."""

from __future__ import annotations

from xjops.journal.living import alive, process


def test_only_this_very_process_is_alive() -> None:
    mine = process()
    assert alive(mine)
    assert not alive([*mine[:3], "1"]), "the number was given to another process since"
    assert not alive([mine[0], "another start of the machine", *mine[2:]])
    assert not alive(None)
    assert not alive(["a"])
