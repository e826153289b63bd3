"""Does a small model get better by its own runs? SmolLM2-135M on staffing questions over 100,000 workers.

400 exam questions with checkable answers (who, which certifications, how many, a valid fill; a quarter each), asked
of `/v1/answer` cold (no retrieval), with retrieval, and with playbooks and pathways after 0, 1, 5 and 20 rounds. A
round is 10 other questions: each is asked, the answer is looked up in the table, the outcome is reported to
`/v1/outcomes`; then `lakehouse materialize`, `score` and `fold-back` make memory of it. Roles and cities of the exam
and of the rounds are apart, so that they share no (role, city, template). What chose the platform's rules was tried
on questions drawn behind both and on earlier exams (docs/benchmarks.md says what of them had been seen): the last one
was frozen after all of that, and is asked by default.

    python bench/small_model.py [--exam exam-3] [--folder FOLDER] [--plot docs/small_model.png] [--limit-s 460]
    python bench/small_model.py --quick    # every fifth question of the exam, before and after 20 rounds; `make learn`

With `--folder` all is kept there, and a run that was killed, or stopped by `--limit-s` (exit code 3), goes on where it
was. What the model said is kept by the exact prompt and not asked again: it is asked without its prompt cache, where
the same prompt has the same answer.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from _small_model_checker import CORPUS, Checker, outcomes_of  # noqa: E402
from _small_model_progress import Progress  # noqa: E402
from _small_model_questions import Drawer, Question, Table, fingerprint, triples  # noqa: E402
from _small_model_report import Curve, report  # noqa: E402
from _small_model_stack import Api, Memo, Stack, running  # noqa: E402
from corpus import build  # noqa: E402

from lakehouse.sample.workers import write_workers  # noqa: E402

ROWS, EXAM, OWN, ROUNDS = 100_000, 400, 10, 20
LOOKS = (0, 1, 5, 20)
QUICK_STEP, QUICK_LOOKS = 5, (0, 20)
# Each exam is a seed of exam and rounds, and is frozen by the hash of its questions.
EXAMS = {
    "exam-1": "69e60cafd66a00f6e43a33710676c061a77b28fe233aec0b799649ab90e29c21",
    "exam-2": "aeca865641f995e2f664769044fdee6749fe0fb33bfba8b7bc537ff0ce03b97e",
    "exam-3": "a8b7bc5e28691afaf2302df0541596db723f919f1bb2f5f3b057aa2be4845e31",
}
BUDGET_TOKENS, MAX_TOKENS = 340, 100
COLD_CONFIG = {"without_context": "ask"}
COLD: dict[str, Any] = {"corpora": [], "config": 1}
RETRIEVAL: dict[str, Any] = {"use_playbook": False}
MEMORY: dict[str, Any] = {"use_playbook": True, "use_pathway": True}


class OutOfTimeError(Exception):
    """`--limit-s` is over."""


@dataclass
class School:
    """Asks, looks up, reports.

    Attributes:
        stack: The two APIs.
        checker: Looks answers up.
        progress: What is done already.
        ends_at: When to stop, monotonic.
    """

    stack: Stack
    checker: Checker
    progress: Progress
    ends_at: float

    def examine(self, part: str, questions: Sequence[Question], how: dict[str, Any]) -> np.ndarray:
        """(n,) whether each answer is right."""
        right = self.progress.right(part)
        for question in questions[len(right) :]:
            reply = self.ask(self.stack.exam, question, how)
            checked = self.checker.check(question, reply)
            self.progress.answered(part, _said(question, reply), is_right=checked.is_right)
        print(f"{part:<24} {np.mean(right):6.1%}", flush=True)
        return np.array(right)

    def learn(self, number: int, questions: Sequence[Question]) -> float:
        """One round: answers, outcomes, memory; the share of right answers."""
        part = f"own, round {number}"
        right = self.progress.right(part)
        for question in questions[len(right) :]:
            reply = self.ask(self.stack.school, question, MEMORY)
            checked = self.checker.check(question, reply)
            for outcome in outcomes_of(question, checked):
                self.stack.school.post("/v1/outcomes", {"trace_id": reply["trace_id"], **outcome})
            self.progress.answered(part, _said(question, reply), is_right=checked.is_right)
        if number not in self.progress.folded:
            self.progress.fold(number, self.stack.fold_back())
            print(f"{part}: {np.mean(right):.0%} right, {self.progress.folded[number]}", flush=True)
        return float(np.mean(right))

    def ask(self, api: Api, question: Question, how: dict[str, Any]) -> Any:
        if time.monotonic() > self.ends_at:
            raise OutOfTimeError
        body = {"task": question.text, "corpora": [CORPUS], "budget_tokens": BUDGET_TOKENS, "max_tokens": MAX_TOKENS}
        body |= how
        if question.validate is not None:
            body["validate"] = question.validate
        return api.post("/v1/answer", body)

    def require_untold(self, exam: Sequence[Question]) -> None:
        """Nothing of the exam has come into memory.

        Raises:
            SystemExit: Something has.
        """
        queries = self.stack.school.rows("SELECT query FROM playbooks")
        contents = self.stack.school.rows("SELECT content FROM pathways")
        known = {row[0] for row in queries} | {json.loads(row[0]).get("task") for row in contents}
        told = {question.text for question in exam} & known
        if told:
            raise SystemExit(f"{len(told)} questions of the exam are in memory: {sorted(told)[:3]}")
        print(f"memory: {len(queries)} playbook entries, {len(contents)} traces, none of a question of the exam")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exam", choices=sorted(EXAMS), default="exam-3")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--limit-s", type=float, default=86_400)
    parser.add_argument("--quick", action="store_true", help="A fifth of the exam, before and after all rounds.")
    asked = parser.parse_args()
    ends_at = time.monotonic() + asked.limit_s
    with _folder(asked.folder) as folder:
        memo = Memo(folder / "memo.jsonl")
        progress = Progress(folder / "progress.jsonl")
        with running(folder / "stack", memo, is_fresh=not progress.is_loaded) as stack:
            try:
                curve = run(stack, progress, folder, exam_name=asked.exam, ends_at=ends_at, is_quick=asked.quick)
            except OutOfTimeError:
                print(f"stopped by --limit-s; {memo.asked} prompts were asked; run it again", flush=True)
                stack.abandon(code=3)
    return report(curve, memo, plot=asked.plot, is_part=asked.quick)


def run(
    stack: Stack, progress: Progress, folder: Path, *, exam_name: str, ends_at: float, is_quick: bool = False
) -> Curve:
    """All arms and rounds; when it is to be quick, of a part of the exam.

    Raises:
        OutOfTimeError: There was not enough time.
    """
    table = Table.of(ROWS)
    drawer = Drawer(table, exam_name)
    exam = drawer.draw(EXAM)
    rounds = [drawer.draw(OWN) for _ in range(ROUNDS)]
    if fingerprint(exam) != EXAMS[exam_name]:
        raise SystemExit("the questions of the exam are others than they were: results would not compare")
    if triples(exam) & triples([question for one in rounds for question in one]):
        raise SystemExit("the exam and the rounds share a (role, city, template)")
    exam = exam[::QUICK_STEP] if is_quick else exam
    if not progress.is_loaded:
        load(stack, folder)
        progress.loaded()
    for api in (stack.school, stack.exam):
        api.wait_until(f"/v1/vectors/index/{CORPUS}", lambda index: index["rows"] == ROWS)
    school = School(stack, Checker(table), progress, ends_at)
    arms = {"cold": school.examine("cold", exam, COLD), "retrieval": school.examine("retrieval", exam, RETRIEVAL)}
    looks = {0: school.examine("memory, round 0", exam, MEMORY)}
    own = []
    for number, questions in enumerate(rounds, 1):
        own.append(school.learn(number, questions))
        if number in (QUICK_LOOKS if is_quick else LOOKS):
            looks[number] = school.examine(f"memory, round {number}", exam, MEMORY)
    school.require_untold(exam)
    return Curve(exam, arms, looks, own)


def load(stack: Stack, folder: Path) -> None:
    """The table, its corpus, and the config of the cold arm beside the default one."""
    path = folder / "workers.csv"
    write_workers(path, ROWS)
    with path.open("rb") as file:
        stack.school.http.post("/v1/ingest?name=workers", files={"file": file}).raise_for_status()
    build(stack.environ)
    stack.school.put_config({"config": COLD_CONFIG})
    stack.school.put_config({"version": 0})


def _said(question: Question, reply: Any) -> dict[str, Any]:
    return {
        "template": question.template, "task": question.text, "answer": reply["answer"],
        "error": reply["validation"]["error"], "citations": [c["id"] for c in reply["citations"]],
        "prompt_tokens": reply["usage"]["prompt_tokens"],
    }  # fmt: skip


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="bench-small-model-") as name:
        yield Path(name)


if __name__ == "__main__":
    sys.exit(main())
