"""Turn-taking: who has the word, decided from voice activity alone and counted in samples.

States and what moves between them::

    IDLE --wake, tap, (speech)--> LISTENING --endpoint--> THINKING --first sound--> SPEAKING --end of reply--> IDLE
                                    ^    ^                   |                      |  ^  |        (or LISTENING: follow-up)
                    no speech: IDLE |    +---- speech goes on (Resumed)             |  |  +--stop, wake, tap (BargedIn)
                                    |                                        speech |  | no words, "mm-hm", an echo (Released)
                                    +<-------- words for the assistant (BargedIn) --PAUSED

Within a pause the policy speaks twice. ``Hinted`` comes after ``hint_silence``: work may begin, nothing may be heard.
``Ended`` comes when the pause is long enough for what the end-of-turn model says of it (Smart Turn and its kind, see
``shared/reference``-style cascades: voice activity, then a model of completeness, then time):

======================  ==========================
the model says          the turn ends after
======================  ==========================
complete                ``min_silence``
nothing (yet, or none)  ``max_silence``
not complete            ``incomplete_silence``
======================  ==========================

Words count beside it: a whole command that was understood ends the turn after ``command_silence`` whatever the model says
of its melody, and an urgent one ("stop") at the first hint.

A question whose last word asks for another ("and", "the", a digit) is waited for longer.

If speech goes on, before or after the endpoint but before the reply is audible, it is the same question (``Resumed``).

Over a reply speech is suspect: it may be a cough, "mm-hm" or the assistant's own voice in the microphone. It pauses the reply
within two windows (``Paused``), and its words decide: the reply is cut (``BargedIn``) or goes on where it stopped
(``Released``). Where ``barge_in`` is off (half duplex) nothing pauses, and only an urgent command cuts.
"""

from __future__ import annotations

from edge.config import TurnsConfig
from edge.policy.signals import (
    BargedIn,
    Began,
    Called,
    Ended,
    GaveUp,
    Hinted,
    Paused,
    Released,
    Resumed,
    Said,
    Signal,
    State,
)
from edge.values import samples

RESUME_SAMPLES = 1024
"""Speech that ends a pause: two windows of 32 ms, so that one noisy window does not throw speculative work away."""


