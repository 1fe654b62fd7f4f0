"""The catalogue as one HTML page that needs nothing else: no network, no other file.

The same content gives the same bytes. A content security policy forbids every load, and names the page's own style
and script by their hashes, so that not even a data file's odd name could bring another in.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from html import escape
from importlib import resources
from typing import Final

from feature_spec.catalogue.content import Content, Use
from feature_spec.catalogue.distribution import LEAST_USERS, Distribution
from feature_spec.catalogue.formula import broken
from feature_spec.catalogue.histogram import histogram, number
from feature_spec.definition import Feature
from feature_spec.registry import COMPUTED, INPUT, STATUSES, TEXT, Definition, Group, Input, status

STATUS_WORDS: Final = {COMPUTED: "computed", INPUT: "declared input", TEXT: "from text"}
_DAY: Final = 86_400
_HOUR: Final = 3_600


def page(content: Content) -> str:
    """The whole page."""
    style, script = (
        resources.files("feature_spec.catalogue").joinpath(name).read_text("utf-8")
        for name in ("page.css", "page.js")
    )
    policy = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}"
    contents = "".join(_contents(group) for group in content.registry.groups)
    sections = "".join(_section(content, group) for group in content.registry.groups)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>Feature catalogue</title>\n<style>{style}</style></head>\n<body><div class="page">\n'
        f'<nav class="contents" aria-label="Contents"><h2>Features</h2>{contents}</nav>\n'
        f"<main>{_head(content)}{_tools(content)}\n{sections}"
        '<p class="none" hidden>Nothing fits. Escape empties the search.</p></main>\n'
        f"</div><script>{script}</script></body></html>\n"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _head(content: Content) -> str:
    data = (
        f'<p class="data">Distributions: {escape(content.data)}. A bar is as high as the square root of its users, so '
        "that tails show beside a heap at zero.</p>"
        if content.data
        else "<p>No data was given, so there are no distributions: <code>edge features catalogue --events …</code></p>"
    )
    notices = "".join(f"<p>{escape(notice[:1].upper() + notice[1:])}.</p>" for notice in content.notices)
    models = "".join(
        f"<li>{escape(model.name)}: {len(model.spec.features)} features, spec "
        f"<code>{model.spec.fingerprint()[:16]}</code></li>"
        for model in content.models
    )
    return (
        "<header><h1>Feature catalogue</h1><p>Every feature that has a name: what is computed from the log of "
        "events, what somebody must report, and what a text model on the device derives. Each value is finite and "
        "within its range, whatever is known of a user.</p>"
        f"{data}{notices}{f'<ul>{models}</ul>' if models else ''}</header>"
    )


def _tools(content: Content) -> str:
    counts = {name: sum(status(item) == name for _, item in content.registry) for name in STATUSES}
    total = len(content.registry.names)
    buttons = "".join(
        f'<button type="button" data-status="{name}" aria-pressed="{"true" if name == "all" else "false"}">'
        f"{words} {count}</button>"
        for name, words, count in (
            ("all", "all", total),
            *((s, STATUS_WORDS[s], counts[s]) for s in STATUSES),
        )
    )
    return (
        '<div class="bar-top" hidden><input id="search" type="search" aria-label="Search" '
        f'placeholder="Search names, meanings, formulas ( / )">{buttons}'
        '<button type="button" id="theme">light / dark</button>'
        '<span class="found" aria-live="polite"></span></div>'
    )


def _contents(group: Group) -> str:
    items = "".join(
        f'<li><a href="#{item.name}"><span class="dot {status(item)}" title="{STATUS_WORDS[status(item)]}"></span>'
        f"{item.name}</a></li>"
        for item in group.definitions
    )
    return f'<div><a class="group" href="#group-{group.name}">{escape(group.title)}</a><ul>{items}</ul></div>'


def _section(content: Content, group: Group) -> str:
    cards = "\n".join(_card(content, item) for item in group.definitions)
    return (
        f'<section id="group-{group.name}"><h2>{escape(group.title)} <small>{group.name}, '
        f"{len(group.definitions)}</small></h2>\n{cards}\n</section>\n"
    )


def _card(content: Content, item: Definition) -> str:
    kind = status(item)
    figure = _figure(item, content.distributions.get(item.name))
    formula = f"<pre>{escape(broken(item.formula))}</pre>" if isinstance(item, Feature) else ""
    return (
        f'<article id="{item.name}" data-status="{kind}"><h3><a class="name" href="#{item.name}">{item.name}</a>'
        f'<span class="badge {kind}">{STATUS_WORDS[kind]}</span>'
        f'<span class="kind">{item.dtype}, version {item.version}</span></h3>'
        f'<p class="meaning">{escape(item.meaning)}</p><div class="body{"" if figure else " alone"}"><div>{formula}'
        f"{_facts(item, content.uses(item))}</div>{figure}</div></article>"
    )


def _facts(item: Definition, uses: tuple[Use, ...]) -> str:
    rows = [("unit", escape(item.unit)), ("range", f"{number(item.low)} to {number(item.high)}")]
    if isinstance(item, Input):
        if item.categories:
            rows[1] = ("one of", ", ".join(f"<code>{name}</code>" for name in item.categories))
        rows += [
            ("missing", _missing(item)),
            ("reported by", escape(item.reporter)),
            ("why declared", escape(item.why_declared)),
        ]
    else:
        rows.append(("missing", _missing(item)))
        if item.known is not None:
            rows.append(("known where", f'<code class="known">{escape(broken(str(item.known)))}</code>'))
    rows += [
        ("valid for", _duration(item.ttl_s)),
        ("used by", ", ".join(map(_use, uses)) or "no model on this page"),
        ("source", escape(item.source)),
    ]
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in rows) + "</dl>"


def _missing(item: Definition) -> str:
    if isinstance(item, Feature) and item.known is None:
        return "never: it has a value for every user"
    if isinstance(item.missing, str):
        return f"<code>{item.missing}</code>"
    return number(item.missing) + (" (unknown)" if item.missing < item.low else "")


def _use(use: Use) -> str:
    if use.as_here:
        return f"{escape(use.model)}"
    return f'<span class="warn">{escape(use.model)} takes another definition (version {use.version})</span>'


def _duration(seconds: int) -> str:
    for length, unit in ((_DAY, "day"), (_HOUR, "hour"), (60, "minute"), (1, "second")):
        if seconds % length == 0:
            count = seconds // length
            return f"{count} {unit}{'' if count == 1 else 's'}"
    raise AssertionError(seconds)  # every whole number is a multiple of 1


def _figure(item: Definition, of: Distribution | None) -> str:
    if of is None:
        return ""
    lines: Iterable[str] = (_known(of), _typical(of))
    caption = ". ".join(line for line in lines if line)
    drawing = histogram(of, item.unit) if of.counts and not of.alike else ""
    return f"<figure>{drawing}<figcaption>{escape(caption)}.</figcaption></figure>"


def _known(of: Distribution) -> str:
    if of.known == of.users:
        return f"Known of all {of.users:,} users"
    if of.known == 0:
        return f"Known of none of {of.users:,} users: every model gets the value for missing"
    share = of.known / of.users
    few = f": too few for a histogram, which takes {LEAST_USERS}" if not of.counts else ""
    return f"Known of {of.known:,} of {of.users:,} users ({share:.1%}){few}"


def _typical(of: Distribution) -> str:
    if of.mean is None:
        return ""
    return f"It is {number(of.mean)} for all of them" if of.alike else f"Mean {number(of.mean)}"
