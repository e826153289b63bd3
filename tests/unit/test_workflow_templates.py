"""Templates: values of any type, and everything that reaches out of the sandbox or grows without an end."""

from __future__ import annotations

from typing import Any

import pytest

from lakehouse.errors import BadInput
from lakehouse.workflow.template_rules import TemplateProblem
from lakehouse.workflow.templates import compile_template, render_all

VALUES: dict[str, Any] = {
    "inputs": {
        "x": "hello",
        "n": 3,
        "xs": [1, 2, 3],
        "o": {"items": 5},
        "big": "a" * 400_000,
        "many": list(range(9000)),
        "deep": [[list(range(9000))]],
    },
    "nodes": {"a": {"output": {"y": 1.5, "rows": [{"name": "Ann"}, {"name": "Bo"}]}}},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ inputs.x }}", "hello"),
        ("{{ inputs.xs }}", [1, 2, 3]),
        (" {{ inputs.n + 1 }}\n", 4),
        ("{{ nodes.a.output }}", VALUES["nodes"]["a"]["output"]),
        ("{{ inputs.n > 2 and inputs.x == 'hello' }}", True),
        ("hi {{ inputs.x ~ '!' ~ inputs.n }}", "hi hello!3"),
        ("{{ inputs.o.items }}", 5),
        ("{{ inputs.x[0] }}{{ inputs.x[-1:] }}", "ho"),
        ("{% for x in inputs.xs %}{{ loop.index }}:{{ x }} {% endfor %}", "1:1 2:2 3:3 "),
        ("{% if inputs.n > 2 %}yes{% else %}no{% endif %}", "yes"),
        ("{{ nodes.a.output.rows | map(attribute='name') | join(', ') }}", "Ann, Bo"),
        ("{{ nodes.a.output.rows | selectattr('name', 'eq', 'Bo') | list }}", [{"name": "Bo"}]),
        ("{{ inputs.o.none | default('d') }}", "d"),
        ("{{ inputs.xs | tojson }}", "[1,2,3]"),
        ('{{ "<b>" | tojson }}', '"<b>"'),
        ('{{ "it\'s; DROP TABLE x --" | sql }}', "'it''s; DROP TABLE x --'"),
        ("{{ ['a', 1, none, true] | sql }}", "('a', 1, NULL, TRUE)"),
        ("{{ none }}", None),
        ("{{ inputs.xs | sum }}", 6),
        ("{{ nodes.a.output.rows | map(attribute='name') | select('in', ['Bo', 'Cy']) | list }}", ["Bo"]),
        ("{{ 2 in inputs.xs and inputs.missing is not defined and inputs.x is eq('hello') }}", True),
        ("{{ inputs.x[1:3] ~ inputs.xs[1:] }}", "el[2, 3]"),
        ("{{ {'a': [1, inputs.n]} }}", {"a": [1, 3]}),
    ],
)
def test_an_expression_gives_its_value_and_other_templates_text(text: str, value: Any) -> None:
    assert compile_template(text).render(VALUES) == value


def test_templates_inside_of_values_are_rendered() -> None:
    assert render_all({"a": ["{{ inputs.n }}", "plain", 7], "b": {"c": "{{ inputs.x }}!"}}, VALUES) == {
        "a": [3, "plain", 7], "b": {"c": "hello!"},
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__ }}", "{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ inputs.__class__ }}",
        "{{ range(1000000000) }}", "{{ lipsum() }}", "{{ cycler('a') }}", "{{ self }}", "{{ namespace() }}",
        "{{ inputs.x.format(1) }}", "{{ inputs | attr('x') }}", "{{ inputs.x | center(1000000000) }}",
        "{{ inputs.x | xmlattr }}", "{{ 10 ** 10 }}", "{% set x = 1 %}", "{% macro f() %}{% endmacro %}",
        "{% include 'x' %}", "{% import 'x' as y %}", "{% extends 'x' %}", "{% block b %}{% endblock %}",
        "{% call f() %}{% endcall %}", "{% filter upper %}a{% endfilter %}", "{% with a = 1 %}{% endwith %}",
        "{% for x in inputs.xs recursive %}{{ loop(x) }}{% endfor %}",
        "".join(f"{{% for {name} in [1] %}}" for name in "abcd") + "{% endfor %}" * 4,
        "{% for inputs in [1] %}{{ inputs }}{% endfor %}", "{{ nodes }}", "{{ nodes[inputs.x] }}", "{{ other }}",
        "{{ inputs.x", "{% if %}", "{{ " + "(" * 2000 + "1" + ")" * 2000 + " }}", "{{ " + "-" * 3000 + "1 }}",
        "{{ 1 }}" + " " * 40_000,
    ],
)  # fmt: skip
def test_what_no_template_may_use_is_refused_before_a_run(text: str) -> None:
    with pytest.raises(TemplateProblem):
        compile_template(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''['__class__'] }}", "{{ inputs['__class__'] }}", "{{ inputs.xs | map(attribute='__class__') | list }}",
        "{{ inputs.xs | map(attribute='real') | list }}", "{{ inputs.x.upper }}", "{{ inputs.n.real }}",
        "{{ 'a' * 1000000000 }}", "{{ [0] * 1000000000 }}", "{{ '%1000000000d' % 1 }}",
        "{{ 9223372036854775807 * 2 }}", "{{ inputs.big ~ inputs.big }}", "{{ inputs.big + inputs.big }}",
        "{{ inputs.big | replace('a', inputs.big) }}", "{{ inputs.many | join(inputs.big) }}",
        "{{ (inputs.big | list) + (inputs.big | list) }}",
        "{% for a in inputs.many %}{% for b in inputs.many %}{% endfor %}{% endfor %}",
        "{% for a in inputs.many %}{{ inputs.many | map('string') | list }}{% endfor %}",
        "{% for a in inputs.many %}{{ a in inputs.many }}{% endfor %}",
        "{% for a in inputs.many %}{% if inputs.deep == inputs.many %}{% endif %}{% endfor %}",
        "{% for a in inputs.many %}{% if a is in(inputs.many) %}{% endif %}{% endfor %}",
        "{% for a in inputs.many %}{% if inputs.many[1:] %}{% endif %}{% endfor %}",
        "{% for a in inputs.many %}{% if inputs.deep | tojson %}{% endif %}{% endfor %}",
        "{% for a in inputs.many %}{% if inputs.deep ~ '' %}{% endif %}{% endfor %}",
        "{{ inputs.many | select('in', inputs.many) | list }}", "{{ inputs.deep | sum(start=[]) }}",
        "{% for a in inputs.xs %}{{ inputs.big }}{% endfor %}", "{% for a in inputs.big %}{% endfor %}",
        "{{ 1.5 | round(1000000000) }}", "{{ inputs.missing }}", "{{ [inputs.missing] }}", "{{ inputs.missing.x }}",
        "{% for a in inputs.missing %}{% endfor %}", "{{ 1 / 0 }}", "{{ 1e308 * 10 }}", "{{ 'a' < 1 }}",
        "{{ {1: 2} | tojson }}",
    ],
)  # fmt: skip
def test_what_reaches_out_or_grows_is_stopped_in_a_run(text: str) -> None:
    with pytest.raises(BadInput):  # of a bomb that goes off nobody would see the end
        compile_template(text).render(VALUES)


def test_filters_of_jinja_that_are_not_listed_cannot_be_had_by_name_either() -> None:
    with pytest.raises(BadInput):
        compile_template("{{ inputs.xs | map('center', 1000000000) | list }}").render(VALUES)
