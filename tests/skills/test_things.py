"""Naming, correcting, counting, describing, colours: what a wearer hears of things."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from edge.errors import EngineFailed, NoView
from edge.skill import Act, Meant, Skill
from edge.skills.ask import Ask
from edge.skills.colour import Colour
from edge.skills.compare import KEPT, Compare
from edge.skills.correction import NOT_KNOWN, Correction
from edge.skills.count import Count
from edge.skills.describe import Describe
from edge.skills.follow import Follow
from edge.skills.light import Light
from edge.skills.seeing import NO_NAMES, NO_OUTLINES, NO_SIGHT, NOTHING
from edge.skills.what_is_this import WhatIsThis
from edge.tracks import TrackState
from edge.values import Box, Detection, Reading, SceneFacts, TextLine, VideoFrame
from tests.skills.asking import FakeAsking, FakeEyes, page, said

BGR = {"red": (0, 0, 220), "green": (0, 180, 0), "blue": (220, 40, 0), "white": (245, 245, 245), "grey": (128, 128, 128)}
CUP, CHAIR, BOTTLE = Box(280, 200, 360, 280), Box(300, 60, 380, 180), Box(40, 180, 110, 330)
SEEN = (Detection("cup", CUP, 0.8), Detection("chair", CHAIR, 0.7), Detection("bottle", BOTTLE, 0.55))
COLOURS = ("red", "green", "blue")


def room(*, t_ns: int = 0, boxes: Sequence[Box] = (CUP, CHAIR, BOTTLE), light: float = 1.0) -> VideoFrame:
    """A grey room with a red cup in the middle, a green chair behind it and a blue bottle on the left."""
    pixels = np.full((480, 640, 3), BGR["grey"], np.float64)
    for box, colour in zip(boxes, COLOURS, strict=False):
        pixels[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)] = BGR[colour]
    return VideoFrame(np.clip(pixels * light, 0, 255).astype(np.uint8), t_ns)


def asked(transcript: str, seen: Sequence[Detection] | None = SEEN, **rest: object) -> FakeAsking:
    rest.setdefault("view", room())
    rest.setdefault("eyes", FakeEyes(seen))
    return FakeAsking(transcript, **rest)  # type: ignore[arg-type]


def eyes(asking: FakeAsking) -> FakeEyes:
    assert isinstance(asking.eyes, FakeEyes)
    return asking.eyes


# -- what is this --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transcript", "manner", "answer"),
    [
        ("what is this", "plain", "It is a red cup."),
        ("what is on the left", "plain", "I think it is a blue bottle."),
        ("what is the green thing", "plain", "It is a green chair."),
        ("what is this", "blind", "It is a cup, mostly red, straight ahead, at twelve o'clock, within reach."),
        (
            "what is on the left",
            "blind",
            "I think it is a bottle, mostly blue, at eleven o'clock, within reach.",
        ),
    ],
)
async def test_a_thing_is_named(transcript: str, manner: str, answer: str) -> None:
    asking = asked(transcript, manner=manner)
    assert await said(WhatIsThis(), asking) == answer
    assert asking.meant is not None
    assert asking.meant.frame is asking.view


async def test_a_thing_without_a_name_is_described_by_what_it_shows() -> None:
    asking = asked("what is this", (), text=page("SALT"))
    answer = await said(WhatIsThis(), asking)
    assert answer == f"I have no name for it. It is mostly red. {NO_SIGHT}"
    written = asked("what is this", (), text=page("MILK"))
    eyes(written).reach = 400
    assert await said(WhatIsThis(), written) == f"{NOTHING} I can read: MILK.", "a mask of everything is the room"
    assert written.meant is None


async def test_the_words_on_a_thing_are_said() -> None:
    text = page("one", "two", "MILK", height=20)
    line = text.lines[2]
    moved = type(line)(line.text, Box(300, 230, 340, 250), 0.9)
    asking = asked("what is this", (), text=type(text)((moved,)))
    eyes(asking).reach = 40
    assert "and it says: MILK." in await said(WhatIsThis(), asking)


async def test_without_a_detector_the_command_is_said() -> None:
    asking = asked("what is this", None)
    assert await said(WhatIsThis(), asking) == f"I have no name for it. It is mostly red. {NO_NAMES}"
    assert await said(WhatIsThis(), asked("what is the green thing", None)) == f"{NOTHING} {NO_NAMES}"


async def test_a_vision_model_is_shown_the_part_and_the_whole() -> None:
    asking = asked("what is this", (), looked=["A salt ", "shaker."])
    assert await said(WhatIsThis(), asking) == "A salt shaker."
    ((prompt, box, schema),) = asking.looks
    assert box is not None
    assert box.x0 < 310 < 330 < box.x1
    assert schema is None
    assert "smaller picture" in prompt.messages[-1].text


async def test_without_a_picture_or_with_a_broken_engine_the_error_is_the_answer() -> None:
    with pytest.raises(NoView):
        await said(WhatIsThis(), FakeAsking("what is this"))
    with pytest.raises(EngineFailed):
        broken = FakeEyes(failures={"things": EngineFailed("it raised")})
        await said(WhatIsThis(), asked("what is this", eyes=broken))


# -- no, the other one -------------------------------------------------------------------------------------------------------


async def test_a_correction_stays_with_the_picture_and_passes_nothing_twice() -> None:
    first = asked("what is this")
    await said(WhatIsThis(), first)
    later = asked("no the one behind it", meant=first.meant, view=room(t_ns=9, boxes=()))
    assert await said(Correction(), later) == "It is a green chair."
    assert later.meant is not None and first.meant is not None
    assert later.meant.frame is first.view, "not the picture of the correction"
    assert later.meant.passed_over == (CUP,)
    again = asked("no the other one", meant=later.meant, view=room(t_ns=18, boxes=()))
    assert await said(Correction(), again) == "I think it is a blue bottle."
    last = asked("no not that one", meant=again.meant)
    assert await said(Correction(), last) == "I see no other one like that. Look at it and ask again."
    assert last.acts == [Act.LISTEN_ON]
    assert last.meant is again.meant


@pytest.mark.parametrize(
    ("transcript", "thing", "answer"),
    [
        ("no the blue one", "", "I think it is a blue bottle."),
        ("i mean the one on the left", "", "I think it is a blue bottle."),
        ("no i mean the bottle", "bottle", "I think it is a blue bottle."),
        ("no the seat", "seat", "It is a green chair."),
        ("the bigger one", "", "It is a green chair."),
    ],
)
async def test_corrections_in_other_words(transcript: str, thing: str, answer: str) -> None:
    asking = asked(transcript, meant=Meant(room(), CUP, "cup"), slots={"thing": thing} if thing else {})
    assert (await said(Correction(), asking)).replace("I think it", "It") == answer.replace("I think it", "It")


async def test_a_correction_of_nothing() -> None:
    assert await said(Correction(), asked("no the other one")) == NOT_KNOWN
    asking = asked("no the museum opens", slots={"thing": "museum opens"}, skills=(Echo(),))
    assert await said(Correction(), asking) == "asked freely"
    assert await said(Correction(), asked("no the other one", None, meant=Meant(room(), CUP))) == NO_NAMES


class Echo(Ask):
    """Stands for the free questions."""

    async def answer(self, asking: object):  # type: ignore[no-untyped-def]
        yield "asked freely"


# -- how many ------------------------------------------------------------------------------------------------------------------


def people(*scores: float) -> tuple[Detection, ...]:
    return tuple(Detection("person", Box(60.0 * at, 100, 60.0 * at + 50, 300), score) for at, score in enumerate(scores))


@pytest.mark.parametrize(
    ("transcript", "things", "seen", "answer"),
    [
        ("how many people are there", "", people(0.9, 0.8), "I see two people."),
        ("how many people", "", people(0.9, 0.55), "I think I see two people."),
        ("how many persons do you see", "", people(0.9), "I see one person."),
        ("how many people are here", "", (), "I see no people."),
        ("count the cups", "", SEEN, "I see one cup."),
        ("how many people", "", people(*[0.9] * 7), "I see seven people, perhaps more."),
        (
            "how many pets are there",
            "pets",
            (Detection("dog", CUP, 0.9), Detection("cat", CHAIR, 0.9)),
            "I see a dog and a cat.",
        ),
        ("how many months are there", "months", (), "asked freely"),
        ("how many people", "", None, NO_NAMES),
    ],
)
async def test_things_are_counted(transcript: str, things: str, seen: Sequence[Detection] | None, answer: str) -> None:
    fake = FakeEyes(seen, names=("person", "cup", "dog", "cat", "chair"))
    asking = asked(transcript, eyes=fake, slots={"things": things} if things else {}, skills=(Echo(),))
    assert await said(Count(), asking) == answer


async def test_a_vision_model_counts_where_no_detector_does() -> None:
    assert await said(Count(), asked("how many people", None, looked=["Three."])) == "Three."


# -- the scene ---------------------------------------------------------------------------------------------------------------

FACTS = SceneFacts(0.5, (("grey", 0.8), ("red", 0.1)))


async def test_a_scene_without_a_vision_model() -> None:
    asking = asked("describe the scene", facts=FACTS, text=page("EXIT"))
    assert await said(Describe(), asking) == (
        f"I see a cup, a chair and a bottle. I can read: EXIT. It is lit, mostly grey and red. {NO_SIGHT}"
    )
    blind = asked("describe the scene", facts=FACTS, manner="blind")
    assert (await said(Describe(), blind)).startswith("I think there is a bottle, at eleven o'clock, within reach; a chair, ")
    none = asked("describe the scene", None, facts=SceneFacts(0.15))
    assert await said(Describe(), none) == f"It is dim. {NO_NAMES}"
    assert await said(Describe(), asked("describe this", facts=SceneFacts(0.01))) == "It is too dark to see anything."


async def test_a_scene_with_a_vision_model() -> None:
    asking = asked("what do you see", looked=["A kitchen. ", "A cup on a table."], manner="blind")
    assert await said(Describe(), asking) == "A kitchen. A cup on a table."
    assert "blind" in asking.looks[0][0].messages[-1].text
    assert "things" not in eyes(asking).trace


# -- colours, light ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transcript", "thing", "seen", "answer"),
    [
        ("what color is this", "", SEEN, "It is mostly red."),
        ("what color is my bottle", "bottle", SEEN, "It is mostly blue."),
        ("what color is the dog", "dog", SEEN, "I see no dog."),
        ("what color is this shirt", "shirt", (), "It is mostly red."),
        ("what color is this", "", None, "It is mostly red."),
    ],
)
async def test_colours(transcript: str, thing: str, seen: Sequence[Detection] | None, answer: str) -> None:
    asking = asked(transcript, seen, facts=FACTS, slots={"thing": thing} if thing else {})
    assert await said(Colour(), asking) == answer


async def test_colours_without_a_segmenter_and_in_the_dark() -> None:
    bare = asked("what color is this", eyes=FakeEyes(None, segments=False), facts=FACTS)
    assert await said(Colour(), bare) == "I think it is mostly red."
    assert bare.meant is None
    assert await said(Colour(), asked("what color is this", facts=SceneFacts(0.02))) == "It is too dark to tell colours."


async def test_the_light_now_and_against_before() -> None:
    asking = asked("is the light on", view=room(light=0.1), facts=SceneFacts(0.05))
    assert await said(Light(), asking) == "It is dark, I think the light is off."
    later = asked("is the light on", facts=SceneFacts(0.5), meant=asking.meant)
    assert await said(Light(), later) == "It is bright. I see no lamp, so it may be daylight. It is brighter than before."
    lamp = room(light=0.6)
    lamp.pixels[20:40, 300:330] = 255
    assert await said(Light(), asked("is the lamp on", view=lamp, facts=SceneFacts(0.3))) == "I think I see a lamp that is on."


# -- what has changed --------------------------------------------------------------------------------------------------------


async def test_what_came_and_what_went_is_told() -> None:
    before = asked("remember this view")
    assert await said(Compare(), before) == KEPT
    now = room(boxes=(CUP, CHAIR))
    new = (*SEEN[:2], Detection("cup", Box(500, 200, 560, 280), 0.8))
    fake = FakeEyes(lambda frame: new if frame is now else SEEN)
    asking = asked("what has changed", view=now, eyes=fake, meant=before.meant)
    assert await said(Compare(), asking) == "I think a cup is new. I no longer see a bottle."
    assert asking.meant is not None
    assert asking.meant.frame is now


async def test_places_that_look_different_need_no_names() -> None:
    before = Meant(room(), CUP)
    asking = asked("what has changed", None, view=room(boxes=(CUP, CHAIR, Box(40, 180, 41, 181))), meant=before)
    assert await said(Compare(), asking) == "Something looks different to the left."


async def test_nothing_changed_and_nothing_to_compare_with() -> None:
    assert await said(Compare(), asked("what has changed", meant=Meant(room(), CUP))) == "I see no change."
    assert await said(Compare(), asked("what has changed")) == f"I have nothing to compare it with. {KEPT}"
    darker = asked("what has changed", view=room(light=0.5), meant=Meant(room(), CUP))
    assert await said(Compare(), darker) == "It is darker."


async def test_text_that_came_and_went_is_read_and_a_misread_letter_is_none() -> None:
    def lines(*texts: str) -> Reading:
        return Reading(tuple(TextLine(text, Box(0, 0, 100, 20), 0.95) for text in texts))

    asking = asked("what has changed", meant=Meant(room(), CUP))
    asking.text, asking.text_before = lines("Platform 4", "Delayed"), lines("Platf0rm 4", "On time")
    assert await said(Compare(), asking) == "Now it says: Delayed. It no longer says: On time."


async def test_another_view_is_said_to_be_one() -> None:
    rng = np.random.default_rng(0)
    other = VideoFrame(np.kron(rng.integers(0, 256, (12, 16, 3)), np.ones((40, 40, 1))).astype(np.uint8), 0)
    answer = await said(Compare(), asked("what has changed", (), view=other, meant=Meant(room(), CUP)))
    assert answer.startswith("This is another view, so I compare only what I can name.")


# -- following ---------------------------------------------------------------------------------------------------------------


async def test_following_begins_is_told_and_ends() -> None:
    fake = FakeEyes(SEEN)
    assert await said(Follow(), asked("what are you following", eyes=fake)) == "I am not following anything."
    assert await said(Follow(), asked("follow this", eyes=fake)) == "I am following the cup."
    assert [(track.label, track.state) for track in fake.tracks] == [("cup", TrackState.FOLLOWED)]
    assert (await said(Follow(), asked("where is it now", eyes=fake))).startswith("I am following the cup, straight ahead")
    bottle = asked("follow the bottle", eyes=fake, slots={"thing": "bottle"})
    assert await said(Follow(), bottle) == "I am following the bottle."
    assert await said(Follow(), asked("stop following", eyes=fake)) == "I stopped following."
    assert await said(Follow(), asked("stop following", eyes=fake)) == "I am not following anything."


async def test_what_cannot_be_followed_is_said() -> None:
    assert await said(Follow(), asked("follow the dog", slots={"thing": "dog"})) == "I see no dog."
    assert await said(Follow(), asked("follow this", eyes=FakeEyes(SEEN, segments=False))) == NO_OUTLINES
    assert await said(Follow(), asked("follow this", eyes=FakeEyes((), segments=False))) in (NOTHING, NO_OUTLINES)


SKILLS: tuple[Skill, ...] = (WhatIsThis(), Colour(), Count(), Describe(), Light(), Compare())


@pytest.mark.parametrize("skill", SKILLS, ids=lambda skill: skill.name)
async def test_blind_answers_say_nothing_that_must_be_seen(skill: Skill) -> None:
    asking = asked("how many cups", manner="blind", facts=FACTS)
    answer = await said(skill, asking)
    assert "as you can see" not in answer.lower()
    assert "on the screen" not in answer.lower()
    assert answer.strip().endswith(".")
