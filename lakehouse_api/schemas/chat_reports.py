"""What is said about chat: the models, the providers, what was spent (CONTRACTS.md section 7).

Belongs here: the shapes. Not here: chats themselves (see chat.py).
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_SPENT: dict[str, Any] = {
    "calls": 40,
    "failures": 1,
    "prompt_tokens": 16_000,
    "completion_tokens": 2_100,
    "cost_usd": 0.21,
    "unpriced_calls": 0,
    "escalations": 2,
    "escalation_usd": 0.21,
}
_TOTAL: dict[str, Any] = {
    **_SPENT,
    "frontier_calls": 2,
    "frontier_cost_usd": 0.21,
    "frontier_share_of_calls": 0.05,
    "frontier_share_of_cost": 1.0,
}
_CARD: dict[str, Any] = {"id": "smollm2-135m-instruct", "object": "model", "created": 0, "owned_by": "embedded"}
_STATE: dict[str, Any] = {"name": "embedded", "configured": True, "reachable": True, "models": 1, "last_error": None}


class ModelCard(BaseModel):
    """One model, by the name it is asked by."""

    model_config = ConfigDict(json_schema_extra={"example": _CARD})

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = Field(description="Its provider.")


class ModelList(BaseModel):
    """OpenAI's list of models: the embedded one, and those of the providers that answer."""

    model_config = ConfigDict(json_schema_extra={"example": {"object": "list", "data": [_CARD]}})

    object: Literal["list"] = "list"
    data: list[ModelCard]


class ProviderState(BaseModel):
    """One provider. `reachable` is null for one that is not set up and therefore not asked."""

    name: str
    configured: bool
    reachable: bool | None
    models: int
    last_error: str | None = Field(description="Why it was not reached, or why its last call failed.")


class ProviderStates(BaseModel):
    """The six providers, and the model that answers where none is named."""

    model_config = ConfigDict(json_schema_extra={"example": {"default_model": _CARD["id"], "providers": [_STATE]}})

    default_model: str
    providers: list[ProviderState]


class Spending(BaseModel):
    """Sums of calls; `cost_usd` is of those whose price is known."""

    calls: int
    failures: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    unpriced_calls: int
    escalations: int
    escalation_usd: float


class SpendingTotal(Spending):
    """The same with the share of frontier models."""

    frontier_calls: int
    frontier_cost_usd: float
    frontier_share_of_calls: float
    frontier_share_of_cost: float


class UsageReport(BaseModel):
    """What chat has used, as far as this installation counted; a month back, by day."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "since": "2026-01-01T00:00:00Z",
                "escalation_budget_usd": 1.0,
                "today": _TOTAL,
                "total": _TOTAL,
                "by_role": {"executor": _SPENT},
                "by_provider": {"embedded": _SPENT},
                "by_model": {"embedded/smollm2-135m-instruct": _SPENT},
            }
        }
    )

    since: str
    escalation_budget_usd: float = Field(description="For a day (UTC).")
    today: SpendingTotal
    total: SpendingTotal
    by_role: dict[str, Spending]
    by_provider: dict[str, Spending]
    by_model: dict[str, Spending]
