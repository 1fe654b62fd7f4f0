"""The catalogue page: well-formed, complete, self-contained, and the same for the same content."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from feature_spec import PREBUILT, FeatureSpec
from feature_spec.catalogue import Content, Model, distributions, page
from feature_spec.registry import REGISTRY, Input, status
from tests.feature_spec.inputs import random_input

VOID = {"meta", "input"}
"""HTML elements that never close; SVG ones close themselves."""


class Elements(HTMLParser):
    """Every element in order, with its attributes; fails on tags that do not close each other."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._open[-1] if self._open else "", []).append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def content() -> Content:
    return Content(
        REGISTRY,
        models=(Model("zoo:goal-success", PREBUILT),),
        data="made-up.csv, 400 users at the end of the log",
        notices=("left out the events of 3 users without a label",),
        distributions=distributions(REGISTRY.computed.features, *random_input(7, 400)),
    )


@pytest.fixture(scope="module")
def text(content: Content) -> str:
    return page(content)


def test_a_card_a_name_and_a_link_to_each(text: str) -> None:
    elements = Elements(text)
    cards = elements.of("article")
    assert [card["id"] for card in cards] == list(REGISTRY.names)
    assert [card["data-status"] for card in cards] == [status(item) for _, item in REGISTRY]
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [link["href"] for link in elements.of("a")]
    assert all(target is not None and target.startswith("#") and target[1:] in ids for target in targets)
    contents = [link for link in elements.of("a") if link.get("class") is None]
    assert [link["href"] for link in contents] == [f"#{name}" for name in REGISTRY.names]


def test_every_card_says_all_there_is(text: str, content: Content) -> None:
    cards = dict(re.findall(r'<article id="(\w+)"(.*?)</article>', text, re.S))
    for _, item in REGISTRY:
        facts = re.findall(r"<dt>(.*?)</dt>", cards[item.name])
        assert {"unit", "missing", "valid for", "used by", "source"} <= set(facts), item.name
        if isinstance(item, Input):
            assert {"reported by", "why declared"} <= set(facts), item.name
            assert "<pre>" not in cards[item.name]
            assert ("one of" if item.categories else "range") in facts
        else:
            assert "<pre>" in cards[item.name], item.name
            assert "<svg" in cards[item.name], item.name
    assert "zoo:goal-success" in cards["momentum_score"]
    assert "no model on this page" in cards["season"]


def test_nothing_is_loaded_from_anywhere(text: str) -> None:
    elements = Elements(text)
    assert not {"link", "img", "iframe", "object", "embed", "base", "form"} & {
        tag for tag, _ in elements.found
    }
    for tag, attributes in elements.found:
        assert not {"src", "srcset", "style"} & set(attributes), tag
        assert not any(name.startswith("on") for name in attributes), tag
    assert "url(" not in text
    assert "@import" not in text
    assert "http:" not in text
    assert "https:" not in text
    policy = next(item["content"] for item in elements.of("meta") if item.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_the_same_content_gives_the_same_bytes(text: str, content: Content) -> None:
    assert page(content) == text


def test_what_comes_from_files_is_escaped(content: Content) -> None:
    evil = "<script>alert(1)</script>"
    made = page(replace(content, data=evil, notices=(evil,), models=(Model(evil, PREBUILT),)))
    assert evil not in made
    assert made.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 3 + len(PREBUILT.features)


def test_another_definition_under_the_name_is_told_apart(content: Content) -> None:
    other = replace(PREBUILT["streak_length"], version=2, high=30)
    made = page(replace(content, models=(Model("mine", FeatureSpec((other,))),)))
    assert made.count("mine takes another definition (version 2)") == 1


def test_without_data_there_are_no_distributions() -> None:
    made = page(Content(REGISTRY))
    assert "<svg" not in made
    assert "No data was given" in made
    Elements(made)
