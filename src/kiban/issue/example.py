"""A tiny catalogue for the examples of this room: two use cases, two models, three cases. Everything in it is made up."""

from __future__ import annotations

from datetime import date

from kiban.records.case import Case
from kiban.records.issue import Concept, FormChoice, FormQuestion, IssueForm, IssueLimits
from kiban.records.model import Component, StandardModel
from kiban.records.source import Text
from kiban.records.usecase import Needs, SiteKind, UseCase

DAY = date(2026, 1, 1)


def text(ja: str) -> Text:
    """The same words in both languages, for brevity."""
    return Text(ja=ja, en=ja)


def usecase(name: str, words: tuple[str, ...], site: SiteKind) -> UseCase:
    """A use case without needs."""
    return UseCase(name=text(name), summary=text(name), field=text("例"), words=words, sites=(site,), needs=Needs(), sources={}, checked_on=DAY)


def model(name: str, words: tuple[str, ...], *usecases: str) -> StandardModel:
    """A model of one component."""
    part = Component(id="part", name=text("部分"), layer="access", area="cooperative", shareable=True, role=text("役割"))
    return StandardModel(
        name=text(name),
        summary=text(name),
        label="提案",
        usecases=usecases,
        words=words,
        components=(part,),
        clauses=(),
        kpis=(),
        sources={},
        checked_on=DAY,
        review_by=date(2027, 1, 1),
    )


usecases = {
    "shelter": usecase("避難所の通信", ("避難所", "電話がつながらない"), "shelter"),
    "river": usecase("川の水位", ("川", "水位"), "river"),
    "bus": usecase("地域の足", ("バス", "病院に行けない"), "bus"),
}
models = {
    "shelter/1": model("避難所の通信確保", ("避難所", "電話がつながらない"), "shelter"),
    "river/1": model("川の水位の監視", ("川", "水位"), "river"),
}
cases = {
    "taxi": Case(kind="project", title="乗合の車", issue="バスが減って病院に行けない", municipality="例の町", confidence="C", seen_on=DAY),
    "taxi-stopped": Case(kind="project", title="乗合の車をやめた", issue="バスが減り、病院が遠い", state="停止", stopped=True, confidence="C", seen_on=DAY),
    "wifi": Case(kind="project", title="避難所の無線LAN", issue="避難所の通信", models=("shelter",), confidence="C", seen_on=DAY),
}
form = IssueForm(
    concepts={
        "shelter": Concept(role="place", words=("避難所",)),
        "out-of-touch": Concept(role="need", words=("通信", "電話~つなが", "連絡がとれ")),
        "river": Concept(role="place", words=("川",)),
        "level": Concept(role="need", words=("水位", "あふれ")),
        "bus": Concept(role="place", words=("バス",)),
        "medical": Concept(role="need", words=("病院", "通院")),
        "burden": Concept(role="setting", words=("困って", "大変")),
    },
    ignore=("川崎",),
    talk=("おいしい",),
    limits=IssueLimits(
        cover=0.5, keep=0.35, setting=0.25, near=0.05, alike=0.5, town=0.1, usecases=5, models=3, cases=5, exact=1.0, bench="bench/sentences.py"
    ),
    which=text("どの標準モデルですか"),
    which_changes=text("設計が変わります"),
    neither=text("どれでもない"),
    questions=(
        FormQuestion(
            id="which-places",
            text=text("どこですか"),
            changes=text("対象が変わります"),
            choices=(
                FormChoice(id="all", text=text("全部")),
                FormChoice(id="no-shelter", text=text("避難所以外"), without=("shelter",), without_sites=("shelter",)),
            ),
            models=("shelter",),
            default="all",
            fact="shelters",
        ),
    ),
    ask=(text("県の担当課"),),
    ask_town=text("{town}の担当課({title})"),
    no_model=text("合うモデルはありません"),
    not_an_issue=text("課題の語がありません"),
)
