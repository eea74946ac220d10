"""Sentences from facts and labels, other ways of saying them, and what is claimed in words."""

import math

import pytest
import torch

from motif import rotation
from motif.curate import captions
from motif.curate.captions import check, of_description, of_label, rewrite, sentences
from motif.curate.claims import claims, sequence
from motif.curate.facts import facts, swap_sides
from rigs import RIGS, climb, tree, walk


def swapped(text: str) -> str:
    return swap_sides(text.replace(".", " .").replace(",", " ,")).replace(" .", ".").replace(" ,", ",")


@pytest.mark.parametrize("name", sorted(RIGS))
def test_every_rig_has_sentences_that_are_the_same_for_a_seed(name):
    found = facts(walk(RIGS[name](), 120, 30.0, 0))
    made = sentences(found, 5, 3)
    assert made == sentences(found, 5, 3) and len(set(made)) == len(made) >= 2
    assert all(text[0].isupper() and text.endswith(".") and "  " not in text for text in made)
    assert all(
        ("person" in t or "Someone" in t or "figure" in t) == (name in ("tree", "bird")) for t in made
    )  # two arms and two legs


def test_sentences_say_what_was_measured():
    found = facts(climb([0.0] * 6))
    for text in sentences(found, 6):
        assert claims(text)["forward"] and not claims(text)["left"] and not claims(text)["backward"]
    up = sentences(facts(climb([0.2, 0.4, 0.6])), 3)
    assert all("climbs up" in text for text in up)


def test_the_mirrored_facts_have_the_mirrored_sentences():
    motion = walk(tree(), 150, 30.0, 1)
    yaw = torch.linspace(0, math.pi / 2, 150)
    q = motion.rotations.clone()
    q[:, 0] = rotation.mul(rotation.about("y", yaw), q[:, 0])
    found = facts(motion)
    assert [swapped(t) for t in sentences(found, 5, 2)] == sentences(found.mirrored(), 5, 2)


@pytest.mark.parametrize(
    ("label", "claimed", "word"),
    [
        ("walk-turn-left_active", {"left"}, "walk"),
        ("dataset-2_raise-up-right-hand_elderly_012", {"right hand"}, "elderly"),
        ("wave-both-hands_youthful", {"both hand"}, "waves"),
        ("walk-back_normal", {"backward"}, "walks"),
        ("dash_musical", set(), "music"),
    ],
)
def test_labels_become_sentences(label, claimed, word):
    for text in of_label(label, 4, 1):
        assert word in text and claimed <= set(claims(text))
        assert not claims(text)["right" if "left" in label else "left"]


@pytest.mark.parametrize(
    ("description", "said"),
    [
        ("walk, 90-degree left turn", "walks and makes a turn of 90 degrees to the left."),
        ("run/jog, veer right", "runs or jogs and veers right."),
        ("playground - climb, hang, swing", "climbs, hangs and swings (playground)."),
        ("slow walk", "walks slowly."),
        ("Run Jump Stop Run", "runs, jumps, stops and runs."),
        ("Walk to Run", "goes from a walk to a run."),
        ("HappyStartWalk", "does a motion described as happy start walk."),
        ("jump up to grab, reach for, tiptoe", "reaches for"),
        ("a person walks forward", "A person walks forward."),
    ],
)
def test_descriptions_become_sentences(description, said):
    (text,) = of_description(description, 1, 0)
    assert said in text
    assert not [p for p in check(description, text) if p.startswith("lost")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Raises his left hand twice", ["left hand", "2"]),
        ("waves with both hands 4 times", ["both hand", "4"]),
        ("turns counter-clockwise, then clockwise", ["counterclockwise", "clockwise"]),
        ("a 90-degree left turn", ["90", "left"]),
        ("walks back three steps", ["backward", "3"]),
        ("lifts the right\u2019s foot up", ["right foot", "up"]),
        ("jumps right away", []),
        ("moves back and forth", []),
        ("does not lift one leg", ["not", "1", "leg"]),
    ],
)
def test_claims_are_found(text, found):
    assert sequence(text) == found


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("turns left", "turns right", "left"),
        ("waves 4 times", "waves five times", "5"),
        ("raises the left hand", "raises the left foot", "left hand"),
        ("raises the left hand", "raises a hand", "left hand"),
        ("walks forward", "walks", "lost: forward"),
        ("walks", "walks slowly", "added: slow"),
        ("walks clockwise", "walks counterclockwise", "lost: clockwise"),
        ("jumps once", "jumps twice", "lost: 1"),
        ("turns left then raises the right hand", "raises the right hand then turns left", "order"),
        ("does not move the arm", "moves the arm", "not"),
        ("steps up", "steps down", "lost: up"),
    ],
)
def test_a_changed_claim_is_told(before, after, problem):
    assert any(problem in p for p in check(before, after))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("A person waves the right hand four times.", "Someone waves 4 times with their right hand."),
        ("walks forward, turns left", "Turns left after he walks ahead"),
        ("jumps twice", "There are two jumps"),
        ("slowly", "at a slow pace"),
    ],
)
def test_the_same_claims_pass(before, after):
    assert check(before, after) == []


@pytest.mark.parametrize(
    "text",
    [
        "A person walks forward and turns left twice.",
        "a man raises his right hand above his head four times while turning left",
        "Someone jumps once.",
        "the person slowly walks in a circle to the right, and then sits down.",
        "person walking sideways to the left",
    ],
)
def test_rewrites_differ_and_keep_the_claims(text):
    made = rewrite(text, 5, 7)
    assert made == rewrite(text, 5, 7) and 2 <= len(made) == len(set(made))
    for said in made:
        assert said.lower().rstrip(".") != text.lower().rstrip(".")
        assert not check(text, said) and not check(said, text)
        assert ("his" in text) <= (" person" not in said and "omeone" not in said)
    assert rewrite(text, 5, 8) != made


def test_numbers_are_words_while_small():
    assert [captions.number(n) for n in (1, 4, 12, 13)] == ["one", "four", "twelve", "13"]
    assert captions.third("carry") == "carries" and captions.third("reach") == "reaches"
