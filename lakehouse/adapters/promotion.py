"""Promotion in the bucket: a verdict makes a config live, a command or the watch takes it back.

`replay/promotions/<batch_id>.json` holds what the verdict of a batch promoted, the versions that served before, and the
outcomes that are expected. It is written before the config, so that the next try finishes a promotion that was cut off.
Every change leaves a line in the stream `audits`.

Belongs here: the order of writes. Not here: verdicts and rules (see lakehouse/promotion), proposals (see
promotion_proposals.py), versions of configs (see lakehouse/retrieval/config_store.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from lakehouse.adapters.promotion_evidence import JudgedRuns
from lakehouse.adapters.replay_store import JSON, JSONL, VERDICT, ReplayStore
from lakehouse.answer.config import ANSWER
from lakehouse.catalog.manifest import format_utc, parse_utc
from lakehouse.clock import new_id, utc_now
from lakehouse.errors import BadInput, Conflict, NotFound, PreconditionFailed
from lakehouse.events.envelope import make_line, part_key
from lakehouse.promotion.rules import Decision, PromotionRules, default_rules
from lakehouse.promotion.watch import expectation_of, watch
from lakehouse.replay.arms import ResolvedArm
from lakehouse.replay.batch import PREFIX, Batch
from lakehouse.replay.verdict import arm_interval
from lakehouse.retrieval.config_store import ConfigKind, ConfigStore
from lakehouse.retrieval.search_config import SEARCH
from lakehouse.storage.objects import ObjectStore, list_all

if TYPE_CHECKING:
    from lakehouse.adapters.objects import S3Location

PROMOTIONS = f"{PREFIX}promotions/"
KINDS: Mapping[str, ConfigKind[Any]] = {ANSWER.name: ANSWER, SEARCH.name: SEARCH}
FORMAT_VERSION = 1
BEGUN, LIVE, ROLLED_BACK = "begun", "live", "rolled_back"
Record = dict[str, Any]


class Promotions:
    """The promotions of one bucket.

    Args:
        objects: The bucket.
        location: The bucket's address with read-only keys, for query engines.
        work_dir: Local folder that query engines may spill to.
        rules: Those of the watch.
        clock: The time now, aware.
    """

    def __init__(
        self,
        objects: ObjectStore,
        location: S3Location,
        *,
        work_dir: Path,
        rules: PromotionRules | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._objects = objects
        self._runs = JudgedRuns(objects, location, work_dir=work_dir)
        self._rules = rules or default_rules()
        self._clock = clock
        self._configs = ConfigStore(objects, clock=clock)
        self._replays = ReplayStore(objects)

    def promote(self, batch_id: str, *, by: str) -> Record:
        """Make the candidate of a batch live, as its verdict says.

        Raises:
            Conflict: The verdict does not say so; or other configs serve by now than those it was held against.
            BadInput: The candidate's config is no longer valid, or it differs in more than its config.
            NotFound: There is no such batch.
        """
        batch = self._replays.read(batch_id)
        verdict = self._replays.document(batch_id, VERDICT)
        if verdict is None:
            raise Conflict(f"batch {batch_id!r} has no verdict yet; go on with it: lakehouse replay resume {batch_id}")
        if verdict["verdict"] != "promote":
            said = str(verdict["verdict"]).replace("_", " ")
            raise Conflict(
                f"the verdict of batch {batch_id!r} is {said}, by rule {verdict['rule']}: {verdict['reasons'][0]};"
                " nothing was changed"
            )
        candidate, baseline = batch.arm(batch.candidate), batch.arm(batch.baseline)
        _check_arms(candidate, baseline)
        record = self._record(batch_id)
        if record is None:
            record = self._begin(batch, verdict, candidate, baseline, by=by)
        elif record["state"] != BEGUN:
            raise Conflict(f"batch {batch_id!r} was promoted before, and is {record['state'].replace('_', ' ')} now")
        for change in record["configs"]:
            change["to"] = self._publish(change, candidate, batch_id, by=by)
        record |= {"state": LIVE, "at": format_utc(self._clock())}
        self._keep(record)
        self._audit("promotion.promote", record, by=by)
        return record

    def records(self) -> list[Record]:
        """All promotions, the latest first."""
        found = [self._record(_stem(info.key)) for info in list_all(self._objects, PROMOTIONS)]
        return sorted((one for one in found if one is not None), key=lambda one: one["begun_at"], reverse=True)

    def roll_back(self, promotion_id: str | None = None, *, by: str, reason: str) -> Record:
        """Make the configs live again that a promotion took the place of; by default the latest that is live.

        Raises:
            NotFound: There is no such promotion.
            Conflict: Others are live by now; nothing was changed.
            BadInput: What was before is no longer valid; nothing was changed.
        """
        record = next((one for one in self.records() if promotion_id in {None, one["promotion_id"]}
                       and (promotion_id is not None or one["state"] != ROLLED_BACK)), None)  # fmt: skip
        if record is None:
            raise NotFound("there is no promotion to take back; `lakehouse promotions` lists all there were")
        if record["state"] == ROLLED_BACK:
            raise Conflict(f"promotion {record['promotion_id']!r} was taken back before")
        for change in record["configs"]:
            kind = KINDS[change["name"]]
            live = self._configs.live(kind.name)
            if change["to"] is None and live.note == _note(record["promotion_id"]):
                change["to"] = live.version  # an earlier try was cut off before it recorded this
            if change["to"] is not None and live.version not in {change["to"], change["from"]}:
                raise Conflict(
                    f"{kind.version_name(live.version)} is live by now, and not {kind.version_name(change['to'])} that"
                    f" this promotion made; choose a version yourself: lakehouse rollback --to {kind.name}/<version>"
                )
            kind.read(self._configs.get(kind.name, change["from"]).document)
        for change in record["configs"]:
            if change["to"] is not None:  # None when the promotion was cut off before this config was live
                self._configs_to(change["name"], change["from"])
        record |= {"state": ROLLED_BACK, "rolled_back_at": format_utc(self._clock()), "rolled_back_by": by,
                   "rolled_back_for": reason}  # fmt: skip
        self._keep(record)
        self._audit("promotion.roll_back", record, by=by)
        return record

    def set_version(self, name: str, version: int, *, by: str) -> None:
        """Make any version of a config live.

        Raises:
            NotFound: There is no such config or version.
            BadInput: It is no longer valid.
        """
        kind = KINDS.get(name)
        if kind is None:
            raise NotFound(f"there is no config {name[:60]!r}; there are {', '.join(KINDS)}")
        kind.read(self._configs.get(name, version).document)
        self._configs_to(name, version)
        self._audit("promotion.set", {"configs": [{"name": name, "to": version}]}, by=by)

    def watch(self) -> list[tuple[Record, Decision]]:
        """Look at the outcomes of what is promoted, and roll back what fell below its expected outcomes."""
        looked = []
        for record in [one for one in self.records() if one["state"] == LIVE]:
            names = [f"{change['name']}/{change['to']}" for change in record["configs"]]
            if any(self._configs.live(one["name"]).version != one["to"] for one in record["configs"]):
                continue  # other configs serve by now, so there is nothing to roll back
            scores = self._runs.outcomes(names, since=parse_utc(record["at"]))
            decision = watch(scores, record["expected"], self._rules)
            if decision.verdict == "roll_back":
                told = f"{decision.rule}: {decision.reasons[0]}"
                record = self.roll_back(record["promotion_id"], by="watch", reason=told)  # noqa: PLW2901 - as it is now
            looked.append((record, decision))
        return looked

    def _begin(
        self, batch: Batch, verdict: Mapping[str, Any], candidate: ResolvedArm, baseline: ResolvedArm, *, by: str
    ) -> Record:
        changes = []
        for name, kind in KINDS.items():
            live = self._configs.live(name)
            # Parsed first, so that fields that are newer than the batch have their defaults.
            was, wanted = (kind.read(getattr(arm, name)).to_document() for arm in (baseline, candidate))
            if kind.read(live.document).to_document() != was:
                raise Conflict(
                    f"{kind.version_name(live.version)} is live by now, and batch {batch.batch_id!r} was held against"
                    f" another {name} config; replay again"
                )
            if wanted != was:
                changes.append({"name": name, "from": live.version, "to": None})
        if not changes:
            raise Conflict(f"the candidate of batch {batch.batch_id!r} runs under the configs that serve already")
        interval, tasks = arm_interval(verdict, batch.candidate)
        before = self._runs.outcomes([f"{change['name']}/{change['from']}" for change in changes])
        record: Record = {
            "format_version": FORMAT_VERSION,
            "promotion_id": batch.batch_id,
            "proposal_id": batch.proposal_id,
            "state": BEGUN,
            "by": by,
            "begun_at": format_utc(self._clock()),
            "configs": changes,
            "verdict": {name: verdict[name] for name in ("rule", "rules_version", "reasons", "interval", "measure")},
            "expected": expectation_of(before, interval, tasks=tasks).to_document(),
        }
        try:
            self._objects.put(_promotion_key(batch.batch_id), orjson.dumps(record), if_absent=True, content_type=JSON)
        except PreconditionFailed:
            raise Conflict(f"another process promotes batch {batch.batch_id!r} just now") from None
        return record

    def _publish(self, change: Mapping[str, Any], candidate: ResolvedArm, batch_id: str, *, by: str) -> int:
        kind = KINDS[change["name"]]
        wanted = kind.read(getattr(candidate, kind.name)).to_document()
        live = self._configs.live(kind.name)
        if live.version != change["from"]:
            if live.note == _note(batch_id):
                return live.version  # an earlier try that was cut off has made it
            raise Conflict(
                f"{kind.version_name(live.version)} is live by now, and batch {batch_id!r} was held against"
                f" {kind.version_name(change['from'])}; replay again, and close this promotion: lakehouse rollback"
                f" {batch_id}"
            )
        return self._configs.publish(kind.name, dict(wanted), by=by, note=_note(batch_id)).version

    def _configs_to(self, name: str, version: int) -> None:
        if version == 0 and self._configs.live(name).version == 0:
            return
        self._configs.set_live(name, version)

    def _record(self, batch_id: str) -> Record | None:
        try:
            return dict(orjson.loads(self._objects.get(_promotion_key(batch_id)).body))
        except NotFound:
            return None
        except (orjson.JSONDecodeError, ValueError):
            raise BadInput(f"{_promotion_key(batch_id)!r} is damaged; set the config by hand, then delete it") from None

    def _keep(self, record: Record) -> None:
        self._objects.put(_promotion_key(record["promotion_id"]), orjson.dumps(record), content_type=JSON)

    def _audit(self, action: str, record: Mapping[str, Any], *, by: str) -> None:
        now, run_id = self._clock(), new_id()
        subject = "+".join(f"{one['name']}/{one['to']}" for one in record["configs"])
        line = {"actor": by, "action": action, "subject": subject, "method": "promotion", "status": "ok"}
        body = make_line("audits", line, run_id=run_id, recorded_at=now)
        self._objects.put(part_key("audits", f"{now:%Y-%m-%d}", f"promotion-{run_id}"), body, content_type=JSONL)


def _check_arms(candidate: ResolvedArm, baseline: ResolvedArm) -> None:
    if candidate.switches != baseline.switches:
        raise BadInput(
            f"the arms {candidate.name!r} and {baseline.name!r} differ in retrieval, playbook or pathway, which a"
            " request asks for and no config; give both the same, and replay again"
        )
    candidate.check()


def _promotion_key(batch_id: str) -> str:
    return f"{PROMOTIONS}{batch_id}.json"


def _note(batch_id: str) -> str:
    """What a version says that a promotion made."""
    return f"promoted by replay {batch_id}"


def _stem(key: str) -> str:
    return key.rpartition("/")[2].removesuffix(".json")
