"""One run of a site's playbook as its ledgers see it: which steps began, ended well, and what they left
behind."""

from __future__ import annotations

import os
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from xjops.adapters.ssh import Fleet
from xjops.bundle.build import default_folder
from xjops.core import paths
from xjops.core.errors import XjopsError
from xjops.ledger.inputs import Wanted, wanted
from xjops.ledger.look import Left, record
from xjops.ledger.steps import is_caught, name_of, outermost_role
from xjops.ledger.watch import Item, items_of
from xjops.site import Site

Warn = Callable[[str], None]
ACCEPT = "XJOPS_LEDGER_ACCEPT"  # "1": what the run leaves is right, whatever was there before (apply --full)


class Recording:
    """Collects by host and step; tells the hosts between plays, so a killed run keeps what it finished."""

    def __init__(self, site: Site, whole: bool, warn: Warn) -> None:
        """`whole`: the run leaves nothing out within a role; else steps are only begun, never recorded."""
        self.site, self.whole, self.warn = site, whole, warn
        self.run = uuid.uuid4().hex[:12]
        self.wanted: Wanted = wanted(site.name, site.folder, default_folder())
        self.fleet = Fleet(site)
        self._variables: Any = None
        self._clear()

    @staticmethod
    def of(playbook: str, play: Any, warn: Warn) -> Recording | None:
        """The recording of a run; None where none is kept: a dry run, another playbook, no site of xjops."""
        from ansible import context

        arguments = context.CLIARGS
        sources = [Path(source).resolve() for source in play.get_variable_manager()._inventory._sources]
        ours = Path(playbook).resolve() == (paths.project() / "playbooks" / "site.yml").resolve()
        of_site = [source.parent for source in sources] == [paths.inventories().resolve()]
        if arguments.get("check") or not ours or not of_site:
            return None
        whole = not (arguments.get("skip_tags") or arguments.get("start_at_task") or arguments.get("step"))
        try:
            return Recording(Site.load(sources[0].name), whole, warn)
        except XjopsError as error:
            warn(f"no ledger is kept of this run: {error}")
            return None

    def _clear(self) -> None:
        self._items: dict[tuple[str, str], set[Item]] = defaultdict(set)
        self._failed: set[str] = set()
        self._begun: set[tuple[str, str]] = set()

    def play(self, play: Any) -> None:
        """Tell the hosts what ended, and which steps begin with this play."""
        self._variables = play.get_variable_manager()
        chosen = {str(host.name) for host in self._variables._inventory.get_hosts(play.hosts)}
        tags = set(play.only_tags) - {"all"}
        names = _names(play)
        begin = {
            host: [
                step
                for step in self.wanted.hosts.get(host, {})
                if step in names and (not tags or step.partition("/")[0] in tags)
            ]
            for host in chosen
        }
        self._tell(begin)
        self._begun = {(host, step) for host, steps in begin.items() for step in steps}

    def finish(self) -> None:
        """Tell the hosts what ended; close the connections."""
        self._tell({})
        self.fleet.__exit__()

    def ok(self, result: Any) -> None:
        """A task that ended well, or was skipped."""
        task, host = result.task, str(result.host.get_name())
        role = outermost_role(task)
        if role is None:
            return
        found = self._items[host, name_of(role)]
        if task.delegate_to:
            return
        values = result.result
        if values.get("censored"):
            values = {"invocation": {"module_args": self._arguments(result)}, **values}
        for one in values.get("results") or [values]:
            found.update(items_of(str(task.action), {}, one))
        found.update((str(kind), str(name)) for kind, name in self._declared(result))

    def failed(self, result: Any) -> None:
        """A task that failed for good, or a host that is gone. A task that runs once for all fails all."""
        if is_caught(result.task) and not result.result.get("unreachable"):
            return
        everybody = {host for host, _ in self._items} if result.task.run_once else set()
        self._failed |= {str(result.host.get_name()), *everybody}

    def _declared(self, result: Any) -> list[list[str]]:
        """What the task itself says is to be watched: its variable `<role>_ledger`."""
        said = [value for name, value in result.task.vars.items() if name.endswith("_ledger")]
        told = self._template(result, {"it": said[0] if said else []})
        return [list(item) for item in told["it"]]

    def _arguments(self, result: Any) -> Mapping[str, Any]:
        """The arguments of a task whose result is hidden, without what could be secret."""
        raw = result.task.args
        told = {name: raw[name] for name in ("name", "dest", "path") if name in raw}
        files = raw.get("files")
        if isinstance(files, list):
            told["files"] = [{"path": entry["path"]} for entry in files]
        elif files:  # the whole list is an expression
            told["files"] = files
        known = self._template(result, told)
        known["files"] = [{"path": entry["path"]} for entry in known.get("files") or []]
        return known

    def _template(self, result: Any, value: dict[str, Any]) -> dict[str, Any]:
        from ansible.template import Templar

        known = self._variables.get_vars(host=result.host, task=result.task)
        answer: dict[str, Any] = Templar(self._variables._loader, known).template(value)
        return answer

    def _tell(self, begin: Mapping[str, list[str]]) -> None:
        left: dict[str, Left] = {host: Left(begin=steps) for host, steps in begin.items() if steps}
        for (host, step), items in self._items.items():
            # with --tags, Ansible still validates the arguments of every role: that alone begins nothing
            if (host, step) not in self._begun or host in self._failed or not self.whole:
                continue
            inputs, known = self.wanted.hosts[host][step], left.get(host, Left())
            left[host] = Left({**known.ended, step: (inputs, items)}, known.begin)
        hosts = [host for host in self.site.hosts if host.name in left]
        accept = os.environ.get(ACCEPT) == "1"
        for name, error in record(self.fleet, hosts, self.run, left, accept=accept).items():
            self.warn(f"the ledger of {name} could not be written, its next plan will say so: {error}")
        self._clear()


def _names(play: Any) -> set[str]:
    """The steps that a play may run."""
    from xjops.ledger.steps import INCLUDE, tasks_of

    included = {name_of(task) for block in play.tasks for task in tasks_of(block) if task.action in INCLUDE}
    return included | {name_of(role) for role in play.roles}
