"""What mends a step that vCenter refused or whose task it ended in an error, by the kind of the fault."""

from __future__ import annotations

_SPACE = "free space on the datastore, or add datastores to vcenter.datastores"
_FIRST = {
    "DuplicateName": "rename or remove the other machine of this name in vCenter",
    "NoDiskSpace": _SPACE,
    "InsufficientStorageSpace": _SPACE,
    "NoPermission": "give the account this privilege in vCenter (docs/guide/vcenter.md lists them)",
}


def mend(verb: str, fault: str = "") -> str:
    """What to do before `verb` is run again; `fault` as `vcenter.explain` says it ("NoDiskSpace: …")."""
    first = _FIRST.get(fault.partition(":")[0], "look at its tasks and events in vCenter")
    return f"{first}, then run `xjops {verb}` again: it goes on"
