"""The root command: quick help, errors in one line each, and exit codes as a contract."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from xjops.cli import main as program
from xjops.core.errors import ConfigurationError, DeadlineError, NotRunError, UsageError, XjopsError

PROJECT = Path(__file__).parents[3]
HEAVY = ("ansible", "pydantic", "rich", "yaml", "jinja2", "pyVmomi", "fabric", "cryptography", "httpx")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `xjops WORDS`; a command `try` does what `body` does. Exit code, standard output and error."""

    def run(*words: str, body: Callable[[], object] = lambda: None) -> tuple[int, str, str]:
        fake = SimpleNamespace(command=click.Command("try", callback=body))
        monkeypatch.setitem(sys.modules, "xjops_try", fake)  # type: ignore[arg-type]
        monkeypatch.setitem(program.COMMANDS, "try", program.Command("xjops_try:command", "For the test."))
        with pytest.raises(SystemExit) as caught:
            program.main(list(words))
        said = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, said.out, said.err

    return run


def failing(error: BaseException) -> Callable[[], object]:
    def body() -> object:
        raise error

    return body


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, xjops.cli.main as m\n"
        "try: m.main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        f"print('heavy:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "heavy: []"
    for name, command in program.COMMANDS.items():
        assert f"{name} " in done.stdout
        assert command.help.split(";")[0][:40] in done.stdout


@pytest.mark.parametrize("name", sorted(program.COMMANDS))
def test_every_command_is_there(name: str) -> None:
    module, _, attribute = program.COMMANDS[name].target.partition(":")
    assert isinstance(getattr(import_module(module), attribute), click.Command)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (XjopsError("web2 is down", mend="xjops lab up"), 1),
        (DeadlineError("web2 is down", mend="xjops lab up"), 1),
        (UsageError("web2 is down", mend="xjops lab up"), 2),
        (NotRunError("web2 is down", mend="xjops lab up"), 4),
        (ConfigurationError("web2 is down", mend="xjops lab up"), 78),
    ],
)
def test_an_error_is_one_line_and_a_code(run: Run, error: XjopsError, code: int) -> None:
    assert run("try", body=failing(error)) == (code, "", "xjops: web2 is down → xjops lab up\n")


def test_several_problems_are_a_line_each(run: Run) -> None:
    error = ConfigurationError(
        "2 problems in site 'a'", mend="mend them", problems=("first → x", "second → y")
    )
    code, _, said = run("try", body=failing(error))
    assert code == 78
    assert said.splitlines() == [
        "xjops: first → x",
        "xjops: second → y",
        "xjops: 2 problems in site 'a' → mend them",
    ]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_interrupted(run: Run, error: BaseException) -> None:
    code, _, said = run("try", body=failing(error))
    assert code == 130
    assert said.strip() == "xjops: interrupted"


def test_a_fault_of_our_own_is_one_line_too(run: Run) -> None:
    code, _, said = run("try", body=failing(ZeroDivisionError("division by zero")))
    assert code == 1
    assert (
        said
        == "xjops: internal error: ZeroDivisionError: division by zero → xjops --debug try, and report it\n"
    )


@pytest.mark.parametrize("error", [XjopsError("web2 is down"), ZeroDivisionError()])
def test_debug_shows_the_traceback(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = SimpleNamespace(command=click.Command("try", callback=failing(error)))
    monkeypatch.setitem(sys.modules, "xjops_try", fake)  # type: ignore[arg-type]
    monkeypatch.setitem(program.COMMANDS, "try", program.Command("xjops_try:command", "For the test."))
    with pytest.raises(type(error)):
        program.main(["--debug", "try"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("code", [0, 1, 3, 4])
def test_a_command_returns_its_exit_code(run: Run, code: int) -> None:
    assert run("try", body=lambda: code) == (code, "", "")


@pytest.mark.parametrize(
    ("words", "help_"),
    [
        (["nothing"], "xjops"),
        (["--nothing"], "xjops"),
        (["site", "show", "--format", "pdf"], "xjops site show"),
        (["site", "x"], "xjops site"),
        (["vm", "delete"], "xjops vm delete"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_code_2(run: Run, words: list[str], help_: str) -> None:
    code, out, said = run(*words)
    assert (code, out) == (2, "")
    assert said.startswith("xjops: ")
    assert said.endswith(f" → {help_} --help\n")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("words", [[], ["site"]])
def test_a_group_alone_shows_its_help(run: Run, words: list[str]) -> None:
    code, out, said = run(*words)
    assert (code, out) == (2, "")
    assert "Commands:" in said


def test_version(run: Run) -> None:
    assert run("--version")[:2] == (0, f"xjops, version {program.__version__}\n")
