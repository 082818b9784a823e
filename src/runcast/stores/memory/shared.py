"""What the memory engine keeps that belongs to no run: the shared logs, workspaces, answers."""

# ruff: noqa: D102 - Store documents these methods once for every engine

from collections.abc import Collection

from runcast.core.events import MESSAGES, Batch, Data
from runcast.core.once import Answered, Once
from runcast.core.workspaces import Workspace
from runcast.stores import ALL_RUNS, Listener, LogHead, Positions, Selection, Span, rules
from runcast.stores.listeners import tell
from runcast.stores.memory.answers import Answers
from runcast.stores.memory.logs import Logs


class Shared:
    """The part of the engine that knows no runs, and reads all logs alike."""

    def __init__(self) -> None:
        self._logs = Logs()
        self._message_seqs: dict[str, int] = {}
        self._workspaces: dict[str, Workspace] = {}  # in the order in which they were added
        self._answers = Answers()
        self._listeners: list[Listener] = []
        self._closed = False

    async def close(self) -> None:
        self._closed = True

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    async def read(self, log: str, after: int, limit_bytes: int) -> list[Batch]:
        self._check_open()
        return self._logs.read(log, after, limit_bytes)

    async def read_all(
        self, after: int, limit_bytes: int, where: Selection = ALL_RUNS
    ) -> list[Batch]:
        rules.check_selection(where)
        self._check_open()
        return self._logs.read_all(after, limit_bytes, where)

    async def read_back(
        self,
        before: int,
        limit_bytes: int,
        where: Selection = ALL_RUNS,
        *,
        after: int = 0,
        since: int | None = None,
    ) -> list[Batch]:
        rules.check_runs_selected(where)
        self._check_open()
        return self._logs.read_back(before, limit_bytes, where, after, since)

    async def head(self, log: str) -> LogHead:
        self._check_open()
        return self._logs.find(log).head()

    async def positions(self) -> Positions:
        self._check_open()
        return self._logs.positions()

    async def add_message(
        self,
        data: Data,
        time: int,
        parents: Collection[str] = (),
        *,
        once: Once | None = None,
    ) -> Span:
        self._check(once)
        msg_id, log = data["msg_id"], self._logs.find(MESSAGES)
        known = {name for name, seq in self._message_seqs.items() if seq >= log.head().first}
        unknown = [parent for parent in parents if parent not in known]
        rules.check_message(msg_id, taken=msg_id in known, unknown=unknown)
        self._logs.add(MESSAGES, rules.pack_message(data, time))
        self._message_seqs[msg_id] = log.last
        self._tell()
        return self._answers.keep(once, Span(log.last, log.last, self._logs.positions().head))

    async def put_workspace(
        self, workspace: Workspace, time: int, *, once: Once | None = None
    ) -> Workspace:
        self._check(once)
        kept = rules.put(self._workspaces.get(workspace.id), workspace, time)
        self._workspaces[kept.id] = kept
        return self._answers.keep(once, kept)

    async def workspaces(self) -> list[Workspace]:
        self._check_open()
        return list(self._workspaces.values())

    async def workspace(self, workspace_id: str) -> Workspace:
        self._check_open()
        if workspace_id not in self._workspaces:
            raise rules.no_workspace(workspace_id)
        return self._workspaces[workspace_id]

    async def answered(self, key: str) -> tuple[bytes, Answered] | None:
        self._check_open()
        return self._answers.find(key)

    async def forget_answers(self, before: int) -> int:
        self._check_open()
        return self._answers.forget(before)

    async def trim(self, log: str, before: int) -> int:
        self._check_open()
        rules.check_trim(log)
        return self._logs.trim(log, before)

    def _check_open(self) -> None:
        if self._closed:
            raise rules.closed()

    def _check(self, once: Once | None) -> None:
        self._check_open()
        self._answers.check(once)

    def _tell(self) -> None:
        tell(self._listeners, self._logs.take_news())
