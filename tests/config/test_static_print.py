"""Whatever can be configured can be said in all three ways, and is read back as the same."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from config.static import KubernetesCRD, Providers, StaticConfiguration
from config.static_env import read_environment
from config.static_file import read_file
from config.static_flags import read_flags
from config.static_print import as_environment, as_flags, as_mapping
from config.static_providers import KubernetesIngress
from config.static_schema import Indexed, Leaf, Named, Option, Section, root
from config.static_tree import Node, build

# Flags trim blanks around list elements and split at commas; names are what a variable can carry.
TEXT = st.text(st.characters(exclude_categories=("C", "Z")), max_size=8)
ELEMENT = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters=","), min_size=1, max_size=8)
NAME = st.from_regex(r"[a-z][a-z0-9-]{0,5}", fullmatch=True)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "int": st.integers(-(2**63) + 1, 2**63 - 1),
    "text": TEXT,
    "duration": st.one_of(
        st.integers(0, 10**6).map(float), st.integers(0, 10**9).map(lambda milliseconds: milliseconds / 1000)
    ),
    "texts": st.lists(ELEMENT, max_size=3),
    "floats": st.lists(st.integers(1, 10**6).map(lambda hundredths: hundredths / 100), max_size=3),
    "map": st.dictionaries(NAME, TEXT, max_size=2),
}


def values(option: Option) -> st.SearchStrategy[Any]:
    match option:
        case Leaf():
            strategy = st.sampled_from(option.choices) if option.choices else SCALARS[option.kind]
            return st.one_of(st.none(), strategy) if option.default is None else strategy
        case Named():
            return st.dictionaries(NAME, structs(option.element), max_size=2)
        case Section():
            return st.one_of(st.none(), structs(option)) if option.optional else structs(option)
        case Indexed():
            return st.lists(structs(option.element), max_size=2)


def structs(section: Section) -> st.SearchStrategy[Any]:
    fields = {option.attribute: values(option) for option in section.options.values()}
    return st.fixed_dictionaries({}, optional=fields).map(lambda chosen: section.struct(**chosen))


STATIC: st.SearchStrategy[StaticConfiguration] = structs(root())


def read_back(tree: Node) -> object:
    built = build(root(), tree)
    assert built.problems == []
    return built.options


@given(STATIC)
def test_flags_say_it_all(static: StaticConfiguration) -> None:
    assert read_back(read_flags(as_flags(static)).tree) == static


@given(STATIC)
def test_variables_say_it_all(static: StaticConfiguration) -> None:
    assert read_back(read_environment(as_environment(static))) == static


@given(STATIC)
def test_a_file_says_it_all(static: StaticConfiguration) -> None:
    mapping = as_mapping(static)
    if not mapping:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pointsman.yml")
        path.write_text(yaml.safe_dump(mapping, allow_unicode=True))
        assert read_back(read_file(path)) == static


def test_secrets_are_masked_on_request() -> None:
    static = StaticConfiguration(providers=Providers(kubernetes_crd=KubernetesCRD(token="secret")))
    crd = as_mapping(static, masked=True)["providers"]["kubernetesCRD"]
    assert crd == {"token": "xxxx"}
    assert as_mapping(static)["providers"]["kubernetesCRD"] == {"token": "secret"}
    ingress = StaticConfiguration(providers=Providers(kubernetes_ingress=KubernetesIngress(token="secret")))
    assert as_mapping(ingress, masked=True)["providers"]["kubernetesIngress"] == {"token": "xxxx"}
