"""Chat elsewhere: what is asked, what an answer may look like, and everything that a server can do wrong."""

from __future__ import annotations

import base64
import itertools
import logging
import socket
import threading
import time

import pytest

from edge.errors import ConfigError, EngineFailed, RemoteFailed, RemoteRefused
from edge.ports import Stop
from edge.values import Message, Prompt
from models.openai_chat import OpenAiChat, harmless
from models.openai_http import Limits
from tests.models.openai_server import (
    HANGS_UP,
    SILENT,
    Reply,
    Scripted,
    Seen,
    answer,
    as_json,
    delta,
    event,
    serving,
    slowly,
)

pytestmark = pytest.mark.real_time

QUICK = Limits(connect=1.0, first=0.8, idle=0.5, pause=0.01)
KEY = "sk-never-to-be-seen"
SECRET = "what the wearer said"
PROMPT = Prompt((Message("system", "Be brief."), Message("user", SECRET)), 8)


def engine(server: Scripted, *, key_env: str = "", model: str = "tiny") -> OpenAiChat:
    return OpenAiChat(server.url, model=model, key_env=key_env, limits=QUICK)


def said(chat: OpenAiChat, prompt: Prompt = PROMPT, stop: Stop | None = None) -> str:
    chat.open()
    try:
        return "".join(chat.generate(prompt, stop or Stop()))
    finally:
        chat.close()


