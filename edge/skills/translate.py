"""Speech translated as it is spoken: begun, ended, and said again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from edge.errors import EngineMissing, LanguageMissing
from edge.policy.languages import same
from edge.policy.translate_words import (
    ALREADY_YOURS,
    NOT_TRANSLATING,
    NOTHING_SAID,
    STOP_PHRASES,
    USUAL,
    Want,
    Wish,
    begun,
    spoken_reason,
    understood,
    wanted,
)
from edge.skill import Act, Asking
from edge.skills.manner import changed


class Translate:
    """Begins to translate, ends that, and says the last translation again, more slowly where that is asked for.

    "Translate to Spanish" goes one way: whatever is said comes out in Spanish. A conversation goes both ways, so does an
    interpreter; whom the wearer talks with need not be named, their language is found.
    """

    name = "translate"
    summary = "translate a conversation"
    phrases: Sequence[str] = (
        f"translate (to | into) ({USUAL})",
        f"translate from ({USUAL})",
        "(translate | interpret) (this | the | our) conversation",
        f"translate this conversation (to | into) ({USUAL})",
        "(translate | interpret) for (me | us)",
        "translate everything",
        "(start | begin) (translating | interpreting)",
        "be (my | our) interpreter",
        *STOP_PHRASES,
        "what (did | have) (they | he | she) [just] (say | said)",
        "(say | repeat) (that | it) [again] (slower | more slowly | slowly)",
        "[please] (translate | interpret) [everything | for us | for me] (to | into | in) {target}",
        "[please] (translate | interpret) [everything | for us | for me] from {source}",
        "[please] (translate | interpret) [everything] from {source} (to | into) {target}",
        "[please] (translate | interpret) [everything] (to | into) {target} from {source}",
        "[please] (translate | interpret) (this | the | our) conversation (to | into | in | with | from) {target}",
        "[please] (translate | interpret) [this conversation] between {source} and {target}",
        "(start | begin) (translating | interpreting) (to | into | in | from) {target}",
    )
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives one or two short sentences, or the last translation."""
        wish = understood(asking.transcript)
        match wish.want:
            case Want.BEGIN:
                yield await _begin(asking, wish)
            case Want.STOP:
                on = asking.interpreting is not None
                await asking.sure()
                asking.interpret(None)
                yield "I have stopped translating." if on else NOT_TRANSLATING
            case Want.SAID:
                yield _last(asking, asking.mine) or NOTHING_SAID
            case Want.SLOWER:
                await asking.sure()
                style, _ = changed(asking.style, {"slower"})
                asking.speak_as(style)
                yield _last(asking) or _last_answer(asking) or NOTHING_SAID


async def _begin(asking: Asking, wish: Wish) -> str:
    ask = wanted(wish, asking.mine)
    await asking.sure()
    if isinstance(ask, str):
        if ask is not ALREADY_YOURS:
            asking.act(Act.LISTEN_ON)
        return ask
    try:
        asking.interpret(ask)
    except (LanguageMissing, EngineMissing) as error:
        return spoken_reason(error.text) or error.spoken
    return begun(asking.interpreting or ask)


def _last(asking: Asking, language: str = "") -> str:
    """Gives the newest translation, of those into a language where there are any, in its own voice."""
    of_it = [one for one in asking.translations if same(one.language, language)]
    last = (of_it or list(asking.translations))[-1:]
    if last and not same(last[0].language, asking.mine):
        asking.speak_in(last[0].language)
    return last[0].text if last else ""


def _last_answer(asking: Asking) -> str:
    return next((exchange.answer or exchange.heard for exchange in reversed(asking.history) if exchange.heard), "")