class TurnPolicy:
    """The state machine. Every method takes and gives media time in samples and returns what must be done now, in order."""

    def __init__(self, config: TurnsConfig) -> None:
        self.config = config
        self.state = State.IDLE
        self.calls_only = False
        """Whether a wake word or a tap must come first, whatever the configuration says: speech is somebody else's business."""
        self._min_speech = samples(config.min_speech)
        self._barge_in_speech = samples(config.barge_in_speech)
        self._pre_roll = samples(config.pre_roll)
        self._listening_from = 0
        self._timeout: int | None = None
        self._floor = 0
        self._ignoring = False
        """Whether the sound over the reply has been judged and still goes on."""
        self._input_over = False
        self._typed = False
        """Whether the question that is being thought about came in writing: what is spoken does not go on with it."""
        self._clear()

    def _clear(self) -> None:
        self._onset: int | None = None
        self._run = 0
        self._began: int | None = None
        self._last = 0
        self._hinted = False
        self._verdict: float | None = None
        self._said = Said.OPEN

    @property
    def wants_voice(self) -> bool:
        """Whether voice activity matters now; while a wake word must come first it does not."""
        return self.state is not State.MUTED and not (self.state is State.IDLE and (self.config.wake or self.calls_only))

    @property
    def over_reply(self) -> bool:
        """Whether what is heard is heard over a reply: who it is meant for is not known yet."""
        return self.state in (State.SPEAKING, State.PAUSED)

    @property
    def speech_began(self) -> bool:
        """Whether the wearer has begun the question that is being listened to."""
        return self._began is not None

    # -- calls -------------------------------------------------------------------------------------------------------

    def call(self, by: str, at: int) -> list[Signal]:
        """The wearer called by a wake word or a tap. Over a reply it cuts it."""
        if self.state is State.MUTED:
            return []
        signals: list[Signal] = []
        if self.state is State.THINKING or self.over_reply:
            signals.append(BargedIn(at, onset=at))
        self._listen(at, samples(self.config.no_speech_timeout))
        self._floor = at
        signals.append(Called(at, by))
        return signals

    def stop(self, at: int) -> list[Signal]:
        """Falls silent from any state and waits to be called: "stop" always wins."""
        signals: list[Signal] = []
        if self.state is State.THINKING or self.over_reply:
            signals.append(BargedIn(at, onset=at))
        if self.state is not State.MUTED:
            self._rest()
        return signals

    def mute(self) -> None:
        """Hears nothing until ``unmute``."""
        self._rest()
        self.state = State.MUTED

    def unmute(self) -> None:
        """Hears again."""
        if self.state is State.MUTED:
            self._rest()

    def asked(self) -> None:
        """A question came in writing: the word is the assistant's."""
        if self.state is not State.MUTED:
            self._clear()
            self.state = State.THINKING
            self._typed = True

    # -- the assistant's side -------------------------------------------------------------------------------------------

    def reply_began(self) -> None:
        """The first sound of the reply leaves the speaker."""
        if self.state is State.THINKING:
            self.state = State.SPEAKING
            self._clear()

    def reply_ended(self, at: int, *, asked_back: bool = False) -> None:
        """The reply was played to its end."""
        if self.state is not State.THINKING and not self.over_reply:
            return
        if self.over_reply and self._began is not None:
            self.state = State.LISTENING  # the reply is over: what is being said is a question like any other
            return
        usual = 0.0 if self.calls_only else self.config.follow_up
        follow_up = self.config.ask_back_follow_up if asked_back else usual
        if follow_up > 0:
            self._listen(at, samples(follow_up))
            self._floor = at
        else:
            self._rest()

    def misheard(self, at: int) -> None:
        """What ended the turn was no speech (its transcript is empty): listens on, within the time that is left."""
        if self.state in (State.THINKING, State.LISTENING):
            self.state = State.LISTENING
            self._clear()
            self._floor = at

    # -- sound ------------------------------------------------------------------------------------------------------------

    def window(self, probability: float, start: int, end: int) -> list[Signal]:
        """Takes the voice-activity probability of the samples from ``start`` to ``end``."""
        if not self.wants_voice:
            return []
        over_reply = self.over_reply
        speech = probability >= (self.config.barge_in_threshold if over_reply else self.config.speech_threshold)
        silence = probability < self.config.silence_threshold
        if speech:
            self._onset = start if self._onset is None else self._onset
            self._run += end - start
        elif silence:
            self._onset = None
            self._run = 0
            self._ignoring = False
        if over_reply and self._began is None:
            return self._over_reply(end)
        if self.state is State.IDLE and speech and self._run >= self._min_speech:
            self._listen(start, None, keep=True)
            return [Called(end, "speech"), *self._while_listening(speech, silence, end)]
        if self.state is State.THINKING:
            return self._while_thinking(end)
        if self.state is State.LISTENING or over_reply:
            return self._while_listening(speech, silence, end)
        return []

    def interrupted(self, at: int) -> list[Signal]:
        """What is heard over the reply is meant for the assistant: its words say so."""
        if not self.over_reply or self._began is None:
            return []
        self.state = State.LISTENING
        return [BargedIn(at, onset=self._began, spoken=True)]

    def released(self, at: int, reason: str) -> list[Signal]:
        """What was heard over the reply is not meant for the assistant."""
        if not self.over_reply or self._began is None:
            return []
        self._clear()
        self.state = State.SPEAKING
        self._ignoring = True
        return [Released(at, reason)]

    def lost(self) -> None:
        """Nothing can be heard any more: a question under way is given up, a reply waits."""
        if self.state is State.LISTENING:
            self._rest()
        elif self.over_reply:
            self._clear()
            self.state = State.SPEAKING

    def end_of_turn(self, probability: float, at: int) -> list[Signal]:
        """Takes the end-of-turn model's verdict on the pause that was hinted last; ``at`` is the newest sample heard."""
        if not self._hinted or not (self.state is State.LISTENING or self.over_reply):
            return []
        self._verdict = probability
        return self._maybe_end(at)

    def understood(self, said: Said, at: int) -> list[Signal]:
        """Takes what the words before the hinted pause tell."""
        if self.state is not State.LISTENING or not self._hinted:
            return []
        self._said = said
        return self._maybe_end(at)

    def cut(self, at: int) -> list[Signal]:
        """The sound ends here: a recording is over, a button was let go."""
        if self._began is None:
            return []
        if self.over_reply:
            self._input_over = True
            return self._hint(at)
        return [*self._hint(at), self._end(at, "input")] if self.state is State.LISTENING else []

    # -- inside ----------------------------------------------------------------------------------------------------------

    def _listen(self, at: int, timeout: int | None, *, keep: bool = False) -> None:
        onset, run = self._onset, self._run
        self._clear()
        if keep:
            self._onset, self._run = onset, run
        self.state = State.LISTENING
        self._listening_from = at
        self._timeout = timeout

    def _rest(self) -> None:
        self._clear()
        self.state = State.IDLE

    def _while_listening(self, speech: bool, silence: bool, end: int) -> list[Signal]:
        signals: list[Signal] = []
        if self._began is None:
            if speech and self._run >= self._min_speech and self._onset is not None:
                self._began = max(self._onset - self._pre_roll, self._floor, 0)
                self._last = end
                return [Began(self._began)]
            if self._timeout is not None and end - self._listening_from >= self._timeout and self._onset is None:
                self._rest()
                return [GaveUp(end)]
            return []
        if self._hinted:
            if speech and self._run >= RESUME_SAMPLES:
                self._resume(end)
                return [Resumed(end)]
        elif not silence:
            self._last = end
        if self.over_reply:
            return [*signals, *self._unjudged(end)]
        if end - self._began >= samples(self.config.max_speech):
            return [*self._hint(end), self._end(end, "too_long")]
        if not self._hinted and end - self._last >= samples(self.config.hint_silence):
            signals += self._hint(end)
        return signals + self._maybe_end(end)

    def _unjudged(self, end: int) -> list[Signal]:
        """Over a reply nothing ends before the words are known; sound without words does not hold the reply for ever."""
        assert self._began is not None
        if end - self._began - self._pre_roll >= samples(self.config.pause_limit):
            return self.released(end, "no_words")
        if not self._hinted and end - self._last >= samples(self.config.pause_silence):
            return self._hint(end)
        return []

    def _while_thinking(self, end: int) -> list[Signal]:
        if self._typed or self._run < max(RESUME_SAMPLES, self._min_speech):
            return []
        self._resume(end)
        self.state = State.LISTENING
        return [Resumed(end)]

    def _over_reply(self, end: int) -> list[Signal]:
        if self._ignoring or self._run < self._barge_in_speech or self._onset is None:
            return []
        onset, run = self._onset, self._run
        self._clear()
        self._onset, self._run = onset, run
        self._began = max(onset - self._pre_roll, 0)
        self._last = end
        if not self.config.barge_in:
            return [Began(self._began)]
        self.state = State.PAUSED
        return [Paused(end, onset=onset), Began(self._began)]

    def _hint(self, end: int) -> list[Signal]:
        if self._hinted:
            return []
        self._hinted = True
        return [Hinted(end, last=self._last)]

    def _resume(self, end: int) -> None:
        self._hinted = False
        self._verdict = None
        self._said = Said.OPEN
        self._last = end

    def _maybe_end(self, at: int) -> list[Signal]:
        if not self._hinted or self.over_reply:
            return []
        if self._said is Said.URGENT:
            return [self._end(at, "urgent")]
        if self._input_over:
            return [self._end(at, "input")]
        silence = at - self._last
        reason, needed = self._patience()
        return [self._end(at, reason)] if silence >= samples(needed) else []

    def _patience(self) -> tuple[str, float]:
        """Why the turn will end, and after how much silence."""
        config = self.config
        if self._verdict is None:
            melody = ("silence", config.max_silence)
        elif self._verdict >= config.end_of_turn_threshold:
            melody = ("end_of_turn", config.min_silence)
        else:
            melody = ("silence", config.incomplete_silence)
        if self._said is Said.COMMAND and config.command_silence < melody[1]:
            return "command", config.command_silence
        if self._said is Said.UNFINISHED and melody[1] < config.unfinished_silence:
            return "silence", config.unfinished_silence
        return melody

    def _end(self, at: int, reason: str) -> Ended:
        self.state = State.THINKING
        self._typed = False
        self._onset = None
        self._run = 0
        return Ended(at, last=self._last, reason=reason)
