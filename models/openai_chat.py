"""Language and vision-language models behind ``/chat/completions``: llama-server, vLLM, Ollama and others that speak it.

The text of the world goes to a server that renders a chat template around it and may parse the whole for special tokens, which
an engine in this process prevents (``models.llama_core``). Here what reads like a control token of a known model, or like the
marker of a picture, gets a blank inside: a sign that reads ``<|im_end|>`` says ``< |im_end| >``.

Pictures are sent in the request itself, as JPEG without metadata, so no server is made to fetch an address.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from edge.errors import EngineFailed, NotPicture, RemoteFailed, RemoteRefused, TooLarge
from edge.ports import Stop
from edge.values import EngineInfo, Message, Pixels, Prompt
from models.llama_core import Cutter
from models.openai_events import DONE, Events, TooLong, error_in, parsed
from models.openai_http import USUAL, Answer, Ask, Limits, Server, Stopped

_STOPS: Final = 4
"""Stop strings that are sent, OpenAI's own bound. All are looked for here, too."""
_CHARACTERS: Final = 24
"""Of a token, more than any has: a server that does not keep to ``max_tokens`` is not listened to for ever."""
_QUALITY: Final = 90
KEPT: Final = 2
"""Pictures that stay encoded: the view, and the part of it that was meant."""
_CONTROL: Final = re.compile(
    r"(<)(?=[|\uff5c]|/?(?:s|bos|eos|pad|unk|image|img|think|image_soft_token|__media__|(?:start|end)_of_[a-z]+)>)"
    r"|(?<=[|\uff5c])(>)|(\[)(?=/?INST\])"
)
"""What begins or ends a control token of ChatML, Llama, Gemma, Mistral, DeepSeek or Qwen, and markers of pictures."""


def harmless(text: str) -> str:
    """Gives a text in which nothing reads as a control token or as a picture's marker."""
    return _CONTROL.sub(lambda found: " >" if found[2] else f"{found[0]} ", text.strip())