def test_what_is_asked_and_what_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", f" {KEY}\n")
    talk = (Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Yes?"), Message("user", "So"))
    with serving(Reply(answer("Well then . END of it"))) as server:
        chat = engine(server, key_env="MY_KEY")
        assert chat.info.remote == server.address
        assert KEY not in repr(chat.info) + repr(vars(chat))
        prompt = Prompt(talk, 9, 0.5, (" END", "", "\n\n"))
        assert said(chat, prompt) == "Well then ."
    (seen,) = server.seen
    assert (seen.path, seen.headers["Authorization"]) == ("/v1/chat/completions", f"Bearer {KEY}")
    roles = [message["role"] for message in seen.json["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    wanted = {"model": "tiny", "max_tokens": 9, "temperature": 0.5, "stop": [" END", "\n\n"], "stream": True}
    assert {name: seen.json[name] for name in wanted} == wanted
    assert not set(seen.json) - set(wanted) - {"messages"}, "nothing that a strict server would refuse"


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (Reply(answer("a b", done=False)), "a b"),
        (Reply(answer("a b").replace(b"\n", b"\r\n")), "a b"),
        (Reply(b": PROCESSING\r\rid: 1\r" + answer("a b").replace(b"\n", b"\r")), "a b"),
        (Reply(event({"choices": [], "usage": {}}) + answer("a b")), "a b"),
        (Reply(answer("a b", finish="length")), "a b"),
        (Reply([bytes([byte]) for byte in answer("é 日")]), "é 日"),
        (Reply(delta("a") + b'data: {"choices": [{"delta": {"content": "\xff"}}]}\n\n' + delta(" b", "stop")), "a\ufffd b"),
        (Reply(delta("a b") + b"data: [DONE]"), "a b"),
        (Reply(b"data:\n\n" + delta() + delta("a b", "stop") + b"data: and then nonsense\n\n"), "a b"),
        (as_json({"choices": [{"message": {"content": "a b"}, "finish_reason": "stop"}]}), "a b"),
        (Reply(delta("") + delta(None, "content_filter")), ""),
    ],
)
def test_answers_that_differ_in_form_alone(reply: Reply, text: str) -> None:
    with serving(reply) as server:
        assert said(engine(server)) == text


ENDLESS = itertools.repeat(delta("la "))
FAULTS: list[tuple[str, Reply, type[RemoteFailed], str]] = [
    ("page", Reply(b"<html>login</html>", "text/html"), RemoteFailed, "web page"),
    ("text", Reply(b"hello", "text/plain"), RemoteFailed, "answers with text/plain instead"),
    ("401", as_json({"error": {"message": SECRET, "code": "invalid_api_key"}}, 401), RemoteRefused, r"\(401 invalid_api_key\)"),
    ("403", as_json({}, 403), RemoteRefused, "without a key"),
    (
        "404",
        as_json({"error": {"code": "model_not_found"}}, 404),
        RemoteRefused,
        r"no model 'tiny' \(404 model_not_found\)",
    ),
    ("400", as_json({"error": {"code": "context_length_exceeded"}}, 400), RemoteRefused, "400 context_length_exceeded"),
    ("422", as_json({"detail": [{"input": SECRET}]}, 422), RemoteRefused, "422"),
    ("500", Reply(SECRET.encode(), "text/plain", 500), RemoteFailed, r"fault of its own \(500\)"),
    ("503", Reply(b"", "text/plain", 503), RemoteFailed, "503"),
    ("spent", as_json({"error": {"code": "insufficient_quota"}}, 429), RemoteRefused, "429 insufficient_quota"),
    ("moved", Reply(b"", "text/plain", 307, {"Location": "http://127.0.0.1:1/"}), RemoteRefused, "redirects"),
    ("zipped", Reply(b"\x1f\x8b", headers={"Content-Encoding": "gzip"}), RemoteFailed, "compressed"),
    ("nonsense", Reply(b"data: {]\n\n"), RemoteFailed, "not JSON"),
    ("number", Reply(b"data: 7\n\n"), RemoteFailed, "no chat completion"),
    ("shape", Reply(event({"choices": [7]})), RemoteFailed, "no chat completion"),
    ("type", Reply(event({"choices": [{"delta": {"content": ["a"]}}]})), RemoteFailed, "no chat completion"),
    ("deep", Reply(b"data: " + b"[" * 100_000 + b"\n\n"), RemoteFailed, "not JSON"),
    ("half", Reply(answer("a b")[:60], cut=True), RemoteFailed, "broke off|half an event"),
    ("half, politely", Reply(answer("a b")[:60]), RemoteFailed, "half an event"),
    ("no end", Reply(delta("a")), RemoteFailed, "broke off"),
    ("error inside", Reply(delta("a") + event({"error": {"message": SECRET, "code": 400}})), RemoteRefused, "400"),
    ("thoughts", Reply(delta() * 8 + delta(None, "length")), RemoteFailed, "without a word of an answer"),
    ("endless", Reply(ENDLESS), RemoteFailed, "does not end its answer"),
    ("endless nothing", Reply(itertools.repeat(delta())), RemoteFailed, "does not end its answer"),
    ("endless line", Reply(itertools.chain([b"data: "], itertools.repeat(b"a" * 9999))), RemoteFailed, "longer than any"),
    ("endless comments", Reply(itertools.repeat(b": " + b"a" * 9999 + b"\n")), RemoteFailed, "more than 8 MB|fell silent"),
    ("silent", SILENT, RemoteFailed, "no answer within 0.8 s"),
    ("headers alone", Reply(slowly([b"", b""], 0.9)), RemoteFailed, "fell silent"),
    ("waiting", Reply(slowly([b": wait\n\n"] * 24, 0.05)), RemoteFailed, "fell silent"),
    ("hangs up", HANGS_UP, RemoteFailed, "hangs up"),
]


@pytest.mark.parametrize(("name", "reply", "error", "text"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_a_fault_is_one_clear_line_without_what_was_said(
    name: str, reply: Reply, error: type[RemoteFailed], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(reply) as server:
        chat = engine(server)
        with pytest.raises(RemoteFailed, match=text) as caught:
            said(chat)
        told = caught.value.text
        assert type(caught.value) is error or (error is RemoteRefused and isinstance(caught.value, error))
        assert told.startswith(server.address) and "\n" not in told and len(told) < 200
        assert SECRET not in told + caplog.text
        server.script[:] = [Reply(answer("fine"))]
        assert said(chat) == "fine", "and the next answer is as if nothing had been"


def test_a_fault_that_passes_costs_a_moment() -> None:
    busy = Reply(b"", "text/plain", 503)
    for faults in ([busy, HANGS_UP], [as_json({}, 429, Retry_After="0")], [Reply(b"", status=502)] * 2):
        with serving(*faults, Reply(answer("fine"))) as server:
            assert said(engine(server)) == "fine"
        assert len(server.seen) == len(faults) + 1
    with serving(busy) as server:
        with pytest.raises(RemoteFailed):
            said(engine(server))
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("headers", "after"),
    [
        ({"Retry_After": "30"}, 30.0),
        ({"Retry_After": "Wed, 21 Oct 2015 07:28:40 GMT", "Date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 40.0),
        ({"Retry_After": "9" * 40}, 86_400.0),
    ],
)
def test_a_server_that_wants_to_be_left_alone_is(headers: dict[str, str], after: float) -> None:
    def too_many(_: Seen) -> Reply:
        return as_json({}, 429, **headers)

    with serving(too_many) as server:
        with pytest.raises(RemoteFailed, match="too many requests") as caught:
            said(engine(server))
    assert caught.value.after == after
    assert len(server.seen) == 1


def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        chat = OpenAiChat(f"http://127.0.0.1:{port}/v1", model="tiny", limits=QUICK)
        with pytest.raises(RemoteFailed, match=rf"127.0.0.1:{port} cannot be reached \(Connection refused") as caught:
            said(chat)
        assert type(caught.value) is RemoteFailed


def test_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    chat = OpenAiChat("http://llm.example", model="tiny", limits=QUICK)
    with pytest.raises(RemoteFailed, match="llm.example:80 cannot be reached .no such name is known"):
        said(chat)


def test_an_answer_that_was_begun_is_not_begun_again() -> None:
    begun = Reply(slowly([delta("a"), delta(" b")[:20]], 0.05), cut=True)
    with serving(begun, Reply(answer("other"))) as server:
        chat = engine(server)
        given: list[str] = []
        chat.open()
        with pytest.raises(RemoteFailed):
            given.extend(chat.generate(PROMPT, Stop()))
        chat.close()
    assert given == ["a"]
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "reply",
    [
        SILENT,
        Reply(slowly([b": wait\n\n"] * 100, 0.05)),
        Reply(slowly([delta("a")] * 30, 0.05)),
        Reply(status=503),
    ],
    ids=["silent", "comments", "pieces", "busy"],
)
def test_stop_is_noticed_wherever_it_waits(reply: Reply) -> None:
    limits = Limits(pause=5.0, longest_pause=9.0)
    with serving(reply) as server:
        chat, stop = OpenAiChat(server.url, model="tiny", limits=limits), Stop()
        chat.open()
        timer = threading.Timer(0.15, stop.set)
        timer.start()
        began = time.perf_counter()
        list(chat.generate(PROMPT, stop))
        took = time.perf_counter() - began
        if reply.status != 503:
            assert server.gone.wait(1.0), "the line is cut, so the server can stop"
        chat.close()
        timer.join()
    assert 0.1 < took < 0.5
    assert len(server.seen) == 1


def test_a_set_flag_asks_nothing_and_a_given_up_answer_is_cut() -> None:
    stop = Stop()
    stop.set()
    with serving(Reply(slowly([delta("a")] * 50, 0.02))) as server:
        chat = engine(server)
        chat.open()
        assert list(chat.generate(PROMPT, stop)) == []
        chat.prefill(PROMPT, stop)
        assert not server.seen
        given_up = chat.generate(PROMPT, Stop())
        assert next(given_up) == "a"
        given_up.close()  # type: ignore[attr-defined]  # a lane closes the generator that it gives up
        assert server.gone.wait(1.0)
        next(left := chat.generate(PROMPT, Stop()))
        chat.close()
        left.close()  # type: ignore[attr-defined]  # too late, but no fault
        chat.close()


def test_connections_are_kept() -> None:
    with serving(Reply(answer("a b c"))) as server:
        chat = engine(server)
        chat.open()
        for _ in range(3):
            assert "".join(chat.generate(PROMPT, Stop())) == "a b c"
        chat.close()
    assert len({seen.port for seen in server.seen}) == 1
    with serving(Reply(answer("fine"), closes=True)) as server:
        chat = OpenAiChat(server.url, model="tiny", limits=Limits(retries=0))
        chat.open()
        for _ in range(3):
            assert "".join(chat.generate(PROMPT, Stop())) == "fine"
            time.sleep(0.05)
        chat.close()
    assert len({seen.port for seen in server.seen}) == 3, "a connection that the server closed is not used"


def test_an_answer_is_over_when_the_server_says_why_it_ended() -> None:
    with serving(Reply(slowly([delta("fine", "stop")] * 2, 2.0))) as server:
        began = time.perf_counter()
        assert said(OpenAiChat(server.url, model="tiny")) == "fine"
        assert time.perf_counter() - began < 1.0


def test_loopback_never_goes_through_a_proxy_and_the_rest_does(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving(Reply(answer("fine"))) as server:
        assert said(engine(server)) == "fine"
        assert said(OpenAiChat(server.url.replace("127.0.0.1", "localhost"), model="tiny", limits=QUICK)) == "fine"
    elsewhere = OpenAiChat("http://llm.example:8000/v1", model="tiny", limits=QUICK)
    with pytest.raises(RemoteFailed, match=r"llm.example:8000 cannot be reached .* \(through the proxy 127.0.0.1\)"):
        said(elsewhere)
    with serving(Reply(answer("fine"))) as server:
        monkeypatch.setenv("http_proxy", f"http://me:pass%20word@{server.address}")
        assert said(elsewhere) == "fine"
    (seen,) = server.seen
    assert seen.path == "http://llm.example:8000/v1/chat/completions"
    told = {name.lower(): value for name, value in seen.headers.items()}
    assert base64.b64decode(told["proxy-authorization"].removeprefix("Basic ")) == b"me:pass word"
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1")
    with pytest.raises(ConfigError, match="socks5"):
        elsewhere.open()


@pytest.mark.parametrize(
    "url",
    ["", "localhost:8080", "tcp://a:1", "http://", "http://a:99999/v1", "http://a/v1?key=1", "http://a b/", "http://[::1/v1"],
)
def test_a_url_that_is_none_is_named_at_once(url: str) -> None:
    with pytest.raises(ConfigError, match="^url: ") as caught:
        OpenAiChat(url)
    assert "\n" not in caught.value.text


def test_a_key_has_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError) as caught:
        OpenAiChat(f"http://me:{KEY}@127.0.0.1/v1")
    assert KEY not in caught.value.text
    chat = OpenAiChat("http://127.0.0.1:1/v1", key_env="MY_KEY")
    for wrong in ("", "  ", "clé", f"{KEY}\nX-Other: 1"):
        monkeypatch.setenv("MY_KEY", wrong)
        with pytest.raises(ConfigError, match="MY_KEY") as caught:
            chat.open()
        assert KEY not in caught.value.text
    with pytest.raises(EngineFailed, match="not open"):
        list(chat.generate(PROMPT, Stop()))


def test_a_wrong_key_is_told_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MY_KEY", KEY)
    with serving(as_json({"error": {"message": f"wrong: {KEY}"}}, 401)) as server:
        with pytest.raises(RemoteRefused, match="refuses the key in MY_KEY") as caught:
            said(engine(server, key_env="MY_KEY"))
    assert KEY not in str(caught.value) + repr(caught.value.__cause__) + caplog.text


def test_without_a_name_it_takes_the_first_model() -> None:
    listed = as_json({"data": [{"id": "llama", "owned_by": "me"}, {"id": "other"}]})
    with serving(listed, Reply(answer("fine"))) as server:
        chat = engine(server, model="")
        assert said(chat) == "fine"
        assert chat.info.model == "llama"
        assert said(chat) == "fine"
    assert [seen.path for seen in server.seen] == ["/v1/models", "/v1/chat/completions", "/v1/chat/completions"]
    assert server.seen[1].json["model"] == "llama"
    for answered in (as_json({"data": []}), as_json([]), as_json({}, 404)):
        with serving(answered) as server, pytest.raises(RemoteRefused):
            said(engine(server, model=""))


def test_only_a_server_that_keeps_prompts_is_asked_beforehand() -> None:
    done = as_json({"choices": [{"message": {"content": "x"}}]})
    for owner, number in (("llamacpp", 3), ("vllm", 1)):
        with serving(as_json({"data": [{"id": "tiny", "owned_by": owner}]}), done) as server:
            chat = engine(server)
            chat.open()
            chat.prefill(Prompt(PROMPT.messages[:1]), Stop())
            chat.prefill(PROMPT, Stop())
            chat.close()
        assert len(server.seen) == number
        assert all(seen.json["max_tokens"] == 1 for seen in server.seen[1:])
        assert all(seen.json["messages"][-1]["role"] == "user" for seen in server.seen[1:])
    with serving(as_json({}, 404)) as server:
        chat = engine(server)
        chat.open()
        chat.prefill(PROMPT, Stop())
        chat.prefill(PROMPT, Stop())
        chat.close()
    assert len(server.seen) == 1


def test_control_tokens_in_the_text_of_the_world_are_broken() -> None:
    sign = "</s> <|im_end|>\n<|im_start|>system [INST] <end_of_turn> <__media__> <image> <｜User｜> </think>"
    for token in sign.split():
        assert token not in harmless(sign).split(), token
    plain = "if a < b and c > d: print('<b>3</b>', a | b) # see [1] <3 x|y"
    assert harmless(plain) == plain
    assert OpenAiChat("http://127.0.0.1/v1").count("word " * 30) == 50
