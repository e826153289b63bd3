"""The form that begins a replay, and the button that goes on with one: long work with a page of its own.

Belongs here: reading the form, the work. Not here: replaying (see lakehouse/adapters/replay_child.py), what came of it
(see replay_page.py).
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import FormData, UploadFile
from starlette.responses import RedirectResponse, Response

from lakehouse.adapters.replay_child import ReplayedBatch, ReplayOrder, replay_in_child
from lakehouse.adapters.replay_store import VERDICT, ReplayStore
from lakehouse.clock import new_id
from lakehouse.errors import BadInput, Conflict
from lakehouse.replay.arms import ArmsFile, default_arms, read_arms
from lakehouse.replay.batch import check_batch_id
from lakehouse.replay.task import read_tasks
from lakehouse_api.answering_store import ANSWERING_STORE
from lakehouse_api.auth import Principal
from lakehouse_api.dependencies import ServicesDep, WriteDep, audit, run_blocking
from lakehouse_api.services import Services
from lakehouse_api.ui.dependencies import FileFormDep, FormDep, SiteDep, field, whole_number
from lakehouse_api.ui.job_records import JobRecord
from lakehouse_api.ui.jobs import Job
from lakehouse_api.ui.replay_page import BatchId
from lakehouse_api.ui.site import Site

router = APIRouter(prefix="/ui/replay", include_in_schema=False, dependencies=[ANSWERING_STORE])
MOST_TASKS = 2000
_LOST = (
    "the server stopped before this replay had ended; what was answered is kept, and the page of the batch goes on with"
    " it, without asking anything twice"
)


@router.post("/run")
async def ui_replay_run(
    request: Request, services: ServicesDep, site: SiteDep, principal: WriteDep, form: FileFormDep
) -> Response:
    """Begin a replay; what is wrong with the form is said at once."""
    order = await _order_of(form, by=principal.name)
    services.require_writable()
    title = f"Replay {order.batch_id}"
    job = _start(request, services, site, principal, order, title=title, batch_id=order.batch_id)
    return RedirectResponse(f"{request.scope.get('root_path', '')}/ui/jobs/{job.id}", 303)


@router.post("/{batch_id}/resume")
async def ui_replay_resume(
    request: Request, services: ServicesDep, site: SiteDep, principal: WriteDep, batch_id: BatchId, _: FormDep
) -> Response:
    """Go on with a batch that stopped; what was answered is not asked again."""
    store = ReplayStore(services.objects)
    await run_blocking(services, store.read, batch_id)
    if await run_blocking(services, store.document, batch_id, VERDICT) is not None:
        raise Conflict(f"the batch {batch_id!r} has its verdict; there is nothing to go on with")
    services.require_writable()
    title = f"Go on with replay {batch_id}"
    job = _start(request, services, site, principal, batch_id, title=title, batch_id=batch_id)
    return RedirectResponse(f"{request.scope.get('root_path', '')}/ui/jobs/{job.id}", 303)


def _start(
    request: Request,
    services: Services,
    site: Site,
    principal: Principal,
    order: ReplayOrder | str,
    *,
    title: str,
    batch_id: str,
) -> JobRecord:
    link = f"/ui/replay/{batch_id}"

    async def work(job: Job) -> None:
        job.step("pinning what is read, and reading the memory as of now")

        def on_answer(at: int, of: int, said: str) -> None:
            # The batch exists once the first answer does.
            job.progress(at, of, note=said, link=link if at else None)

        done = await replay_in_child(order, on_answer=on_answer)
        status = "ok" if done.verdict else "failed"
        await audit(services, principal, request, action="replay.run", subject=batch_id, status=status)
        _end(job, done, link)

    # Two replays at once would share the cores and the model, and take longer than one after the other.
    return site.jobs.start(title, work, owner=principal.name, kind="replay", if_lost=_LOST, is_alone=True)


def _end(job: Job, done: ReplayedBatch, link: str) -> None:
    if done.verdict is None:
        job.end("failed", f"it stopped: {done.stopped_by}; what was answered is kept", link)
    else:
        job.end("done", f"the verdict is {done.verdict.replace('_', ' ')}: {'; '.join(done.reasons)}", link)


async def _order_of(form: FormData, *, by: str) -> ReplayOrder:
    """The replay that a form asks for.

    Raises:
        BadInput: Something in it is wrong; the message says what, and in a file the line.
    """
    most = whole_number(field(form, "most", "20"), "most tasks", least=1, most=MOST_TASKS)
    arms, tasks = await _text_of(form, "arms"), await _text_of(form, "tasks")
    if field(form, "tasks_from", "evidence") == "file":
        if tasks is None:
            raise BadInput("choose a file of tasks, or take those of evidence", field="tasks")
        read_tasks(tasks.encode().splitlines(), name="the tasks")
    else:
        tasks = None
    names: tuple[str, ...] = ()
    baseline = None
    if field(form, "arms_from", "choice") == "file":
        if arms is None:
            raise BadInput("choose a file of arms, or tick some of those that are there", field="arms")
        _check_arms(read_arms(arms, name="the arms"))
    else:
        arms, names, baseline = None, *_chosen(form, default_arms())
    batch_id = check_batch_id(field(form, "batch", "").strip() or f"r-{new_id()}")
    return ReplayOrder(batch_id, by, most, arms=arms, names=names, baseline=baseline, tasks=tasks)


def _chosen(form: FormData, there: ArmsFile) -> tuple[tuple[str, ...], str]:
    known = [arm.name for arm in there.arms]
    names = tuple(str(one) for one in form.getlist("arm"))
    for name in names:
        if name not in known:
            raise BadInput(f"there is no arm {name[:40]!r}; there are {', '.join(known)}", field="arm")
    baseline = field(form, "baseline", there.baseline)
    if baseline not in names or len(set(names)) < 2:
        raise BadInput("tick the baseline and at least one other arm: a replay compares", field="arm")
    return names, baseline


def _check_arms(read: ArmsFile) -> None:
    if len(read.arms) < 2:
        raise BadInput("the file has one arm; a replay compares a baseline and another", field="arms")


async def _text_of(form: FormData, name: str) -> str | None:
    """The text of a file of a form; None: no file was chosen."""
    file: Any = form.get(name)
    if not isinstance(file, UploadFile) or not file.filename:
        return None
    try:
        return (await file.read()).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"the file {file.filename[:80]!r} is not UTF-8 text: {error}", field=name) from None
