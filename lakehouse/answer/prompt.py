"""The prompt of an answer: the system's words, worked examples as earlier turns, then records and the question.

A worked example is a trace that says a task, the records that it was answered from, and the answer. It is shown as what
it was, a turn: a small model copies the form of the turn before far better than it follows a description.

Belongs here: messages, and finding the records in one again. Not here: what has room (see bundle.py), which examples
are shown (see recall.py).
"""

from __future__ import annotations

from lakehouse.answer.bundle import Bundle

_RECORDS, _QUESTION = "Records:\n", "\n\nQuestion: "


def messages_of(system: str, task: str, bundle: Bundle) -> list[dict[str, str]]:
    """The chat that is sent to the model."""
    turns = [{"role": "system", "content": system}]
    for example in bundle.examples:
        turns.append({"role": "user", "content": f"{_RECORDS}{example.records}{_QUESTION}{example.task}"})
        turns.append({"role": "assistant", "content": example.answer})
    return [*turns, {"role": "user", "content": question_of(task, bundle)}]


def question_of(task: str, bundle: Bundle) -> str:
    """The last turn: notes, records, and the question next to the best of them."""
    notes = f"Notes on earlier tasks:\n{bundle.notes}\n\n" if bundle.notes else ""
    return f"{notes}{_RECORDS}{bundle.text or 'none'}{_QUESTION}{task}"


def records_in(question: str, task: str) -> str:
    """The records of a last turn as `question_of` made it; empty where it is none."""
    before, end = question.removesuffix(task), _QUESTION
    if before == question or not before.endswith(end):
        return ""
    before = before.removesuffix(end)
    start = 0 if before.startswith(_RECORDS) else before.find(f"\n\n{_RECORDS}") + 2
    return before[start:].removeprefix(_RECORDS) if before.startswith(_RECORDS, start) else ""
