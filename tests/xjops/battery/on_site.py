"""Bad input in a site's files: one case a kind (every single mistake: tests/xjops/site/cases)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.xjops.battery.case import Case, Harm
from tests.xjops.battery.harms import changed, edited, nothing, written
from tests.xjops.battery.world import SITE_FILE, World

SHOW = "site show"
WEB = "group_vars/web_servers.yml"
SECRET = "vault_vcenter_password: s3cret\n"
VAULT = "At 'vault' (<site>/group_vars/all/vault.yml): "
PUT = "put it there or set XJOPS_VAULT_PASSWORD_FILE (in a lab: remove the vault, then xjops lab up)"


def vaulted(password: str | None) -> Harm:
    """A vault locked with "sesame", and what stands in the password's file."""

    @contextmanager
    def harm(world: World) -> Iterator[None]:
        world.vault("sesame", SECRET)
        file = world.state / "vault-password"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("sesame\n")
        with world.written(file, password):
            yield

    return harm


@contextmanager
def password_program(world: World) -> Iterator[None]:
    """The password comes from a program, and that fails."""
    world.vault("sesame", SECRET)
    program = world.folder / "ask"
    program.write_text("#!/bin/sh\necho sesame\n")
    program.chmod(0o700)
    world.patch.setenv("XJOPS_VAULT_PASSWORD_FILE", str(program))
    with changed("ask", lambda _: b"#!/bin/sh\necho no keyring >&2\nexit 3\n")(world):
        yield


@contextmanager
def broken_inside(world: World) -> Iterator[None]:
    """A vault that opens, and holds no YAML."""
    with vaulted("sesame\n")(world):
        world.vault("sesame", "vault_a: [s3cret\n")
        yield
    world.vault("sesame", SECRET)


@contextmanager
def no_sites(world: World) -> Iterator[None]:
    """An inventories folder with nothing in it."""
    with world.away(world.site.parent):
        world.site.parent.mkdir()
        yield
        world.site.parent.rmdir()


CASES = (
    Case(
        "unknown key",
        edited(SITE_FILE, "  template:", "  templat:"),
        SHOW,
        78,
        (
            "At 'vcenter.template' (<site>/group_vars/all/site.yml:<line>): missing value → "
            "add it like 'template: debian-12'",
            "At 'vcenter.templat' (<site>/group_vars/all/site.yml:<line>): unknown key → "
            "did you mean 'template'?",
            "2 problems in site 'lab' → mend these lines, then: xjops site check --site lab",
        ),
    ),
    Case(
        "wrong type",
        edited(WEB, "disk_gb: 50", "disk_gb: fifty"),
        SHOW,
        78,
        "At 'web1.disk_gb' (<site>/group_vars/web_servers.yml:<line>): 'fifty' is no whole number → "
        "write it like 'disk_gb: 50'",
    ),
    Case(
        "missing value",
        edited(SITE_FILE, "size_gb: 4096", "size_gb:"),
        SHOW,
        78,
        "At 'storage.size_gb' (<site>/group_vars/all/site.yml:<line>): missing value → "
        "add it like 'size_gb: 4096'",
    ),
    Case(
        "address given twice",
        edited("hosts.yml", "10.58.7.13}", "10.58.7.12}"),
        SHOW,
        78,
        "At 'web3.ansible_host' (<site>/hosts.yml:<line>): 10.58.7.12 is also the address of web2 "
        "(<site>/hosts.yml:<line>) → give web3 an address of its own",
    ),
    Case(
        "broken YAML",
        edited("hosts.yml", "    physical_machines:", "\tphysical_machines:"),
        SHOW,
        78,
        "At 'hosts.yml' (<site>/hosts.yml:<line>): is no YAML: found character that cannot start any token → "
        "mend indentation, colons and quotes",
    ),
    Case(
        "misspelt site",
        nothing,
        "site show --site labs",
        78,
        "no site 'labs' under <dir>/inventories → did you mean 'lab'?",
        then=SHOW,
    ),
    Case(
        "folder without hosts.yml",
        written("hosts.yml", None),
        SHOW,
        78,
        "At 'hosts.yml' (<site>/hosts.yml): missing file → write it as in inventories/example",
    ),
    Case(
        "empty inventories folder",
        no_sites,
        SHOW,
        78,
        "no site 'lab' under <dir>/inventories → set XJOPS_INVENTORIES to the folder that holds your sites",
    ),
    Case(
        "no vault password",
        vaulted(None),
        SHOW,
        78,
        f"{VAULT}is vaulted, and its password can't be read: there is no <state>/vault-password → {PUT}",
    ),
    Case(
        "vault password that can't be read",
        password_program,
        SHOW,
        78,
        f"{VAULT}is vaulted, and its password can't be read: "
        f"Vault password script <dir>/ask returned non-zero (3) → {PUT}",
    ),
    Case(
        "wrong vault password",
        vaulted("open\n"),
        SHOW,
        78,
        f"{VAULT}the vault password in <state>/vault-password is wrong → {PUT}",
    ),
    Case(
        "vault with broken YAML inside",
        broken_inside,
        SHOW,
        78,
        f"{VAULT}is no YAML inside → ansible-vault edit <site>/group_vars/all/vault.yml",
    ),
    Case(
        "mistake in a register",
        edited(
            "registers/required.yml", "name: web2, title: 应用服务器web2", "name: web1, title: 应用服务器web2"
        ),
        "site check --fail-on fail",
        78,
        "At 'servers[1].name' (<site>/registers/required.yml:<line>): 'web1' is given twice → keep one of "
        "them",
    ),
    Case(
        "unknown option",
        nothing,
        "site show --fromat json",
        2,
        "No such option '--fromat'. Did you mean '--format'? → xjops site show --help",
        then="site show --format json",
    ),
    Case(
        "unknown command",
        nothing,
        "site shwo",
        2,
        "No such command 'shwo'. Did you mean 'show'? → xjops site --help",
        then=SHOW,
    ),
)
