"""What `/v1/chat` and OpenAI's chat routes take and answer (CONTRACTS.md section 7).

Belongs here: their shapes. Not here: what is refused by which model (see lakehouse/chat).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lakehouse.chat.request import ChatRequest, Role
from lakehouse.chat.wire import HANDED_ON
from lakehouse.errors import BadInput
from lakehouse_api.schemas.request_body import RequestBody

NAMES = "`provider/name`, `name:cloud`, the embedded model's name, or a name of Ollama's."
MODEL = f"{NAMES} Unset: the platform's default."
Temperature = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Penalty = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]
Bias = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]
Tokens = Annotated[int, Field(ge=1, le=1_048_576)]
Objects = list[dict[str, Any]]
_NOT_ANSWERED = {
    "logprobs": "answers have no probabilities of their tokens; leave it out",
    "top_logprobs": "answers have no probabilities of their tokens; leave it out",
    "functions": "send them as tools",
    "function_call": "send it as tool_choice, and functions as tools",
    "audio": "answers are text; leave it out",
    "web_search_options": "nothing is searched for; leave it out",
}
_REPLY: dict[str, Any] = {
    "model": "smollm2-135m-instruct",
    "provider": "embedded",
    "content": "Welcome aboard!",
    "finish_reason": "stop",
    "usage": {"prompt_tokens": 41, "completion_tokens": 5},
    "latency_ms": 180.4,
    "cost_usd": 0.0,
    "trace_id": "WzEsIjAxYTIwZTVkIl0.U5L-cFwtuBraM1lOPzM5FQ",
    "tool_calls": None,
    "escalated_from": None,
}
_COMPLETION: dict[str, Any] = {
    "id": "chatcmpl-0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c",
    "object": "chat.completion",
    "created": 1_767_225_600,
    "model": "embedded/smollm2-135m-instruct",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Welcome aboard!", "refusal": None},
            "finish_reason": "stop",
            "logprobs": None,
        }
    ],
    "usage": {"prompt_tokens": 41, "completion_tokens": 5, "total_tokens": 46},
}
_HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "Write a one-line greeting for a new worker."}]}


class ChatCall(RequestBody):
    """A chat."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {**_HELLO, "max_tokens": 40}})

    model: str | None = Field(None, min_length=1, description=MODEL)
    messages: Objects = Field(description="In OpenAI's form, oldest first.")
    temperature: Temperature | None = None
    max_tokens: Tokens | None = Field(None, description="Most tokens of the answer.")
    think: bool | None = Field(
        None, description="Whether a thinking model thinks first; local Ollama does not unless asked."
    )
    response_format: dict[str, Any] | None = Field(None, description="OpenAI's: text, json_object or json_schema.")
    role: Role = Field("executor", description="What the model is called for; usage is metered by it.")
    tools: Objects | None = Field(None, description="OpenAI's, handed on.")
    tool_choice: str | dict[str, Any] | None = None
    top_p: Probability | None = None
    stop: str | list[str] | None = None
    seed: int | None = Field(None, description="The embedded model then repeats itself exactly.")

    def request(self, default_model: str) -> ChatRequest:
        """As the service takes it."""
        return _request(self, self.model or default_model, max_tokens=self.max_tokens)


class ChatUsage(BaseModel):
    """Tokens of one call."""

    prompt_tokens: int
    completion_tokens: int


class ChatReply(BaseModel):
    """What the model said. `cost_usd` is null for a model whose price is not known."""

    model_config = ConfigDict(json_schema_extra={"example": _REPLY})

    model: str
    provider: str
    content: str
    finish_reason: str
    usage: ChatUsage
    latency_ms: float
    cost_usd: float | None
    trace_id: str = Field(description="For `POST /v1/outcomes`.")
    tool_calls: Objects | None = None
    escalated_from: str | None = Field(None, description="The model that had failed, when a frontier model took over.")


class StreamOptions(RequestBody):
    """OpenAI's."""

    include_usage: bool | None = None


class CompletionRequest(RequestBody):
    """OpenAI's form; members that mean nothing here are not used, those that ask for another answer are refused."""

    model_config = ConfigDict(
        extra="ignore", json_schema_extra={"example": {**_HELLO, "model": "smollm2-135m-instruct", "max_tokens": 40}}
    )

    model: str = Field(min_length=1, description=NAMES)
    messages: Objects
    temperature: Temperature | None = None
    top_p: Probability | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = Field(None, description="Wins over `max_tokens`.")
    n: int | None = Field(None, ge=1, le=1, description="One answer; ask again for another.")
    stop: str | list[str] | None = None
    seed: int | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: dict[str, Bias] | None = None
    response_format: dict[str, Any] | None = None
    tools: Objects | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    user: str | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    logprobs: bool | None = Field(None, description="`true` is refused: probabilities are not given here.")
    top_logprobs: int | None = Field(None, description="As `logprobs`.")
    functions: Objects | None = Field(None, description="Refused: send `tools`.")
    function_call: str | dict[str, Any] | None = Field(None, description="Refused: send `tool_choice`.")
    modalities: list[str] | None = Field(None, description="Text alone.")
    audio: dict[str, Any] | None = Field(None, description="Refused: answers are text.")
    web_search_options: dict[str, Any] | None = Field(None, description="Refused: nothing is searched for here.")
    think: bool | None = Field(None, description="Not OpenAI's: whether a thinking model thinks first.")
    role: Role = Field("executor", description="Not OpenAI's: what the model is called for.")

    @property
    def is_usage_wanted(self) -> bool:
        """Whether a stream ends with a chunk of its usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def request(self) -> ChatRequest:
        """As the service takes it.

        Raises:
            BadInput: It asks for what no answer here has; without that it would be another answer than was asked for.
        """
        for name, remedy in _NOT_ANSWERED.items():
            if getattr(self, name):
                raise BadInput(f"{name} is not answered here: {remedy}", param=name)
        if set(self.modalities or ()) - {"text"}:
            raise BadInput('modalities is not answered here: answers are text; send ["text"]', param="modalities")
        return _request(self, self.model, max_tokens=self.max_completion_tokens or self.max_tokens)


class CompletionMessage(BaseModel):
    """What was said, or which tools are called."""

    role: Literal["assistant"]
    content: str | None
    tool_calls: Objects | None = None
    refusal: None = None


class CompletionChoice(BaseModel):
    """The one answer."""

    index: int
    message: CompletionMessage
    finish_reason: str
    logprobs: None = None


class CompletionUsage(ChatUsage):
    """Tokens of one call."""

    total_tokens: int


class Completion(BaseModel):
    """OpenAI's chat completion."""

    model_config = ConfigDict(json_schema_extra={"example": _COMPLETION})

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str = Field(description="provider/name")
    choices: list[CompletionChoice]
    usage: CompletionUsage


def _request(asked: ChatCall | CompletionRequest, model: str, *, max_tokens: int | None) -> ChatRequest:
    extras = {name: value for name in HANDED_ON if (value := getattr(asked, name, None)) is not None}
    return ChatRequest(
        model=model,
        messages=asked.messages,
        temperature=asked.temperature,
        max_tokens=max_tokens,
        think=asked.think,
        response_format=asked.response_format,
        role=asked.role,
        tools=asked.tools,
        tool_choice=asked.tool_choice,
        extras=extras,
    )
