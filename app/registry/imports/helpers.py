"""The second core: a helper process that checks chunks beside the worker itself.

The helper is a fresh interpreter (spawn, not fork: the worker has threads and a database connection) that
talks over one pipe and ends by itself when the other end is gone, so a killed worker leaves nothing
behind. Where it can't be had, or dies, its chunks are checked here.
"""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection
from types import TracebackType

from registry.imports.checking import Checker
from registry.imports.context import Context
from registry.imports.reader import Chunk
from registry.imports.staging import Packed, pack
from registry.students.fields import Field, field_by_key

logger = logging.getLogger(__name__)
_PATIENCE = 300  # seconds for one chunk of a few thousand rows; it takes a fraction of one


class Helper:
    """One helper process; `busy` while it has a chunk in hand."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=serve, args=(theirs,), name="import-helper", daemon=True)
        self._process.start()
        theirs.close()
        self._chunk: Chunk | None = None

    @property
    def busy(self) -> bool:
        """Whether a chunk is in its hands."""
        return self._chunk is not None

    def prepare(self, fields: list[Field], context: Context) -> None:
        """Say what sheet is to be checked."""
        self._pipe.send(([field.key for field in fields], context))

    def give(self, chunk: Chunk) -> None:
        """Hand over a chunk. Raises OSError when the process is gone."""
        self._pipe.send(chunk)
        self._chunk = chunk

    def ready(self) -> bool:
        """Whether its result can be taken without waiting."""
        return self.busy and self._pipe.poll()

    def take(self) -> Packed:
        """Its result. Raises EOFError or OSError when the process is gone."""
        if not self._pipe.poll(_PATIENCE):
            raise OSError(f"the helper process gave no answer within {_PATIENCE} s")
        result: Packed = self._pipe.recv()
        self._chunk = None
        return result

    def taken_back(self) -> Chunk | None:
        """The chunk a dead helper had in hand."""
        chunk, self._chunk = self._chunk, None
        return chunk

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(timeout=2)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(timeout=2)


def serve(pipe: Connection) -> None:
    """The helper's whole life: a sheet's fields and context, then chunk after chunk until the pipe closes."""
    try:
        keys, context = pipe.recv()
        by_key = field_by_key()
        checker = Checker([by_key[key] for key in keys], context)
        while True:
            pipe.send(pack(checker.check(pipe.recv())))
    except (EOFError, OSError, KeyboardInterrupt):
        return


class Helpers:
    """Up to `count` helper processes, started early so that they are up when the sheet is read."""

    def __init__(self, count: int) -> None:
        self._helpers: list[Helper] = []
        try:
            self._helpers = [Helper() for _ in range(count)]
        except OSError as error:
            logger.warning("no helper process for the import: %s", error)

    def __enter__(self) -> Helpers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for helper in self._helpers:
            helper.close()

    def check_all(self, chunks: Iterable[Chunk], checker: Checker) -> Iterator[Packed]:
        """Check every chunk, here and in the helpers; results come in any order."""
        for helper in self._helpers:
            helper.prepare(checker.fields, checker.context)
        for chunk in chunks:
            free = next((helper for helper in self._helpers if not helper.busy), None)
            if free is None or not self._given(free, chunk):
                yield pack(checker.check(chunk))
            for helper in [one for one in self._helpers if one.ready()]:
                yield self._result(helper, checker)
        for helper in [one for one in self._helpers if one.busy]:
            yield self._result(helper, checker)

    def _given(self, helper: Helper, chunk: Chunk) -> bool:
        try:
            helper.give(chunk)
        except OSError as error:
            self._drop(helper, error)
            return False
        return True

    def _result(self, helper: Helper, checker: Checker) -> Packed:
        try:
            return helper.take()
        except (EOFError, OSError) as error:
            chunk = helper.taken_back()
            self._drop(helper, error)
            if chunk is None:
                raise
            return pack(checker.check(chunk))

    def _drop(self, helper: Helper, error: Exception) -> None:
        logger.warning("the import goes on without a helper process: %r", error)
        self._helpers.remove(helper)
        helper.close()
