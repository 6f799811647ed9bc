"""Reading guardrails: ours and LiteLLM's. What is wrong is named with file, line and key before anything is served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dragoman.core.errors import ConfigurationError
from dragoman.gateway.changes import changes
from dragoman.gateway.config import read
from dragoman.gateway.guardrails.base import Guard
from dragoman.gateway.guardrails.presidio import PresidioGuard

ENV = {"OPENAI_API_KEY": "sk-x"}
OURS = "models: [{name: m, model: openai/gpt-x}]\nguardrails:\n"
LITELLM = "model_list:\n- {model_name: m, litellm_params: {model: openai/gpt-x}}\nguardrails:\n"


def guards(text: str, file: str = "dragoman.yaml") -> tuple[Guard, ...]:
    config, _ = read(text, file=file, env=ENV)
    return tuple(entry.guard() for entry in config.guardrails)


def refusal(text: str) -> str:
    with pytest.raises(ConfigurationError) as failure:
        guards(text)
    return failure.value.message


ENTRIES = [
    "{name: a, use: regex, patterns: {word: 'w.rd'}, window: 50, ignore_case: true}",
    "{name: a, use: pii}",
    "{name: a, use: pii, kinds: [email, card], action: mask, stage: [before, after], models: ['gpt-*'], default: false}",
    "{name: a, use: secrets, entropy: false}",
    "{name: a, use: injection, threshold: 1.5}",
    "{name: a, use: topics, denied: {medicine: [pills]}}",
    "{name: a, use: schema, schema: {type: object}}",
    "{name: a, use: schema}",
    "{name: a, use: judge, model: m, policy: Be kind., stage: during, on_failure: open}",
    "{name: a, use: http, url: 'https://guard.test/x', headers: {x-token: t}, timeout: 2}",
]


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_kind_is_read(entry: str) -> None:
    (guard,) = guards(f"{OURS}  - {entry}\n")
    assert guard.terms.name == "a"


def test_terms_are_those_of_the_entry() -> None:
    terms = guards(f"{OURS}  - {ENTRIES[2]}\n")[0].terms
    assert (terms.stages, terms.action, terms.models, terms.default) == (("before", "after"), "mask", ("gpt-*",), False)
    usual = guards(f"{OURS}  - {ENTRIES[1]}\n")[0].terms
    assert (usual.stages, usual.action, usual.default, usual.on_failure) == (("before",), "block", True, "closed")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{name: a, use: magic}", "dragoman.yaml:3: guardrails[0].use: expected one of regex, pii, presidio, secrets, "),
        ("{name: a}", "dragoman.yaml:3: guardrails[0].use: expected one of"),
        ("just text", "dragoman.yaml:3: guardrails[0].use: expected one of"),
        ("{name: a, use: pii, kids: [email]}", "dragoman.yaml:3: guardrails[0].kids: unknown key; did you mean kinds?"),
        ("{name: a, use: pii, kinds: [names]}", "dragoman.yaml:3: guardrails[0].kinds"),
        ("{name: a, use: pii, stage: later}", "dragoman.yaml:3: guardrails[0].stage"),
        ("{name: a, use: pii, stage: []}", "guardrails[0].stage: expected at least one of before, during, after"),
        ("{name: a, use: pii, stage: during, action: mask}", "guardrails[0].stage: what is on its way cannot be masked"),
        ("{name: a, use: injection, action: mask}", "guardrails[0].action: injection judges a text as a whole"),
        ("{name: a, use: schema, stage: before}", "guardrails[0].stage: schema looks at answers: after"),
        ("{name: a, use: schema, schema: {type: 7}}", "guardrails[0].schema: 7 is not valid"),
        ("{name: a, use: regex, patterns: {word: '('}}", "guardrails[0].patterns.word: no regular expression"),
        ("{name: a, use: regex, patterns: {}}", "guardrails[0].patterns"),
        ("{name: a, use: topics}", "guardrails[0]: expected denied or allowed topics"),
        ("{name: a, use: topics, allowed: {x: [y]}, denied: {x: [y]}}", "guardrails[0].allowed: a topic is either"),
        ("{name: a, use: http, url: 'ftp://x'}", "guardrails[0].url: expected http:// or https://"),
        ("{name: a, use: http, url: 'https://u:p@x'}", "guardrails[0].url: expected"),
        ('{name: a, use: http, url: "https://x", headers: {a: "b\\nc"}}', "guardrails[0].headers"),
        ("{name: a, use: python, path: nowhere.Thing}", "guardrails[0]: nowhere.Thing cannot be loaded: ModuleNotFoundError"),
        ("{name: 'a b', use: pii}", "guardrails[0].name"),
        (
            "{name: a, use: pii}\n  - {name: a, use: secrets}",
            "dragoman.yaml:4: guardrails[1].name: 'a' is the name of an earlier",
        ),
        ("{name: a, use: judge, model: m}", "guardrails[0]: object missing required field `policy`"),
    ],
)
def test_what_is_wrong_is_named(entry: str, message: str) -> None:
    assert message in refusal(f"{OURS}  - {entry}\n")


def litellm(params: str, name: str = "g") -> str:
    return f"{LITELLM}- guardrail_name: {name}\n  litellm_params: {params}\n"


def told(found: tuple[Guard, ...]) -> list[Any]:
    return [(guard.terms.name, guard.terms.stages, guard.terms.action, guard.terms.default) for guard in found]


def test_litellms_list_is_read() -> None:
    assert told(guards(litellm("{guardrail: hide-secrets, mode: pre_call, default_on: true}"))) == [
        ("g", ("before",), "mask", True)
    ]
    assert told(guards(litellm("{guardrail: presidio, mode: [pre_call, post_call]}"))) == [
        ("g", ("before", "after"), "mask", False)
    ]
    both = "{guardrail: presidio, mode: pre_call, pii_entities_config: {EMAIL_ADDRESS: MASK, CREDIT_CARD: BLOCK}}"
    assert told(guards(litellm(both))) == [("g-mask", ("before",), "mask", False), ("g-block", ("before",), "block", False)]


def test_litellms_presidio_is_its_service_where_the_address_is_given() -> None:
    where = "presidio_analyzer_api_base: 'http://presidio.test:3000', presidio_anonymizer_api_base: 'http://anonymizer.test'"
    params = f"{{guardrail: presidio, mode: pre_call, {where}, presidio_language: de, pii_entities_config: {{PERSON: BLOCK}}}}"
    (guard,) = guards(litellm(params))
    assert isinstance(guard, PresidioGuard)
    assert told((guard,)) == [("g", ("before",), "block", False)]
    assert told(guards(litellm(f"{{guardrail: presidio, mode: pre_call, {where}}}"))) == [("g", ("before",), "mask", False)]


def test_litellms_classes_are_loaded_from_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "class Mine:\n    def __init__(self, guardrail_name, **kw):\n        self.kw = kw\n", encoding="utf-8"
    )
    text = litellm("{guardrail: mine.Mine, mode: during_call, default_on: true, extra: 7}")
    (guard,) = guards(text, file=str(tmp_path / "config.yaml"))
    assert told((guard,)) == [("g", ("during",), "block", True)]
    assert guard._hooks.kw == {"extra": 7}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            "{guardrail: lakera_v2, mode: pre_call}",
            "dragoman.yaml:5: guardrails[0].litellm_params.guardrail: 'lakera_v2' is not served",
        ),
        ("{guardrail: hide-secrets, mode: logging_only}", "guardrails[0].litellm_params.mode: expected pre_call"),
        (
            "{guardrail: presidio, pii_entities_config: {PERSON: MASK}}",
            "pii_entities_config.PERSON: expected MASK or BLOCK for one of",
        ),
        ("{guardrail: presidio, output_parse_pii: true}", "litellm_params.output_parse_pii: this is not served of presidio"),
        ("{guardrail: hide-secrets, detect_secrets_config: {}}", "litellm_params.detect_secrets_config: this is not served of"),
        ("7", "guardrails[0]: expected guardrail_name and litellm_params"),
    ],
)
def test_what_litellm_has_and_we_have_not_is_an_error_and_not_left_out(params: str, message: str) -> None:
    assert message in refusal(litellm(params))


def test_a_file_with_guardrails_can_be_compared_and_tells_no_secret() -> None:
    text = (
        "server: {{api_key: sk-gateway}}\n"
        "passthrough: {{unguarded: true, providers: [{{name: openai, api_key: sk-{0}, api_base: 'https://x.test/{0}'}}]}}\n"
        "guardrails:\n  - {{name: a, use: http, url: 'https://{0}.test', headers: {{x-token: sk-{0}}}, timeout: {1}}}\n"
    )
    before, after = (
        read(f"models: [{{name: m, model: openai/gpt-x}}]\n{text.format(*values)}", file="x.yaml", env=ENV)
        for values in (("one", 1), ("two", 2))
    )
    told = "\n".join(map(str, changes(before, after)))
    assert "~ guardrails[a].timeout: 1.0 -> 2.0" in told
    assert "~ guardrails[a].headers.x-token: (hidden) -> (hidden)" in told
    assert "~ passthrough.providers[openai].api_key: (hidden) -> (hidden)" in told
    assert "sk-" not in told
