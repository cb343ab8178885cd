from __future__ import annotations

from functools import cache

import pytest

from edge.errors import EngineMissing, UsageError
from edge.policy.router import Router
from edge.skill import Meant
from edge.skills import load
from edge.skills.watch import FOLLOWED_FULL, MIDDLE, Watch
from edge.tracks import Watched, WatchRule
from edge.values import Box, Detection
from tests.skills.asking import FakeAsking, FakeEyes, picture, said

BAG = Detection("handbag", Box(20, 10, 50, 40), 0.8)
BUS = Detection("bus", Box(5, 5, 60, 40), 0.9)
NAMES = ("person", "handbag", "backpack", "suitcase", "bus", "car", "truck", "motorcycle", "dog", "cup", "cell phone")


@cache
def router() -> Router:
    return Router(load())


async def ask(text: str, eyes: FakeEyes, meant: Meant | None = None) -> str:
    route = router().route(text)
    assert route.skill.name == "watch", f"{text} went to {route.skill.name}"
    return await said(Watch(), FakeAsking(route.text, slots=route.slots, eyes=eyes, view=picture(), meant=meant))


def eyes(*seen: Detection, **fields: object) -> FakeEyes:
    return FakeEyes(seen=seen, names=NAMES, **fields)  # type: ignore[arg-type]  # scripted


async def test_named_thing_in_view_is_followed_and_watched() -> None:
    view = eyes(BAG)
    assert await ask("watch my bag", view) == "I will tell you when something touches your bag."
    assert view.watches == {1: WatchRule(Watched.TOUCHED, "my bag", 1, words="watch my bag")}
    assert view.tracks[0].label == "handbag" and view.prompts[-1].box == BAG.box


@pytest.mark.parametrize(
    ("text", "what", "answer"),
    [
        ("tell me when the bus moves", Watched.MOVES, "I will tell you when the bus moves."),
        ("tell me when the bus stops", Watched.STOPS, "I will tell you when the bus stops."),
        ("tell me when the bus leaves", Watched.LEAVES, "I will tell you when the bus is gone."),
        ("please warn me if somebody touches the bus", Watched.TOUCHED, "I will tell you when something touches the bus."),
        ("notify me as soon as the bus is moved", Watched.TOUCHED, "I will tell you when something touches the bus."),
    ],
)
async def test_what_can_happen_to_a_thing(text: str, what: Watched, answer: str) -> None:
    view = eyes(BUS)
    assert await ask(text, view) == answer
    (rule,) = view.watches.values()
    assert (rule.what, rule.object_id, rule.label) == (what, 1, "the bus")


@pytest.mark.parametrize("text", ["tell me when somebody comes", "tell me when a person appears", "warn me if people come"])
async def test_whoever_comes(text: str) -> None:
    view = eyes()
    assert await ask(text, view) == "I will tell you when a person appears."
    assert [(rule.what, rule.label, rule.object_id) for rule in view.watches.values()] == [(Watched.APPEARS, "person", None)]


async def test_word_for_several_kinds_watches_for_each() -> None:
    view = eyes()
    answer = await ask("tell me when a vehicle comes", view)
    assert {rule.label for rule in view.watches.values()} == {"car", "truck", "bus", "motorcycle"}
    assert answer.count("when") == 4


async def test_number_of_things() -> None:
    view = eyes()
    assert await ask("tell me when the number of people changes", view) == "I will tell you when the number of people changes."
    assert view.watches[1].what is Watched.COUNT


async def test_thing_that_is_not_in_view_is_waited_for_by_its_name() -> None:
    view = eyes()
    answer = await ask("tell me when the bus moves", view)
    assert answer == "I do not see the bus now. I will tell you when the bus moves."
    assert view.watches[1] == WatchRule(Watched.MOVES, "bus", words="tell me when the bus moves")


@pytest.mark.parametrize("view", [eyes(), FakeEyes(seen=None, segments=False)], ids=["detector", "nothing"])
async def test_door_has_no_name_so_the_middle_is_watched_and_that_is_said(view: FakeEyes) -> None:
    assert await ask("watch the door", view) == "I will watch what is in the middle of the view: keep it there."
    assert view.watches[1] == WatchRule(Watched.MOVES, zone=MIDDLE, words="watch the door")


