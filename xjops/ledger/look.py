"""The look at every host's ledger, and its record: one SSH round trip to each host, all at once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from xjops.adapters import remote_program
from xjops.adapters.ssh import Fleet, Output, UnreachableError
from xjops.core.errors import XjopsError
from xjops.ledger.inputs import Inputs
from xjops.ledger.watch import Item
from xjops.site.model import Host

SECONDS = 60.0


@dataclass(frozen=True)
class Drift:
    """An item that is no longer as the step left it; a state of None is "not there"."""

    kind: str
    name: str
    was: Mapping[str, Any] | None
    now: Mapping[str, Any] | None


@dataclass(frozen=True)
class Entry:
    """A step's entry. `time`: when it was made, seconds since 1970 by the host's clock."""

    time: int
    inputs: Inputs
    items: int
    drift: tuple[Drift, ...]


@dataclass(frozen=True)
class Seen:
    """What a host's ledger says; `error` when the host couldn't be asked. `begun`: steps that never ended.

    `links`: the targets of the symbolic links that were asked for, "" where there is none.
    """

    host: str
    clock: int = 0
    entries: Mapping[str, Entry] = field(default_factory=dict)
    begun: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    error: XjopsError | None = None


@dataclass(frozen=True)
class Left:
    """What a run left on one host: ended steps with inputs and items, and steps that begin now."""

    ended: Mapping[str, tuple[Inputs, Iterable[Item]]] = field(default_factory=dict)
    begin: Iterable[str] = ()


def look(fleet: Fleet, hosts: Iterable[Host], links: Iterable[str] = ()) -> dict[str, Seen]:
    """Every host's ledger compared with the host, by host name; `links`: symbolic links to read, too."""
    outputs = fleet.run(hosts, _command({"verb": "look", "links": list(links)}), seconds=SECONDS)
    return {name: _seen(output) for name, output in outputs.items()}


def record(
    fleet: Fleet, hosts: Iterable[Host], run: str, left: Mapping[str, Left], *, accept: bool = False
) -> dict[str, XjopsError]:
    """Write down what a run did to these hosts; the errors of hosts that couldn't be told.

    `accept`: the hosts are right as they are now, even where a step didn't bring back what it had left.
    """

    def command(host: Host) -> str:
        mine = left.get(host.name, Left())
        entries = {
            step: {"inputs": inputs, "items": sorted(items)} for step, (inputs, items) in mine.ended.items()
        }
        order = {
            "verb": "record",
            "run": run,
            "entries": entries,
            "begin": list(mine.begin),
            "accept": accept,
        }
        return _command(order)

    told = fleet.run([host for host in hosts if host.name in left], command, seconds=SECONDS)
    answers = {name: _answer(output) for name, output in told.items()}
    return {name: answer for name, answer in answers.items() if isinstance(answer, XjopsError)}


def _command(order: Mapping[str, Any]) -> str:
    return remote_program.command("xjops.ledger", "remote_look.py", order)


def _answer(output: Output) -> dict[str, Any] | XjopsError:
    if output.error is not None:
        return output.error
    try:
        answer: dict[str, Any] = json.loads(output.stdout)
    except ValueError:
        last = (output.stderr or output.stdout).strip().splitlines()[-1:]
        return UnreachableError(
            f"the ledger of {output.host} gave no answer: {''.join(last)[:200] or output.exit_code}",
            mend=f"python3 3.8+ and sudo -n on {output.host}",
        )
    return answer


def _seen(output: Output) -> Seen:
    answer = _answer(output)
    if isinstance(answer, XjopsError):
        return Seen(output.host, error=answer)
    entries = {
        step: Entry(
            entry["time"], entry["inputs"], entry["items"], tuple(Drift(*item) for item in entry["drift"])
        )
        for step, entry in answer["entries"].items()
    }
    begun = {step: about["run"] for step, about in answer["open"].items()}
    return Seen(output.host, answer["clock"], entries, begun, answer.get("links", {}))
