"""All pages of one answer, one after another, and the proof that none is missing or came twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import httpx

from pipelines.catalogue.sources import HttpSource
from pipelines.errors import SourceError
from pipelines.intake.connectors.http_answers import Answer, read_answer
from pipelines.intake.connectors.http_exchange import Exchange
from pipelines.intake.connectors.patience import Trouble, patiently


class Pages:
    """The pages of one read, in order; afterwards ``rows`` and ``total`` say how many rows came and should have."""

    def __init__(
        self,
        source: HttpSource,
        exchange: Exchange,
        parameters: Mapping[str, str],
        progress: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.rows = 0
        self.total: int | None = None
        self._source = source
        self._exchange = exchange
        self._parameters = dict(parameters)
        self._progress = progress
        self._seen: set[str] = set()

    def __iter__(self) -> Iterator[Answer]:
        """Each page that has rows.

        Raises :class:`Trouble` when the total changes or does not come together (rows moved from page to page while
        they were read), and :class:`SourceError` when the same rows, cursor or link come twice or pages do not end.
        """
        paging = self._source.paging
        url, parameters = self._exchange.first, self._first_parameters()
        for number in range(1, paging.max_pages + 1):
            answer, headers, answered_by = self._ask(url, parameters)
            self._count(answer, number)
            if answer.rows:
                yield answer
            following = self._next(answer, headers, answered_by, parameters)
            if following is None:
                self._check_total()
                return
            url, parameters = following
        raise self._error(
            f"the interface does not come to an end after {paging.max_pages:,} pages",
            "raise source.paging.max_pages in the feed's YAML if there are more",
        )

    def _ask(self, url: httpx.URL, parameters: Mapping[str, str]) -> tuple[Answer, httpx.Headers, httpx.URL]:
        def once() -> tuple[Answer, httpx.Headers, httpx.URL]:
            body, headers, answered_by = self._exchange.ask(url, parameters)
            return read_answer(self._source, body, self._exchange.place), headers, answered_by

        return patiently(self._source.retries, self._exchange.place, once, self._progress)

    def _first_parameters(self) -> dict[str, str]:
        paging = self._source.paging
        parameters = dict(self._parameters)
        if paging.size_parameter is not None:
            parameters[paging.size_parameter] = str(paging.size)
        if paging.parameter is not None and paging.style in {"number", "offset"}:
            parameters[paging.parameter] = str(paging.start)
        return parameters

    def _count(self, answer: Answer, number: int) -> None:
        if self.total is None:
            self.total = answer.total
        elif answer.total is not None and answer.total != self.total:
            raise self._moved(f"the total changed from {self.total:,} to {answer.total:,} rows while pages were read")
        if answer.rows and answer.digest in self._seen:
            raise self._error(
                f"page {number:,} has the same rows as one before",
                "check source.paging; an interface that repeats its last page needs end: short or total_path",
            )
        self._seen.add(answer.digest)
        self.rows += answer.rows
        self._progress(f"{self._exchange.place}: page {number}, {self.rows:,} rows")

    def _next(
        self, answer: Answer, headers: httpx.Headers, answered_by: httpx.URL, parameters: Mapping[str, str]
    ) -> tuple[httpx.URL, dict[str, str]] | None:
        """Address and parameters of the page after ``answer``; None when it was the last one."""
        paging = self._source.paging
        if paging.style == "none" or answer.rows == 0:
            return None
        if paging.style == "link":
            return self._next_link(answer, headers, answered_by)
        if paging.parameter is None:
            raise TypeError("the paging has no parameter")
        if paging.style == "cursor":
            if not answer.cursor:
                return None
            self._once_only(f"cursor {answer.cursor}", "cursor")
            return self._exchange.first, {**parameters, paging.parameter: answer.cursor}
        if self.total is not None and self.rows >= self.total:
            return None
        if paging.end == "short" and answer.rows < paging.size:
            return None
        last = int(parameters[paging.parameter])
        following = last + 1 if paging.style == "number" else paging.start + self.rows
        return self._exchange.first, {**parameters, paging.parameter: str(following)}

    def _next_link(
        self, answer: Answer, headers: httpx.Headers, answered_by: httpx.URL
    ) -> tuple[httpx.URL, dict[str, str]] | None:
        if self._source.paging.link_path is not None:
            link = answer.link
        else:
            link = httpx.Response(200, headers=headers).links.get("next", {}).get("url")
        if not link:
            return None
        try:
            target = answered_by.join(link)
        except httpx.InvalidURL:
            raise self._error("the link to the next page is no address", "check source.paging.link_path") from None
        if not self._exchange.same_place(target):
            raise self._error(
                "the link to the next page leads to another scheme, host or port",
                "ask the department to mend its links; the secret is sent to the address in the feed only",
            )
        self._once_only(f"link {target}", "link")
        return target, {}

    def _once_only(self, what: str, called: str) -> None:
        if what in self._seen:
            raise self._error(f"the same {called} came twice", "ask the department why its pages go in circles")
        self._seen.add(what)

    def _check_total(self) -> None:
        if self.total is not None and self.rows != self.total:
            raise self._moved(f"the interface declares {self.total:,} rows and gave {self.rows:,}")

    def _moved(self, problem: str) -> Trouble:
        return Trouble(
            problem,
            remedy="run the batch again when the department does not write, or ask it for a range that stands still",
        )

    def _error(self, problem: str, remedy: str) -> SourceError:
        return SourceError(problem, remedy=remedy, file=self._exchange.place)