async def test_thing_without_a_name_is_what_is_looked_at_and_that_is_said() -> None:
    view = eyes()
    answer = await ask("watch my jacket", view)
    assert answer == "I take what you look at for your jacket. I will tell you when something touches your jacket."
    assert view.watches[1] == WatchRule(Watched.TOUCHED, "my jacket", 1, words="watch my jacket")


async def test_without_a_detector_whoever_comes_is_whatever_moves() -> None:
    view = FakeEyes(seen=None, segments=False)
    answer = await ask("tell me when somebody comes", view)
    assert answer == "I cannot name things, so I will watch what is in the middle of the view: keep it there."
    assert view.watches[1].zone == MIDDLE and view.watches[1].label == ""


async def test_this_is_what_is_looked_at() -> None:
    view = eyes(Detection("cup", Box(24, 16, 40, 32), 0.9))
    assert await ask("watch this", view) == "I will tell you when something touches the cup."
    assert view.watches[1].object_id == view.tracks[0].object_id


async def test_animal_is_watched_for_leaving() -> None:
    view = eyes(Detection("dog", Box(10, 10, 40, 40), 0.9))
    assert await ask("keep an eye on the dog", view) == "I will tell you when the dog is gone."
    assert view.watches[1].what is Watched.LEAVES


async def test_it_is_what_is_followed_or_was_meant() -> None:
    view = eyes(BUS)
    assert await ask("tell me when it stops", view, Meant(picture(), BUS.box, "bus")) == "I will tell you when the bus stops."
    await ask("tell me when it leaves", view)
    assert [rule.object_id for rule in view.watches.values()] == [1, 1] and len(view.tracks) == 1


@pytest.mark.parametrize("text", ["tell me when something moves", "tell me if anything happens"])
async def test_whatever_moves(text: str) -> None:
    view = eyes()
    assert await ask(text, view) == "I will tell you when something moves in the view."
    assert view.watches[1].zone is None


@pytest.mark.parametrize("text", ["tell me when the light goes off", "tell me if the light turns on"])
async def test_light(text: str) -> None:
    view = eyes()
    assert await ask(text, view) == "I will tell you when the light goes on or off."
    assert view.watches[1].what is Watched.LIGHT


async def test_too_much_is_followed() -> None:
    view = eyes(BUS, failures={"follow": UsageError("full")})
    assert await ask("tell me when the bus moves", view) == FOLLOWED_FULL
    assert not view.watches


async def test_without_a_segmenter_the_name_does() -> None:
    view = eyes(BUS, failures={"follow": EngineMissing("none")}, segments=False)
    assert "when the bus moves" in await ask("tell me when the bus moves", view)
    assert view.watches[1].label == "bus" and view.watches[1].object_id is None


async def test_stop_ends_everything_and_lets_go_what_was_followed_for_it() -> None:
    view = eyes(BAG)
    await ask("watch my bag", view)
    await ask("tell me when somebody comes", view)
    assert await ask("what are you watching", view) == (
        "I will tell you when something touches your bag or when a person appears."
    )
    assert await ask("stop watching", view) == "I stopped watching."
    assert not view.watches and not view.tracks
    assert await ask("stop watching", view) == "I am not watching anything."
    assert await ask("what are you watching", view) == "I am not watching anything."


async def test_stop_one_of_two() -> None:
    view = eyes(BAG, BUS)
    await ask("watch my bag", view)
    await ask("tell me when the bus moves", view)
    assert await ask("stop watching the dog", view) == "I am not watching the dog."
    assert await ask("stop watching my bag", view) == "I stopped watching your bag."
    assert [rule.label for rule in view.watches.values()] == ["the bus"]


@pytest.mark.parametrize("text", ["stop watching me", "stop listening", "do not watch"])
def test_privacy_is_still_privacy(text: str) -> None:
    assert router().route(text).skill.name == "mute"
