"""The second core: a helper process that checks chunks beside the worker itself.

The helper is a fresh interpreter (spawn, not fork: the worker has threads and a database connection) that
talks over one pipe and ends by itself when the other end is gone, so a killed worker leaves nothing
behind. Where it can't be had, or dies, its chunks are checked here.
"""

from __future__ import annotations

import logging
import multiprocessing
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing.connection import Connection
from queue import SimpleQueue
from types import TracebackType

from registry.imports.checking import Checker
from registry.imports.context import Context
from registry.imports.reader import Cell, Chunk
from registry.imports.staging import Packed, pack
from registry.students.fields import Field, field_by_key

logger = logging.getLogger(__name__)
_PATIENCE = 300  # seconds for one chunk of a few thousand rows; it takes a fraction of one
_AHEAD = 2  # chunks a helper has in hand, so that it never waits for the next
_BETWEEN = "\x1f"


class Helper:
    """One helper process; `busy` while it has enough chunks in hand."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=serve, args=(theirs,), name="import-helper", daemon=True)
        self._process.start()
        theirs.close()
        self._chunks: deque[Chunk] = deque()

    @property
    def busy(self) -> bool:
        """Whether there is enough in its hands."""
        return len(self._chunks) >= _AHEAD

    @property
    def idle(self) -> bool:
        """Whether nothing is in its hands."""
        return not self._chunks

    def prepare(self, fields: list[Field], context: Context) -> None:
        """Say what sheet is to be checked."""
        self._pipe.send(([field.key for field in fields], context))

    def give(self, chunk: Chunk) -> None:
        """Hand over a chunk. Raises OSError when the process is gone."""
        self._pipe.send((chunk.number, chunk.numbers, [_as_one(cells) for cells in chunk.columns]))
        self._chunks.append(chunk)

    def ready(self) -> bool:
        """Whether a result can be taken without waiting."""
        return not self.idle and self._pipe.poll()

    def take(self) -> Packed:
        """Its next result. Raises EOFError or OSError when the process is gone."""
        if not self._pipe.poll(_PATIENCE):
            raise OSError(f"the helper process gave no answer within {_PATIENCE} s")
        result: Packed = self._pipe.recv()
        self._chunks.popleft()
        return result

    def taken_back(self) -> list[Chunk]:
        """The chunks a dead helper had in hand."""
        chunks = list(self._chunks)
        self._chunks.clear()
        return chunks

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(timeout=2)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(timeout=2)


def serve(pipe: Connection) -> None:
    """The helper's whole life: a sheet's fields and context, then chunk after chunk until the pipe closes.

    A thread takes the chunks in: the worker can always hand one over, even while a result is on its way.
    """
    try:
        keys, context = pipe.recv()
        by_key = field_by_key()
        checker = Checker([by_key[key] for key in keys], context)
        chunks: SimpleQueue[Chunk | None] = SimpleQueue()
        threading.Thread(target=_take_in, args=(pipe, chunks), daemon=True).start()
        while (chunk := chunks.get()) is not None:
            pipe.send(pack(checker.check(chunk)))
    except (EOFError, OSError, KeyboardInterrupt):
        return


def _take_in(pipe: Connection, chunks: SimpleQueue[Chunk | None]) -> None:
    try:
        while True:
            number, numbers, columns = pipe.recv()
            chunks.put(Chunk(number, numbers, [_as_many(cells) for cells in columns]))
    except (EOFError, OSError):
        chunks.put(None)


def _as_one(cells: Sequence[Cell]) -> str | Sequence[Cell]:
    """A column of text as one text: it travels five times faster than a list does."""
    try:
        text = _BETWEEN.join(cells)
    except TypeError:  # some are numbers or dates
        return cells
    return text if cells and text.count(_BETWEEN) == len(cells) - 1 else cells


def _as_many(cells: str | Sequence[Cell]) -> Sequence[Cell]:
    return cells.split(_BETWEEN) if isinstance(cells, str) else cells


class Helpers:
    """Up to `count` helper processes, started early so that they are up when the sheet is read."""

    def __init__(self, count: int) -> None:
        self._helpers: list[Helper] = []
        self._orphans: list[Chunk] = []
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
            if not self._given(chunk):
                yield pack(checker.check(chunk))
            for helper in [one for one in self._helpers if one.ready()]:
                yield from self._results(helper, checker)
        while waiting := [one for one in self._helpers if not one.idle]:
            yield from self._results(waiting[0], checker)
        yield from self._left_over(checker)

    def _given(self, chunk: Chunk) -> bool:
        """Whether a helper took the chunk."""
        free = next((helper for helper in self._helpers if not helper.busy), None)
        if free is None:
            return False
        try:
            free.give(chunk)
        except OSError as error:
            self._drop(free, error)
            return False
        return True

    def _results(self, helper: Helper, checker: Checker) -> Iterator[Packed]:
        try:
            yield helper.take()
        except (EOFError, OSError) as error:
            self._drop(helper, error)
        yield from self._left_over(checker)

    def _left_over(self, checker: Checker) -> Iterator[Packed]:
        """The chunks that dead helpers had in hand."""
        while self._orphans:
            yield pack(checker.check(self._orphans.pop()))

    def _drop(self, helper: Helper, error: Exception) -> None:
        logger.warning("the import goes on without a helper process: %r", error)
        self._helpers.remove(helper)
        self._orphans += helper.taken_back()
        helper.close()
