"""The runner: order, limits, conditions, retries, time-outs, rows as they happen, runs inside of runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from lakehouse.errors import BadInput, NotFound, ProviderFailed, Unavailable
from lakehouse.workflow.mode import ModeCall, Rejected
from tests.workflows import Bench, mode_of, workflow


def render(node_id: str, text: str = "x", **more: str) -> str:
    rest = "".join(f", {name}: {value}" for name, value in more.items())
    return f"{{id: {node_id}, mode: render{rest}, with: {{text: {text!r}}}}}"


def test_nodes_run_in_order_and_the_output_is_made_of_them() -> None:
    bench = Bench()
    done = bench.run(
        workflow(
            render("b", "{{ nodes.a.output.text }}!", needs="[a]"), render("a", "{{ inputs.x }}"),
            inputs="[x]", output="{said: '{{ nodes.b.output.text }}'}",
        ),
        x="hi",
    )  # fmt: skip
    assert done.success
    assert done.output == {"said": "hi!"}
    assert [row["node_id"] for row in bench.rows] == ["a", "b", "output"]
    assert bench.row("b")["with"] == {"text": "hi!"}
    own = bench.row("output")
    assert (own["mode"], own["with"], own["output"], own["success"]) == ("workflow", {"x": "hi"}, {"said": "hi!"}, True)
    assert [(one["id"], one["state"]) for one in bench.seen] == [
        ("a", "running"), ("a", "succeeded"), ("b", "running"), ("b", "succeeded"),
    ]  # fmt: skip


def test_a_row_is_written_when_its_node_has_ended_and_not_at_the_end() -> None:
    rows_seen: list[list[str]] = []

    async def look(given: Mapping[str, Any], call: ModeCall) -> str:
        rows_seen.append([row["node_id"] for row in bench.rows])
        return "seen"

    bench = Bench(modes=[mode_of("look", look)])
    bench.run(workflow(render("a"), "{id: b, mode: look, needs: [a]}", "{id: c, mode: look, needs: [b]}"))
    assert rows_seen == [["a"], ["a", "b"]]


def test_what_fails_is_on_record_and_blocks_what_needs_it_alone() -> None:
    async def fail(given: Mapping[str, Any], call: ModeCall) -> str:
        raise ProviderFailed("no luck")

    bench = Bench(modes=[mode_of("fail", fail)])
    done = bench.run(workflow("{id: a, mode: fail}", render("b", needs="[a]"), render("c", needs="[b]"), render("d")))
    assert not done.success
    assert done.output is None
    assert [(node.id, node.state) for node in done.nodes] == [
        ("a", "failed"), ("b", "skipped"), ("c", "skipped"), ("d", "succeeded"),
    ]  # fmt: skip
    row = bench.row("a")
    assert (row["success"], row["attempts"]) == (False, 1)
    assert row["error"] == {"kind": "ProviderFailed", "status": 502, "detail": "no luck"}
    assert bench.row("b")["error"]["detail"] == "it needs 'a', which did not succeed"
    assert (bench.row("b")["skipped"], bench.row("b")["with"]) == (True, None)
    own = bench.row("output")
    assert (own["success"], own["error"]["node"]) == (False, "a")


def test_what_is_skipped_by_its_condition_lets_others_run() -> None:
    bench = Bench()
    done = bench.run(
        workflow(
            render("a"), render("b", needs="[a]", when="'{{ inputs.n > 2 }}'"),
            render("c", "{{ nodes.b.skipped }}", needs="[b]"), inputs="[n]",
        ),
        n=1,
    )  # fmt: skip
    assert done.success
    assert [node.state for node in done.nodes] == ["succeeded", "skipped", "succeeded"]
    assert bench.row("c")["output"]["text"] == "true"
    assert bench.row("b")["error"]["kind"] == "Skipped"
    # ... and was no run: it neither speaks for anything nor against it.
    assert (bench.row("b")["success"], bench.row("b")["skipped"]) == (False, True)


def test_a_condition_that_is_neither_true_nor_false_fails_its_node() -> None:
    bench = Bench()
    done = bench.run(workflow(render("a", when="'{{ inputs.n }}'"), inputs="[n]"), n="false")
    assert done.nodes[0].state == "failed"
    assert "neither true nor false" in bench.row("a")["error"]["detail"]


def test_failures_for_now_are_tried_again_and_others_are_not() -> None:
    attempts: list[str] = []

    async def flaky(given: Mapping[str, Any], call: ModeCall) -> int:
        attempts.append(call.node_id)
        if given["x"] == "wrong":
            raise BadInput("this will never do")
        if call.attempt < 3:
            raise Unavailable("not yet")
        return call.attempt

    bench = Bench(modes=[mode_of("flaky", flaky)])
    done = bench.run(
        workflow("{id: a, mode: flaky, retries: 2, with: {x: 1}}", "{id: b, mode: flaky, retries: 5, with: {x: wrong}}",
                 "{id: c, mode: flaky, retries: 1, with: {x: 1}}", concurrency=1)
    )  # fmt: skip
    assert [node.state for node in done.nodes] == ["succeeded", "failed", "failed"]
    assert [attempts.count(node) for node in "abc"] == [3, 1, 2]
    assert bench.row("a")["tried"] == ["not yet", "not yet"]
    assert (bench.row("a")["attempts"], bench.row("a")["output"]) == (3, 3)


def test_a_node_is_stopped_at_its_time_out() -> None:
    stopped: list[str] = []

    async def hang(given: Mapping[str, Any], call: ModeCall) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(call.node_id)

    bench = Bench(modes=[mode_of("hang", hang)])
    done = bench.run(workflow("{id: a, mode: hang, timeout_s: 0.05, retries: 1}"))
    assert done.nodes[0].error == {
        "kind": "TimedOut",
        "status": 504,
        "detail": "node 'a' did not end within its 0.05 s",
    }
    assert stopped == ["a", "a"]


@pytest.mark.parametrize("most", [1, 2, 5])
def test_no_more_nodes_run_at_once_than_the_limit(most: int) -> None:
    now, peak = 0, 0
    met = asyncio.Event()

    async def count(given: Mapping[str, Any], call: ModeCall) -> None:
        nonlocal now, peak
        now += 1
        peak = max(peak, now)
        if now == most:
            met.set()
        await met.wait()  # so many do run at once
        now -= 1

    nodes = [f"{{id: n{number}, mode: count}}" for number in range(5)]
    assert Bench(modes=[mode_of("count", count)]).run(workflow(*nodes, concurrency=most)).success
    assert peak == most


def test_a_mode_that_breaks_fails_its_node_and_never_passes() -> None:
    async def broken(given: Mapping[str, Any], call: ModeCall) -> Any:
        return {}["missing"]

    async def strange(given: Mapping[str, Any], call: ModeCall) -> Any:
        return object()

    async def huge(given: Mapping[str, Any], call: ModeCall) -> Any:
        return "x" * 500_000

    modes = [mode_of("broken", broken), mode_of("strange", strange), mode_of("huge", huge)]
    bench = Bench(modes=modes)
    done = bench.run(workflow("{id: a, mode: broken}", "{id: b, mode: strange}", "{id: c, mode: huge}"))
    assert [node.success for node in done.nodes] == [False, False, False]
    assert bench.row("a")["error"]["detail"] == "mode 'broken' failed: KeyError: 'missing'"
    assert "is not JSON" in bench.row("b")["error"]["detail"]
    assert bench.row("c")["error"]["kind"] == "TooLarge"
    assert bench.row("c")["output"] is None


def test_a_value_of_the_wrong_type_is_refused_when_it_is_rendered() -> None:
    bench = Bench()
    node = "{id: a, mode: extract, with: {text: '{{ inputs.x }}', fields: [a]}}"
    bench.run(workflow(node, inputs="[x]"), x=[1])
    assert bench.row("a")["error"]["detail"] == "node 'a': with.text must be of type text, not list"
    assert bench.provider.asked == []


def test_an_output_that_cannot_be_made_fails_the_run() -> None:
    bench = Bench()
    done = bench.run(workflow(render("a"), output="'{{ nodes.a.output.nothing }}'"))
    assert (done.success, done.output) == (False, None)
    assert done.error is not None
    assert done.error["node"] == "output"


def test_a_row_that_is_refused_stops_the_run() -> None:
    ran: list[str] = []

    async def note(given: Mapping[str, Any], call: ModeCall) -> None:
        ran.append(call.node_id)

    bench = Bench(modes=[mode_of("note", note)], refusal=Unavailable("the spool is full"))
    with pytest.raises(Unavailable, match="spool"):
        bench.run(workflow("{id: a, mode: note}", "{id: b, mode: note, needs: [a]}"))
    assert ran == ["a"]


def test_nothing_runs_where_an_input_is_missing() -> None:
    bench = Bench()
    with pytest.raises(BadInput, match="needs the input 'x'"):
        bench.run(workflow(render("a"), inputs="[x]"))
    assert bench.rows == []


def test_a_run_that_is_stopped_leaves_what_ran() -> None:
    async def scene() -> Bench:
        begun = asyncio.Event()

        async def hang(given: Mapping[str, Any], call: ModeCall) -> None:
            begun.set()
            await asyncio.Event().wait()

        bench = Bench(modes=[mode_of("hang", hang)])
        running = asyncio.create_task(bench.start(workflow(render("a"), "{id: b, mode: hang, needs: [a]}")))
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return bench

    bench = asyncio.run(scene())
    assert [(row["node_id"], row["success"]) for row in bench.rows] == [("a", True), ("b", False)]
    assert bench.row("b")["error"]["kind"] == "Cancelled"


INNER = workflow(render("deep", "{{ inputs.y }}"), inputs="[y]").replace("name: test", "name: inner")


def test_a_workflow_inside_has_rows_of_its_own() -> None:
    bench = Bench(others={"inner": INNER})
    done = bench.run(workflow("{id: a, mode: pipeline, with: {workflow: inner, input: {y: '{{ 1 + 1 }}'}}}"))
    assert done.success
    assert bench.row("a")["output"] == {
        "run_id": "run-2", "workflow": "inner", "nodes": {"deep": "succeeded"},
        "output": {"text": "2", "characters": 1},
    }  # fmt: skip
    deep = bench.row("deep")
    assert (deep["run_id"], deep["parent_run_id"], deep["workflow"]) == ("run-2", "run-1", "inner")
    assert [row["node_id"] for row in bench.rows] == ["deep", "output", "a", "output"]


def test_a_workflow_that_is_written_inside_keeps_its_own_templates() -> None:
    inner = {
        "name": "in", "version": 1, "inputs": ["y"],
        "nodes": [{"id": "deep", "mode": "render", "with": {"text": "<{{ inputs.y }}>"}}],
    }  # fmt: skip
    node = {"id": "a", "mode": "pipeline", "with": {"workflow": inner, "input": {"y": "{{ inputs.x }}"}}}
    spec = {"name": "w", "version": 1, "inputs": ["x"], "nodes": [node]}
    assert Bench().run(spec, x="hi").output["output"]["text"] == "<hi>"
    broken = {**inner, "nodes": [{"id": "deep", "mode": "render", "with": {"text": "{{ nodes.no.output }}"}}]}
    with pytest.raises(BadInput, match="no node of this workflow"):
        Bench().run({**spec, "nodes": [{**node, "with": {"workflow": broken, "input": {}}}]}, x="hi")


def test_a_workflow_inside_that_fails_fails_its_node() -> None:
    bench = Bench(others={"inner": INNER})
    done = bench.run(workflow("{id: a, mode: pipeline, with: {workflow: inner}}"))
    assert "needs the input 'y'" in str(done.nodes[0].error)
    rejecting = workflow(render("deep", "{{ 1 / 0 }}")).replace("name: test", "name: inner")
    failed = Bench(others={"inner": rejecting}).run(workflow("{id: a, mode: pipeline, with: {workflow: inner}}"))
    assert "its node 'deep' failed" in str(failed.nodes[0].error)
    assert failed.nodes[0].output["nodes"] == {"deep": "failed"}


def test_workflows_inside_are_checked_before_anything_runs() -> None:
    asks = workflow(render("x"), "{id: a, mode: pipeline, needs: [x], with: {workflow: inner}}")
    lost = Bench()
    with pytest.raises(NotFound, match="node 'a' in line 7: there is no workflow 'inner'"):
        lost.run(asks)
    around = Bench(others={"inner": asks.replace("name: test", "name: inner")})
    with pytest.raises(BadInput, match="holds itself: test > inner > inner"):
        around.run(asks)
    spec = {"name": "in", "version": 1, "nodes": [{"id": "a", "mode": "no.such"}]}
    node = {"id": "a", "mode": "pipeline", "with": {"workflow": spec}}
    wrong = Bench()
    with pytest.raises(BadInput, match=r"there is no mode 'no\.such'"):
        wrong.run({"name": "w", "version": 1, "nodes": [node]})
    assert lost.rows + around.rows + wrong.rows == []


def test_a_workflow_that_hides_itself_in_an_input_is_stopped() -> None:
    spec = {
        "name": "w", "version": 1, "inputs": ["of"],
        "nodes": [
            {"id": "a", "mode": "pipeline", "with": {"workflow": "{{ inputs.of }}", "input": {"of": "{{ inputs.of }}"}}}
        ],
    }  # fmt: skip
    bench = Bench()
    done = bench.run(spec, of=spec)
    assert not done.success
    assert "nested deeper than 4" in str(bench.rows[0]["error"])


def test_a_rejection_keeps_its_output_and_is_not_tried_again() -> None:
    async def judge(given: Mapping[str, Any], call: ModeCall) -> Any:
        raise Rejected("not good enough", {"verdict": "reject"})

    bench = Bench(modes=[mode_of("judge", judge)])
    bench.run(workflow("{id: a, mode: judge, retries: 3}"))
    row = bench.row("a")
    assert (row["success"], row["attempts"], row["output"]) == (False, 1, {"verdict": "reject"})
