"""The native wire over SSE: `log`, `status`, every other event by its own name, then `end`."""

from runcast.core.events import Event, Lines
from runcast.core.runs import RunRef
from runcast.core.times import format_time
from runcast.wires import Place, sse
from runcast.wires.jsontext import quote

_STATUS_FIELDS = ("status", "exit_code", "signal", "reason")
_OUTPUT_EXTRAS = frozenset({"partial", "raw"})


class RunsWire(sse.SseWire):
    """Writes a run's events, or those of all runs, as server-sent events."""

    def _lines(self, ref: RunRef, lines: Lines, place: Place) -> list[str]:
        head = (
            f'event: log\ndata: {{"run_id":{quote(ref.id)},"stream":{quote(lines.stream)},"line":'
        )
        tail = f',"timestamp":"{format_time(lines.time)}"}}\nid: '
        return [
            f"{head}{quote(text)}{tail}{n}\n\n" for n, text in enumerate(lines.texts, place.number)
        ]

    def _frame(self, ref: RunRef, event: Event, number: int) -> str:
        time = format_time(event.time)
        data = event.data
        if event.type == "output":
            shown = {"run_id": ref.id, "stream": data.get("stream"), "line": data.get("text")}
            rest = {name: value for name, value in data.items() if name in _OUTPUT_EXTRAS}
            return sse.frame("log", shown | {"timestamp": time} | rest, number)
        if event.type == "status":
            shown = {"run_id": ref.id} | {name: data.get(name) for name in _STATUS_FIELDS}
            rest = {name: value for name, value in data.items() if name not in shown}
            return sse.frame("status", shown | rest | {"timestamp": time}, number)
        own = {"run_id": ref.id, "timestamp": time}  # whatever a client's data says
        return sse.frame(event.type, {"run_id": ref.id} | data | own, number)
