"""The engine ``llm``: the built-in judges every text, and an endpoint is asked about those that its settings name.

Whatever goes wrong out there, the built-in's verdict stands; a verdict's ``model`` says who decided.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from monitor import settings as config
from monitor.endpoint import Endpoint, Trouble, Unusable
from monitor.engines import Engine
from monitor.judge import Judgement, Text
from monitor.quota import Budget
from monitor.verdicts import SCHEMA, masked, question, verdict

log = structlog.get_logger()


class Llm:
    """The built-in with an endpoint for second opinions.

    Args:
        settings: The endpoint, and what it is asked about.
        builtin: Decides about everything else.
        budget: What may be spent.
    """

    def __init__(self, settings: config.Llm, builtin: Engine, budget: Budget) -> None:
        self._settings, self._builtin, self._budget = settings, builtin, budget
        self._endpoint = Endpoint(settings)
        self.model = f"llm:{settings.model}"
        self.models: tuple[str, ...] = (self.model, *builtin.models)

    def judge_many(self, texts: Sequence[Text]) -> list[Judgement]:
        """Judges texts in their order; the same text is asked about once."""
        verdicts = self._builtin.judge_many(texts)
        places: dict[Text, list[int]] = defaultdict(list)
        for place, (text, judged) in enumerate(zip(texts, verdicts, strict=True)):
            if self._is_wanted(text, judged):
                places[text].append(place)
        for text, judgement in self._second_opinions(list(places)):
            for place in places[text]:
                verdicts[place] = judgement
        return verdicts

    def _is_wanted(self, text: Text, judged: Judgement) -> bool:
        least, most = self._settings.doubtful
        if self._settings.ask == "doubtful":
            wanted = least <= judged.p_negative <= most
        else:
            wanted = self._settings.ask == "all" or judged.p_negative >= least
        return wanted and bool(text.text.strip())

    def _second_opinions(self, texts: Sequence[Text]) -> Iterator[tuple[Text, Judgement]]:
        if not texts:
            return
        until = time.monotonic() + self._settings.patience.total_seconds()
        with ThreadPoolExecutor(self._settings.concurrency, "llm") as threads:
            answers = list(threads.map(lambda text: self._ask(text, until), texts))
        for kind, count in Counter(answer for answer in answers if isinstance(answer, str)).items():
            log.warning("the built-in decided", endpoint=self.model, why=kind, texts=count)
        for text, answer in zip(texts, answers, strict=True):
            if isinstance(answer, Judgement):
                yield text, answer

    def _ask(self, text: Text, until: float) -> Judgement | str:
        """The endpoint's verdict, or why there is none."""
        if time.monotonic() > until:
            return "out of patience"
        if refused := self._budget.take(self._settings.daily_budget):
            return refused
        sent = masked(text.text)
        try:
            answer = self._endpoint.ask(question(text, sent), SCHEMA)
            judgement = verdict(answer, text.text, sent, self.model)
        except Trouble as trouble:
            self._budget.failed(trouble.wait)
            return str(trouble)
        except Unusable as unusable:  # the text's doing, perhaps: what one writer wrote must not silence the endpoint
            self._budget.worked()
            return str(unusable)
        self._budget.worked()
        return judgement
