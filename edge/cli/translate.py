"""``translate``: live translation of a recording as a session translates: paced, heard by the same ears, spoken, measured.

Nobody says who speaks in a recording: whatever is not in the target language is translated into it, for a wearer who
understands that one alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from edge import app
from edge.cli import loop, quality
from edge.cli.interpretation import Interpretation, Played
from edge.cli.output import Output
from edge.cli.translate_files import read_reference, under, write_captions
from edge.cli.translated import Reference, Translation, for_people
from edge.config import Config
from edge.errors import LanguageMissing, NearsightError, UsageError
from edge.events import Event, Failed
from edge.policy.captions import FORMATS, Conversation
from edge.policy.languages import name_of, same, suggested, tag_of
from edge.translation import PassedOver, SourceHeard, Translated


@dataclass(frozen=True, slots=True)
class Job:
    """What ``translate`` was given."""

    file: Path
    to: str
    """A language, by its tag or its name."""
    source: str = ""
    """The language that is spoken; empty takes the recogniser's."""
    out: Path | None = None
    """A WAV file of the interpretation, on the recording's own times."""
    mix: bool = False
    """Whether ``out`` has the original under it."""
    captions: Path | None = None
    reference: Path | None = None
    speak: bool = True
    fast: bool = False


def translate(job: Job, profile: str | None, config_file: Path | None, *, as_json: bool) -> None:
    """Prints events and a summary. Raises UsageError, LanguageMissing, InputError, StorageError, EngineMissing."""
    target, source = _language("--to", job.to), _language("--from", job.source) if job.source else ""
    _check(job)
    references = read_reference(job.reference) if job.reference is not None else ()
    config = app.load_config(profile, config_file, {"turns": {"wake": False}})
    source = source or tag_of(config.recogniser.language)
    if same(source, target):
        raise UsageError(
            f"from {name_of(source)} into {name_of(target)} nothing needs translating: name another --to or --from"
        )
    if job.captions is not None:
        write_captions(job.captions, ())  # what cannot be written is better known before than after an hour
    run = _Run(config, job, source, target, Output(as_json=as_json))
    try:
        loop.run(run.interpret(), fast=job.fast)
    finally:
        if job.captions is not None:
            write_captions(job.captions, run.conversation.sentences)
    if job.out is not None and job.mix:
        under(job.out, lambda: app.read_sound(job.file))
    run.report(references)


def _language(option: str, text: str) -> str:
    if tag := tag_of(text):
        return tag
    near = suggested(text)
    raise LanguageMissing(f"{option} {text}: no such language" + (f"; did you mean {near}?" if near else ""))


def _check(job: Job) -> None:
    """Refuses, before anything is loaded, what cannot go well."""
    if not job.file.exists():
        raise UsageError(f"{job.file}: there is no such file")
    next(app.read_sound(job.file))
    if job.out is not None and not job.speak:
        raise UsageError("--out is the speech, which --no-speech leaves out: give one of them")
    if job.mix and job.out is None:
        raise UsageError("--mix is how --out sounds: name a file with --out")
    if job.out is not None and job.out.exists() and job.out.samefile(job.file):
        raise UsageError(f"{job.out}: is the recording itself")
    if job.captions is not None and job.captions.suffix.lstrip(".").lower() not in FORMATS:
        raise UsageError(f"{job.captions}: name it .{', .'.join(FORMATS[:-1])} or .{FORMATS[-1]}")
    if job.reference is not None:
        quality.require()


@dataclass
class _Run:
    """One recording on its way."""

    config: Config
    job: Job
    source: str
    target: str
    output: Output
    conversation: Conversation = field(default_factory=Conversation)
    failures: Sequence[NearsightError] = ()
    played: Played = Played(0.0, 0.0)
    _heard: bool = False
    _sources: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.translation = Translation(self.target)

    async def interpret(self) -> None:
        """Plays the recording through the engines."""
        job = self.job
        async with AsyncExitStack() as stack:
            ports = ("recogniser", "translator", *(("voice",) if job.speak else ()))
            engines = app.build_engines(self.config, only=ports)
            stack.push_async_callback(engines.close)
            through = Interpretation(self.config, engines, self.source, self.target, speak=job.speak, emit=self._emit)
            self.failures = through.failures
            await through.open()
            link = app.file_link(job.file, None, job.out)
            stack.push_async_callback(link.close)
            await link.open()
            self.played = await through.play(link)

    # -- what is told ----------------------------------------------------------------------------------------------------------

    def _emit(self, event: Event) -> None:
        self.conversation.take(event)
        self.translation.take(event)
        self._heard |= isinstance(event, SourceHeard | PassedOver)
        if self.output.as_json:
            self.output.line(event.as_json())
        else:
            self._print(event)

    def _print(self, event: Event) -> None:
        match event:
            case SourceHeard():
                self._sources[event.sentence] = event.text
            case Translated(final=True) if event.text:
                print(f"[{event.start_ms / 1000:7.2f} s] {self._sources.pop(event.sentence, '')}", flush=True)
                print(f"            {event.text}", flush=True)
            case PassedOver(text=text) if text:
                print(f"            ({event.reason.replace('_', ' ')}: {text})", flush=True)
            case Failed():
                print(f"            (error: {event.text})", flush=True)

    def report(self, references: Sequence[Reference]) -> None:
        """Prints the summary. Raises what went wrong where nothing at all was translated for it."""
        played = self.played
        figures = self.translation.summary(seconds=played.seconds, spent_s=played.spent_s, references=references)
        if self.output.as_json:
            self.output.line({"event": "summary", "from": self.source, "to": self.target, **figures})
        else:
            print("\n".join(["", *for_people(figures)]) if self._heard else "(no speech)", flush=True)
        if self.failures and not self.translation.sentences:
            raise self.failures[0]
