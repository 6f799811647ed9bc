"""A stream that breaks after its first token, and who writes the rest: what is asked, what the reader gets, what is billed."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.core import errors as e
from dragoman.core import events as ev
from dragoman.core.chat import Usage, Warning
from dragoman.core.http import Timeouts, TransportFailure
from dragoman.engine.call import Call
from dragoman.engine.drive import drive
from dragoman.engine.flow import open_stream
from dragoman.engine.prepare import prepare
from dragoman.engine.splice import LEAST_OVERLAP, Seam
from dragoman.engine.streams import StreamState, events
from dragoman.providers import prefill, registry
from dragoman.router.catalog_facts import facts_of
from dragoman.router.continuation import ContinuationPolicy, Rest, prefills
from dragoman.router.deployment import Deployment, Terms
from dragoman.router.policy import Policy
from dragoman.router.retry import RetryPolicy
from dragoman.router.state import RequestFacts, Settings
from support.calls import DONE, HELLO, ROLE, STOP, FakeStream, chunk, deployment, make_call
from support.routing import InOrder, listed
from support.slicing import cut

CUT = TransportFailure("closed", "reset by peer")
OVERLOADED = b'data: {"error": {"message": "overloaded", "status": 503}}\n\n'
REFUSED = b'data: {"error": {"message": "your key has expired", "status": 401}}\n\n'
GARBAGE = b"data: {half an ev\n\n"
TOOL = chunk({"tool_calls": [{"index": 0, "id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a"'}}]})


def said(*texts: str) -> tuple[bytes, ...]:
    return (ROLE, *(chunk({"content": text}) for text in texts))


def usage(prompt: int, completion: int) -> bytes:
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return chunk(None, usage=counts)


def place(name: str, *, prefill: bool | None = True, **terms: Any) -> Deployment:
    made = deployment(name)
    info = {} if prefill is None else {"supports_assistant_prefill": prefill}
    return Deployment(made.target, group="m", id=name, terms=Terms(info=info, **terms))


class Upstreams:
    """Hosts that give their streams in turn; an exception is raised in place of one. `asked`: (host, body)."""

    def __init__(self, **streams: list[Any]) -> None:
        self.streams = streams
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.opened: list[FakeStream] = []
        self.timeouts: list[Timeouts] = []

    def stream(self, request: Any, timeouts: Timeouts) -> FakeStream:
        name = request.url.split("/")[2].split(".")[1]
        self.asked.append((name, json.loads(request.body)))
        self.timeouts.append(timeouts)
        given = self.streams[name].pop(0)
        if isinstance(given, Exception):
            raise given
        self.opened.append(FakeStream(*given))
        return self.opened[-1]


class Streamed:
    """A call over these deployments, asked in order, read to its end."""

    def __init__(
        self,
        upstreams: Upstreams,
        *places: Deployment,
        body: dict[str, Any] | None = None,
        policy: ContinuationPolicy | None = ContinuationPolicy(),  # noqa: B008 - frozen
        clock: Any = float,
        **options: Any,
    ) -> None:
        router = Policy(
            listed(*(places or (place("acme"), place("bond")))),
            Settings(continuation=policy, retry=RetryPolicy(base=0.0)),
            strategy=InOrder(),
        )
        self.settled: list[Any] = []
        fields = {"model": "m", "messages": HELLO, **(body or {})}
        self.call: Call = make_call(body=fields, stream=True, settled=self.settled, **options)
        self.call.session = router.begin(RequestFacts(group="m", stream=True), Random(1))
        self.events: list[ev.Event] = []
        self.error: e.CallError | None = None
        self.upstreams = upstreams
        state = StreamState(drive(open_stream(self.call, clock, float), upstreams), self.call)  # type: ignore[arg-type]
        try:
            for batch in events(state, upstreams):  # type: ignore[arg-type]  # a transport of streams
                self.events += batch
        except e.CallError as error:
            self.error = error
        self.response = state.response

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, ev.TextDelta))

    @property
    def went(self) -> list[tuple[str, str, str | None]]:
        return [
            (one.deployment.id, one.reason, one.error and type(one.error).__name__)  # type: ignore[misc]  # None stays None
            for one in self.call.attempts
        ]


# ------------------------------------------------------------------------------------------------------------ it goes on
BREAKS: dict[str, tuple[Any, ...]] = {
    "a cut": (CUT,),
    "silence": (TransportFailure("idle", "nothing came for 1 s"),),
    "the bytes just end": (),
    "an error event": (OVERLOADED,),
    "garbage, and then the end": (GARBAGE,),
}


@pytest.mark.parametrize("then", BREAKS.values(), ids=BREAKS)
def test_the_next_deployment_writes_the_rest(then: tuple[Any, ...]) -> None:
    upstreams = Upstreams(
        acme=[(*said("The cat sat ", "on the"), *then)], bond=[(*said(" mat", "."), STOP, usage(20, 3), DONE)]
    )
    streamed = Streamed(upstreams)
    assert streamed.error is None
    assert streamed.text == "The cat sat on the mat."
    assert streamed.went == [("acme", "", "StreamInterruptedError"), ("bond", "continuation", None)]
    (first, _), (second, body) = upstreams.asked
    assert (first, second) == ("acme", "bond")
    assert body["messages"] == [*HELLO, {"role": "assistant", "content": "The cat sat on the"}]
    assert [stream.closed for stream in upstreams.opened] == [1, 1]


def test_the_reader_sees_one_answer() -> None:
    streamed = Streamed(Upstreams(acme=[(*said("The cat"), CUT)], bond=[(*said(" sat"), STOP, DONE)]))
    kinds = [type(event).__name__ for event in streamed.events]
    assert kinds == ["ResponseStart", "PartStart", "TextDelta", "Warning", "TextDelta", "PartEnd", "ResponseEnd"]
    assert [part.text for part in streamed.response.choices[0].parts] == ["The cat sat"]  # type: ignore[union-attr]


def test_the_seam_is_told_where_it_is() -> None:
    streamed = Streamed(Upstreams(acme=[(*said("The cat"), CUT)], bond=[(*said(" sat"), STOP, DONE)]))
    (mark,) = [event for event in streamed.events if isinstance(event, Warning)]
    assert (mark.field, mark.code) == ("stream", "changed")
    assert "7 characters" in mark.message
    assert "bond" in mark.message
    assert streamed.call.warnings == streamed.response.warnings == (mark,)


def test_both_legs_are_billed() -> None:
    """What the first one reported of its prompt, and at least the text that came of it; then what the second one reported."""
    words = " ".join(["word"] * 50)
    acme = (*said(words), chunk({}, None, usage={"prompt_tokens": 11, "completion_tokens": 1, "total_tokens": 12}), CUT)
    streamed = Streamed(Upstreams(acme=[acme], bond=[(*said(" end"), STOP, usage(70, 3), DONE)]))
    first = streamed.call.attempts[0].usage
    assert first is not None
    assert first.input_tokens == 11
    assert 40 <= first.output_tokens <= 60
    total = streamed.settled[0].usage
    assert total == Usage(input_tokens=11 + 70, output_tokens=first.output_tokens + 3)
    assert streamed.response.usage == total


def test_a_leg_that_reported_nothing_is_estimated() -> None:
    streamed = Streamed(Upstreams(acme=[(*said("one two three"), CUT)], bond=[(*said(" four"), STOP, usage(9, 1), DONE)]))
    first = streamed.call.attempts[0].usage
    assert first is not None
    assert first.output_tokens == 3
    assert first.input_tokens > 0


def test_the_rest_may_break_too() -> None:
    upstreams = Upstreams(
        acme=[(*said("one "), CUT)], bond=[(*said("two "), CUT)], cern=[(*said("three"), STOP, usage(5, 1), DONE)]
    )
    streamed = Streamed(upstreams, place("acme"), place("bond"), place("cern"))
    assert streamed.text == "one two three"
    assert [reason for _, reason, _ in streamed.went] == ["", "continuation", "continuation"]
    assert upstreams.asked[2][1]["messages"] == [*HELLO, {"role": "assistant", "content": "one two"}]


def test_a_deployment_that_fails_at_once_is_passed_over() -> None:
    upstreams = Upstreams(acme=[(*said("one"), CUT)], bond=[CUT], cern=[(*said(" two"), STOP, DONE)])
    streamed = Streamed(upstreams, place("acme"), place("bond"), place("cern"))
    assert streamed.text == "one two"
    assert [error for _, _, error in streamed.went] == ["StreamInterruptedError", "APIConnectionError", None]


def test_who_broke_is_asked_again_when_there_is_nobody_else() -> None:
    upstreams = Upstreams(acme=[(*said("one"), CUT), (*said(" two"), STOP, DONE)])
    assert Streamed(upstreams, place("acme"), place("bond", prefill=False)).text == "one two"


def test_where_nothing_was_delivered_it_is_asked_as_it_was() -> None:
    empty = chunk({"content": ""})
    upstreams = Upstreams(
        acme=[(ROLE, chunk({"role": "assistant", "content": "", "refusal": ""}), empty, STOP[:20], CUT)],
        bond=[(*said("all of it"), STOP, DONE)],
    )
    streamed = Streamed(upstreams, place("acme", prefill=False), place("bond", prefill=False))
    assert streamed.text == "all of it"
    assert upstreams.asked[-1][1]["messages"] == HELLO


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_limit_of_tokens_is_for_the_whole_answer(name: str) -> None:
    upstreams = Upstreams(acme=[(*said("one two three four"), CUT)], bond=[(*said(" five"), STOP, DONE)])
    Streamed(upstreams, body={name: 100})
    assert upstreams.asked[1][1][name] == 96


def test_the_deadline_is_for_all_legs() -> None:
    now = iter(range(1000))
    upstreams = Upstreams(acme=[(*said("one"), CUT)], bond=[(*said(" two"), STOP, DONE)])
    streamed = Streamed(upstreams, clock=lambda: float(next(now)), timeouts=Timeouts(total=100.0))
    assert streamed.text == "one two"
    first, second = (limits.total for limits in upstreams.timeouts)
    assert first == 100.0
    assert second is not None
    assert second < first


def test_with_no_time_left_nobody_is_asked() -> None:
    now = iter([0.0, 0.0, 0.0, 0.0, 0.0, *([200.0] * 50)])
    upstreams = Upstreams(acme=[(*said("one"), CUT)], bond=[])
    streamed = Streamed(upstreams, clock=lambda: next(now), timeouts=Timeouts(total=100.0))
    assert type(streamed.error) is e.StreamInterruptedError
    assert len(upstreams.asked) == 1


# ---------------------------------------------------------------------------------------------------------- it does not
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
NEVER: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "tools": (said("one"), {"tools": TOOLS}),
    "a tool call": ((ROLE, TOOL), {}),
    "text and a tool call": ((*said("I call"), TOOL), {}),
    "a schema": (said('{"a": '), {"response_format": SCHEMA}),
    "JSON": (said('{"a": '), {"response_format": {"type": "json_object"}}),
    "several answers": (said("one"), {"n": 2}),
    "token probabilities": (said("one"), {"logprobs": True}),
    "asked-for reasoning": (said("one"), {"reasoning_effort": "low"}),
    "reasoning": ((ROLE, chunk({"reasoning_content": "hm"}), chunk({"content": "one"})), {}),
    "a refusal": ((ROLE, chunk({"refusal": "I may not"})), {}),
    "nothing but blanks": (said("  \n"), {}),
}


@pytest.mark.parametrize(("pieces", "body"), NEVER.values(), ids=NEVER)
def test_what_cannot_be_continued_safely_is_the_error_that_it_was(pieces: tuple[Any, ...], body: dict[str, Any]) -> None:
    upstreams = Upstreams(acme=[(*pieces, CUT)], bond=[])
    streamed = Streamed(upstreams, body=body)
    assert type(streamed.error) is e.StreamInterruptedError
    assert streamed.error.partial == streamed.response
    assert len(upstreams.asked) == 1
    assert [one.error for one in streamed.settled] == [streamed.error]


def test_a_refusal_in_the_stream_is_final() -> None:
    streamed = Streamed(Upstreams(acme=[(*said("one"), REFUSED)], bond=[]))
    assert streamed.error is not None
    assert streamed.error.status_code == 401


@pytest.mark.parametrize("policy", [None, ContinuationPolicy(most=0)])
def test_it_can_be_turned_off(policy: ContinuationPolicy | None) -> None:
    streamed = Streamed(Upstreams(acme=[(*said("one"), CUT)], bond=[]), policy=policy)
    assert type(streamed.error) is e.StreamInterruptedError


@pytest.mark.parametrize("known", [False, None])
def test_a_model_that_would_answer_the_beginning_is_not_asked(known: bool | None) -> None:
    upstreams = Upstreams(acme=[(*said("one"), CUT)], bond=[])
    streamed = Streamed(upstreams, place("acme", prefill=known), place("bond", prefill=known))
    assert type(streamed.error) is e.StreamInterruptedError
    assert len(upstreams.asked) == 1


def test_unless_there_is_an_instruction_for_it() -> None:
    upstreams = Upstreams(acme=[(*said("one"), CUT)], bond=[(*said(" two"), STOP, DONE)])
    asking = ContinuationPolicy(instruction="Go on.")
    streamed = Streamed(upstreams, place("acme", prefill=None), place("bond", prefill=None), policy=asking)
    assert streamed.text == "one two"
    told = upstreams.asked[1][1]["messages"]
    assert told == [*HELLO, {"role": "assistant", "content": "one"}, {"role": "user", "content": "Go on."}]


def test_when_all_break_the_error_is_the_first_ones_and_there_is_an_end_to_it() -> None:
    upstreams = Upstreams(acme=[(*said("one "), CUT)] * 9, bond=[(*said("more "), CUT)] * 9)
    streamed = Streamed(upstreams)
    assert type(streamed.error) is e.StreamInterruptedError
    assert len(upstreams.asked) == 3
    assert len(streamed.settled) == 1


# --------------------------------------------------------------------------------------------------- how a row wants it asked
BEGUN = "The cat sat on the"
LAST = {"role": "assistant", "content": BEGUN}


def rowed(name: str, model: str, **named: Any) -> Deployment:
    """A deployment of a provider of the table, known by its row or the catalog to write on."""
    target = registry.resolve(model, api_key="sk-test", env={}, **named)
    return Deployment(target, group="m", id=name, terms=Terms())


MARKED: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "DeepSeek": ("deepseek/deepseek-chat", "https://api.deepseek.com/beta/chat/completions", {**LAST, "prefix": True}, {}),
    "Mistral": ("mistral/mistral-small-latest", "https://api.mistral.ai/v1/chat/completions", {**LAST, "prefix": True}, {}),
    "vLLM": (
        "hosted_vllm/whatever",
        "https://vllm.test/v1/chat/completions",
        LAST,
        {"continue_final_message": True, "add_generation_prompt": False},
    ),
    "Anthropic": ("anthropic/claude-sonnet-4-5", "https://api.anthropic.com/v1/messages", LAST, {}),
    "Bedrock": (
        "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream",
        {"role": "assistant", "content": [{"text": BEGUN}]},
        {},
    ),
}


@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic_messages"])
@pytest.mark.parametrize(("model", "url", "last", "fields"), MARKED.values(), ids=MARKED)
def test_a_provider_is_told_in_its_own_way(
    model: str, url: str, last: dict[str, Any], fields: dict[str, Any], dialect: str
) -> None:
    """Whoever it is, the first request has nothing of it, and only the last message is another in the second."""
    named = {"base_url": "https://vllm.test/v1"} if model.startswith("hosted_vllm") else {}
    place = rowed("a", model, **named)
    session = Policy(listed(place, rowed("b", model, **named)), Settings(), facts_of=facts_of).begin(
        RequestFacts(group="m", stream=True), Random(1)
    )
    call = make_call(body={"model": "m", "messages": HELLO, "max_tokens": 9}, dialect=dialect, stream=True)
    call.session = session  # type: ignore[assignment]  # it has policy
    first = session.next(0.0)
    assert isinstance(first, Deployment)
    before = prepare(call, first).request
    session.failed(e.StreamInterruptedError("cut"), 1.0)
    found = session.go_on(2.0, Rest(by_prefill={"messages": [*HELLO, LAST]}))  # type: ignore[union-attr]  # as above
    assert found is not None
    after = prepare(call, found).request
    assert after.url == url
    old, new = json.loads(before.body), json.loads(after.body)
    *earlier, marked = new["messages"]
    content = marked["content"]
    if isinstance(content, list) and isinstance(last["content"], str):
        marked["content"] = "".join(block["text"] for block in content)
    assert marked == last
    assert earlier == old["messages"]
    assert {key: value for key, value in new.items() if key not in old} == fields
    assert {key: value for key, value in new.items() if key in old and key != "messages"} == {
        key: value for key, value in old.items() if key != "messages"
    }


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ("deepseek/deepseek-chat", {"base_url": "https://proxy.test/v1"}),
        ("bedrock/us.anthropic.claude-sonnet-5", {}),
        ("gemini/gemini-2.5-flash", {}),
        ("openai/gpt-4o", {}),
        ("mistral/unheard-of", {}),
        ("openrouter/mistralai/mistral-small", {}),
    ],
)
def test_where_it_is_not_known_nobody_is_asked(model: str, named: dict[str, str]) -> None:
    """Nor at another address than the one at which the vendor has it."""
    router = Policy(listed(rowed("a", model, **named), rowed("b", model, **named)), Settings(), facts_of=facts_of)
    assert not any(map(prefills, router.group("m").nodes))


def test_a_key_goes_nowhere_else_where_the_configuration_says_that_it_can() -> None:
    target = registry.resolve("deepseek/deepseek-chat", api_key="sk-test", base_url="https://proxy.test/v1", env={})
    assert prefill.place("https://proxy.test/v1/chat/completions", target) == "https://proxy.test/v1/chat/completions"


@given(st.text(alphabet="ab \n", min_size=1, max_size=20), st.text(alphabet="ab \n", max_size=9), st.data())
def test_a_beginning_that_is_said_once_more_is_left_out(before: str, rest: str, data: st.DataObject) -> None:
    """Whatever its length, and whether the blanks at its end come again or not."""
    stripped = before.rstrip()
    blanks = before[len(stripped) :]
    seam = Seam(before, blanks, repeats=True)
    whole = (stripped + blanks if data.draw(st.booleans()) else stripped) + "c" + rest
    places = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=4)))
    pieces = [whole[start:end] for start, end in zip([0, *places], [*places, len(whole)], strict=True)]
    assert "".join([*(seam.feed(piece) for piece in pieces), seam.close()]) == "c" + rest


# ------------------------------------------------------------------------------------------------------- malformed events
def test_a_malformed_event_is_skipped_and_told() -> None:
    streamed = Streamed(Upstreams(acme=[(*said("one "), GARBAGE, chunk({"content": "two"}), STOP, usage(3, 2), DONE)]))
    assert streamed.error is None
    assert streamed.text == "one two"
    (warning,) = streamed.response.warnings
    assert "skipped" in warning.message
    assert streamed.call.warnings == (warning,)
    assert streamed.settled[0].usage.total_tokens == 5


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 400), max_size=6))
def test_however_the_bytes_are_cut(places: list[int]) -> None:
    data = b"".join((GARBAGE, chunk({"content": "two "}), GARBAGE, chunk({"content": "three"}), STOP, DONE))
    pieces = filter(None, cut(data, [at * len(data) // 400 for at in places]))
    streamed = Streamed(Upstreams(acme=[(*said("one "), *pieces)]))
    assert streamed.error is None
    assert streamed.text == "one two three"
    assert len(streamed.response.warnings) == 2


def test_many_malformed_events_are_no_accident() -> None:
    streamed = Streamed(Upstreams(acme=[(*said("one"), *[GARBAGE] * 9, STOP, DONE)], bond=[(*said(" two"), STOP, DONE)]))
    assert streamed.text == "one two"
    assert [reason for _, reason, _ in streamed.went] == ["", "continuation"]


@pytest.mark.parametrize(
    ("pieces", "body"), [((ROLE, TOOL), {}), (said('{"a": '), {"response_format": SCHEMA})], ids=["tool call", "schema"]
)
def test_no_hole_in_what_programs_read(pieces: tuple[Any, ...], body: dict[str, Any]) -> None:
    streamed = Streamed(Upstreams(acme=[(*pieces, GARBAGE, STOP, DONE)], bond=[]), body=body)
    assert type(streamed.error) is e.StreamInterruptedError


# ------------------------------------------------------------------------------------------------------------- the seam
SEAMS = {
    "a plain continuation": ("The cat sat on", " the mat", "The cat sat on the mat"),
    "an answer from the beginning": ("The cat sat on", "The cat sat on the mat", "The cat sat on the mat"),
    "its last words again": ("Once the cat sat on the", "cat sat on the mat", "Once the cat sat on the mat"),
    "a repetition that is meant": ("ha", "ha", "haha"),
    "a number that goes on": ("1", "1", "11"),
    "a row like the others": ("| 0 | 0 | 0 |\n" * 3, "| 0 | 0 | 0 |\n", "| 0 | 0 | 0 |\n" * 4),
    "a blank that was there already": ("The cat ", " sat", "The cat sat"),
    "a blank that was not sent": ("The cat ", "sat", "The cat sat"),
    "a line that was ended already": ("One.\n\n", "\n\nTwo.", "One.\n\nTwo."),
    "nothing more": ("The cat sat on the mat", "", "The cat sat on the mat"),
    "only what was there": ("The cat sat on the mat", "The cat sat on the mat", "The cat sat on the mat"),
}


@pytest.mark.parametrize(("before", "rest", "whole"), SEAMS.values(), ids=SEAMS)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_the_seam(before: str, rest: str, whole: str, size: int) -> None:
    seam = Seam(before, before[len(before.rstrip()) :])
    pieces = [rest[at : at + size] for at in range(0, len(rest), size)]
    assert before + "".join(map(seam.feed, pieces)) + seam.close() == whole


@given(st.permutations("abcdefghijklmnopqrstuvwxyz"), st.integers(LEAST_OVERLAP, 26), st.integers(1, 9))
def test_what_is_repeated_is_left_out_whatever_it_is(letters: list[str], again: int, size: int) -> None:
    before, more = "".join(letters), "0123456789"
    rest = before[-again:] + more
    seam = Seam(before, "")
    assert "".join(seam.feed(rest[at : at + size]) for at in range(0, len(rest), size)) + seam.close() == more


@given(st.text(max_size=40), st.lists(st.text(max_size=8), max_size=12))
def test_nothing_is_lost_that_does_not_repeat(before: str, pieces: list[str]) -> None:
    seam = Seam(before, "")
    given_back = "".join(map(seam.feed, pieces)) + seam.close()
    whole = "".join(pieces)
    assert whole.endswith(given_back)
    assert given_back == whole or before.endswith(whole[: len(whole) - len(given_back)])
