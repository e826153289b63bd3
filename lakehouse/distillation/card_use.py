"""What the card tells who has only the folder: how it is loaded and trained on, and what can be checked without a lake.

Chat templates are not of one mind: most write arguments of calls as JSON by themselves, and some ask whether a member
is there, not whether it is null. Columns of Parquet can hold neither absent members nor objects of any shape, so that a
message is made plain after it is loaded.

Belongs here: the code of the card, its sections. Not here: the rest of the card (see card.py), the forms (see
trl_form.py).
Source: Hugging Face, "Chat templates", "Tool use"; TRL, "Dataset formats and types"; datasets 4.7, `Json`.
"""

from __future__ import annotations

from lakehouse.distillation.parameters import Kind

PLAIN_MESSAGE = '''\
def plain(message):
    """A message as chat templates take it: no empty members, arguments of calls as objects."""
    kept = {name: value for name, value in message.items() if value is not None}
    for call in kept.get("tool_calls", ()):
        call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return {"content": "", **kept}
'''
"""Code, shown on the card and in the docs."""

_LOADING = """\
import json

from datasets import Features, Json, List, load_dataset  # datasets 4.7 or later


{plain}

def for_templates(data):
    talks = [name for name, feature in data.features.items() if isinstance(feature, List)]
    features = Features({{**data.features, **{{name: List(Json()) for name in talks}}}})
    return data.map(lambda row: {{name: [*map(plain, row[name])] for name in talks}}, features=features)


{loads}
"""
_LOADS = {
    "sft": 'sft = load_dataset("./sft")\ntrain = for_templates(sft["train"])  # for SFTTrainer',
    "preference": (
        'pairs = load_dataset("./preference", "pairs")\ntrain = for_templates(pairs["train"])  # for DPOTrainer;'
        ' "labels" in place of "pairs" for KTOTrainer'
    ),
}
_TEMPLATES = (
    "As they are loaded, arguments of calls are text, which the template of Qwen2.5 writes as a text within JSON,"
    " without a word, and which those of Qwen3.5 and GLM 4.5 fail on. Members that a message does not have are null,"
    " which older versions of transformers hand on: those of Llama 3.1 and gpt-oss fail on that. A template that"
    " knows no tools (of Llama 3, Gemma 3, SmolLM2) passes calls over or fails: keep rows without them."
)
_SETTINGS = (
    "TRL cuts what is longer than `max_length`, by default 1,024 tokens, from the end: of a run of an agent may remain"
    " the system prompt alone. `tokens` in `provenance.parquet` says how long samples are. `SFTTrainer` learns what"
    " users and tools say, too, unless `SFTConfig(assistant_only_loss=True, max_length=…)` says otherwise."
)
_CHECKING = (
    'python3 -c \'import json; [print(f["sha256"], "", f["name"]) for f in json.load(open("manifest.json"))["files"]]\''
    " | sha256sum -c --quiet"
)


def loading_code(kind: Kind) -> str:
    """Python that loads a build for TRL's trainers; empty for `rag`, whose rows are plain tables.

    The folder has its name from `lakehouse export <kind> --to ./<kind>`: `load_dataset(".")` is refused by `datasets`.
    """
    if kind == "rag":
        return ""
    return _LOADING.format(plain=PLAIN_MESSAGE, loads=_LOADS[kind])


def loading_section(kind: Kind) -> list[str]:
    """The card's section on loading; none for `rag`."""
    code = loading_code(kind)
    return ["## Loading", "", "```python", *code.splitlines(), "```", "", _TEMPLATES, "", _SETTINGS, ""] if code else []


def checking_section(kind: Kind) -> list[str]:
    """The card's section on what can be checked without the lake that the build is of."""
    unit = "The first chunk of a document" if kind == "rag" else "A row"
    rows = (
        f"{unit} is that sample of `provenance.parquet` whose `form` and `split` are the file's and whose `row` is its"
        " number (from 0). `sha256` there is that of the raw line it was made of, without its line feed: line `line` of"
        " the object `source_key`. Who has the lake asks `lakehouse lineage <sample_id>`."
    )
    told = "Every file is as it was built where this says nothing:"
    return ["## Checking", "", told, "", "```console", f"$ {_CHECKING}", "```", "", rows, ""]