class Chat:
    """What both engines share: a server, a model of it, and one answer at a time."""

    def __init__(self, url: str, model: str, *, key_env: str, limits: Limits) -> None:
        self.server = Server(url, key_env=key_env, limits=limits)
        self.model = model
        self.keeps_prompts = False
        """Whether it is llama-server, which keeps the last prompt of each slot evaluated."""
        self._looked = False

    @property
    def info(self) -> EngineInfo:
        """What ``doctor`` prints."""
        return self.server.info("chat/completions", self.model)

    def look(self, stop: Stop) -> None:
        """Asks once what the server is, and for its first model where none is named. Raises Stopped, RemoteFailed."""
        if self._looked:
            return
        try:
            rows = self.server.models(stop)
        except RemoteRefused:
            if not self.model:
                raise
            rows = []  # not every server has the list
        self.keeps_prompts = any(row.get("owned_by") == "llamacpp" for row in rows)
        names = [row["id"] for row in rows if isinstance(row.get("id"), str)]
        self.model = self.model or next(iter(names), "")
        if not self.model:
            raise RemoteRefused(f"{self.server.address} lists no model: name one in model")
        self._looked = True

    def write(
        self, messages: Sequence[Mapping[str, Any]], prompt: Prompt, stop: Stop, schema: Mapping[str, Any] | None = None
    ) -> Iterator[str]:
        """Gives pieces of text as they come; ends early, without an error, once ``stop`` is set."""
        try:
            yield from self._write(messages, prompt, stop, schema)
        except Stopped:
            return
        except RemoteFailed:
            if not stop:
                raise

    def request(self, messages: Sequence[Mapping[str, Any]], prompt: Prompt, stop: Stop) -> dict[str, Any]:
        """Makes the body of a request, without what differs. Raises as ``look`` does."""
        if not self.model:
            self.look(stop)
        body: dict[str, Any] = {"model": self.model, "messages": list(messages)}
        body |= {"max_tokens": prompt.max_tokens, "temperature": prompt.temperature}
        if stops := [text for text in prompt.stop if text][:_STOPS]:
            body["stop"] = stops
        return body

    def ask(self, body: Mapping[str, Any]) -> Ask:
        """Makes the request of a body."""
        return Ask("chat/completions", f"model {self.model!r}", body)

    def _write(
        self, messages: Sequence[Mapping[str, Any]], prompt: Prompt, stop: Stop, schema: Mapping[str, Any] | None
    ) -> Iterator[str]:
        body = self.request(messages, prompt, stop) | {"stream": True}
        if schema is not None:
            form = {"name": "answer", "strict": True, "schema": dict(schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        cutter, given = Cutter(prompt.stop), ""
        with self.server.ask(self.ask(body), stop) as answer:
            reason, pieces = "", self._pieces(answer, prompt)
            while not (cutter.done or stop):
                try:
                    piece = cutter.add(next(pieces))
                except StopIteration as end:
                    reason, piece = end.value, cutter.rest()
                    cutter.done = True
                if piece:
                    given += piece
                    yield piece
        if not given and reason == "length" and not stop:
            spent = f"spends all {prompt.max_tokens} tokens without a word of an answer: does {self.model!r} think first?"
            raise self.server.failed(spent)
        if schema is not None and not stop:
            _check_value(self.server, given, reason, prompt)

    def _pieces(self, answer: Answer, prompt: Prompt) -> Generator[str, None, str]:
        """Gives the text of an answer as it comes; returns why it ended."""
        answer.check_page()
        if answer.kind == "application/json":  # it was not streamed
            text, reason = self._choice(answer.json(), "message")
            yield text
            return reason
        if answer.kind != "text/event-stream":
            raise self.server.failed(f"answers with {answer.kind} instead of a stream of events")
        reason, size = "", 0
        for number, event in enumerate(self._events(answer)):
            if event == DONE:
                reason = "stop"
                break
            text, reason = self._choice(self._value(event), "delta")
            size += len(text)
            if number > 4 * prompt.max_tokens + 256 or size > _CHARACTERS * prompt.max_tokens + 256:
                raise self.server.failed(f"does not end its answer after {prompt.max_tokens} tokens, as it was asked to")
            if text:
                yield text
            if reason:
                break
            answer.useful()
        if not reason:
            raise self.server.failed("broke off in the middle of its answer")
        answer.drain()
        return reason

    def _events(self, answer: Answer) -> Iterator[str]:
        events = Events()
        try:
            for chunk in answer.chunks():
                yield from filter(None, events.add(chunk))
            yield from filter(None, events.finish())
        except TooLong as error:
            raise self.server.failed("sends an event that is longer than any should be") from error

    def _value(self, event: str) -> Any:
        try:
            value = parsed(event)
        except ValueError as error:
            raise self.server.failed("sends half an event, or something else that is not JSON") from error
        if fault := error_in(value):
            raise self.server.refusal(*fault, f"model {self.model!r}")
        return value

    def _choice(self, value: Any, part: str) -> tuple[str, str]:
        """Gives the text of the first choice, and why it ended, empty while it has not."""
        try:
            if not value["choices"]:
                return "", ""  # figures of usage, at the end
            choice = value["choices"][0]
            text, reason = (choice.get(part) or {}).get("content") or "", choice.get("finish_reason") or ""
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise self.server.failed("answers with JSON that is no chat completion") from error
        if not isinstance(text, str) or not isinstance(reason, str):
            raise self.server.failed("answers with JSON that is no chat completion")
        return text, reason


class OpenAiChat:
    """A ``LanguageModel`` elsewhere.

    ``count`` is an estimate, for the tokenizer is the server's: a token for three bytes of UTF-8. English has four to five
    bytes a token, most European languages three to four, Chinese and Japanese about three with the vocabularies of today, so
    what is fitted by it fits; asking llama-server's ``/tokenize`` would cost each count a round trip.
    """

    def __init__(self, url: str, *, model: str = "", key_env: str = "", limits: Limits = USUAL) -> None:
        """Takes ``http://HOST:PORT/v1``; ``model`` empty takes the first that the server lists. Raises ConfigError."""
        self._chat = Chat(url, model, key_env=key_env, limits=limits)

    @property
    def info(self) -> EngineInfo:
        """What ``doctor`` prints."""
        return self._chat.info

    def open(self) -> None:
        """Takes the key; the server need not be there. Raises ConfigError where the key is missing."""
        self._chat.server.open()

    def close(self) -> None:
        """Hangs up."""
        self._chat.server.close()

    def count(self, text: str) -> int:
        """Gives an estimate of the number of tokens in ``text``, rather too many."""
        return -(-len(text.encode("utf-8", "replace")) // 3)

    def prefill(self, prompt: Prompt, stop: Stop) -> None:
        """Has llama-server evaluate the prompt, at the price of one token; asks no other server for anything but its models.

        What a prefill begins is thrown away when the wearer goes on speaking. A server that is paid by the token, or shared,
        would be asked everything twice; llama-server keeps what it evaluated for the question that follows. Raises
        RemoteFailed, RemoteRefused.
        """
        try:
            self._chat.look(stop)
            if not self._chat.keeps_prompts:
                return
            messages = prompt.messages if prompt.messages[-1:] and prompt.messages[-1].role == "user" else None
            # Some templates refuse a chat in which no user speaks.
            asked = _messages(messages or (*prompt.messages, Message("user", "")))
            body = self._chat.request(asked, prompt, stop) | {"max_tokens": 1}
            with self._chat.server.ask(self._chat.ask(body), stop) as answer:
                answer.json()
        except Stopped:
            return

    def generate(self, prompt: Prompt, stop: Stop) -> Iterator[str]:
        """Gives pieces of text as they come; ends early, without an error, once ``stop`` is set: the line is then cut.

        Raises RemoteFailed, RemoteRefused.
        """
        return self._chat.write(_messages(prompt.messages), prompt, stop)


class OpenAiVision:
    """A ``VisionLanguage`` elsewhere. A picture leaves this machine with a question about it, and never before."""

    def __init__(
        self,
        url: str,
        *,
        model: str = "",
        key_env: str = "",
        max_side: int = 768,
        max_pictures: int = 4,
        limits: Limits = USUAL,
    ) -> None:
        """Takes ``http://HOST:PORT/v1``; pictures with a side longer than ``max_side`` are scaled down. Raises ConfigError."""
        self._chat = Chat(url, model, key_env=key_env, limits=limits)
        self._max_side = max_side
        self._max_pictures = max_pictures
        self._encoded: dict[str, str] = {}
        """JPEG as data: addresses, by the hash of the pixels, the one used last at the end."""

    @property
    def info(self) -> EngineInfo:
        """What ``doctor`` prints."""
        return self._chat.info

    def open(self) -> None:
        """Takes the key; the server need not be there. Raises ConfigError where the key is missing."""
        self._chat.server.open()

    def close(self) -> None:
        """Hangs up and forgets the pictures."""
        self._encoded.clear()
        self._chat.server.close()

    def prepare(self, pixels: Pixels, stop: Stop) -> None:
        """Encodes a picture, here. Raises NotPicture."""
        if not stop:
            self._address(pixels)

    def answer(
        self, pictures: Sequence[Pixels], prompt: Prompt, stop: Stop, schema: Mapping[str, Any] | None = None
    ) -> Iterator[str]:
        """Gives pieces of text as they come; ends early, without an error, once ``stop`` is set: the line is then cut.

        The pictures come before the text of the last message.

        Raises:
            NotPicture: Not pixels of shape (height, width, 3).
            TooLarge: More pictures than are sent at once.
            EngineFailed: A JSON value that did not end within ``prompt.max_tokens``.
            RemoteFailed, RemoteRefused: The server's fault.
        """
        if len(pictures) > self._max_pictures:
            raise TooLarge(f"{len(pictures)} pictures in one question: at most {self._max_pictures} are sent")
        messages = _messages(prompt.messages)
        place = max((at for at, message in enumerate(messages) if message["role"] == "user"), default=-1)
        if place < 0:
            raise EngineFailed("a prompt for the vision model needs a user's message")
        if pictures:
            shown = [{"type": "image_url", "image_url": {"url": self._address(pixels)}} for pixels in pictures]
            messages[place]["content"] = [*shown, {"type": "text", "text": messages[place]["content"]}]
        return self._chat.write(messages, prompt, stop, schema)

    def _address(self, pixels: Pixels) -> str:
        jpeg, digest = None, _digest(pixels)
        jpeg = self._encoded.pop(digest, None) or _jpeg(pixels, self._max_side)
        self._encoded[digest] = jpeg
        while len(self._encoded) > max(KEPT, self._max_pictures):
            del self._encoded[next(iter(self._encoded))]
        return jpeg


def _messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [{"role": message.role, "content": harmless(message.text)} for message in messages]


def _check_value(server: Server, text: str, reason: str, prompt: Prompt) -> None:
    try:
        parsed(text)
    except ValueError as error:
        if reason == "length":
            raise EngineFailed(f"the JSON value did not end within {prompt.max_tokens} tokens") from error
        raise server.failed("does not keep to the schema: it lacks response_format, or the model does") from error


def _digest(pixels: Pixels) -> str:
    if (
        not isinstance(pixels, np.ndarray)
        or pixels.dtype != np.uint8
        or pixels.ndim != 3
        or pixels.shape[2] != 3
        or not pixels.size
    ):
        raise NotPicture("a picture for the vision model is an array of uint8, shape (height, width, 3)")
    return hashlib.sha256(str(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def _jpeg(pixels: Pixels, max_side: int) -> str:
    import cv2

    scale = max_side / max(pixels.shape[:2])
    if scale < 1:
        size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    with contextlib.suppress(cv2.error):
        done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        if done:
            return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
    raise NotPicture("the picture cannot be encoded")
