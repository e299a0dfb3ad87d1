"""The whole of params.yaml, checked before anything works: everything that is wrong at once, one sentence each."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from lib.base import params
from lib.base.errors import InputError, attempt, noting, require
from lib.base.typed import shown
from lib.settings import amounts, references, sections
from lib.settings.sections import Rule
from lib.studies import chain, variant


def of_parameters() -> list[str]:
    """What is wrong with params.yaml in itself; empty if nothing is."""
    document = params.document()
    require(isinstance(document, dict), f"params.yaml must be a file of sections with keys, got {shown(document)}")
    return _broken([*sections.rules(), *references.RULES, *amounts.RULES])


def of_data() -> list[str]:
    """What the data do not allow, of a params.yaml that is right in itself."""
    return _broken([amounts.dataset])


def of_study(path: Path) -> list[str]:
    """What is wrong with the sections of params.yaml as the variants of a study change them, of a params.yaml that is right."""
    found: list[str] = []
    for name, one in variant.read(path)[1].items():
        with chain.under(one.change), params.changed(one.student):
            wrong = _broken([*sections.rules(), partial(_entries, one)])
        found += [f"{path}: variants.{name}: {sentence}" for sentence in wrong]
    return found


def _entries(one: variant.Variant) -> None:
    """The row that a variant trains and what a search would scale are there."""
    params.value(chain.ENTRIES.get(one.stage, "teachers"), one.row)
    for key in one.scale:
        attempt(params.value, *key.split("."))


def _broken(rules: Iterable[Rule]) -> list[str]:
    """The sentences of all rules, each once. A rule that fails over what another has refused is passed over."""
    found: list[str] = []
    for rule in rules:
        with noting() as noted:
            try:
                rule()
            except InputError as error:
                noted.extend(map(str, error.args))
            except Exception:
                if not found and not noted:
                    raise
        found.extend(noted)
    return list(dict.fromkeys(found))
