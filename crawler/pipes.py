"""Scrapy's item pipelines and log, so that neither a failure nor a buyer's words end up in the wrong place."""

from typing import Any

from scrapy.logformatter import LogFormatter
from scrapy.pipelines import ItemPipelineManager

from crawler.spider import SourceSpider


class Pipelines(ItemPipelineManager):
    """Scrapy's pipelines; what they raise fails the run instead of vanishing in the log."""

    async def process_item_async(self, item: Any) -> Any:
        """Hand an item through the pipelines."""
        try:
            return await super().process_item_async(item)
        except Exception as error:
            self._failed(error)
            raise

    async def close_spider_async(self) -> None:
        """Let the pipelines write what they hold back."""
        try:
            await super().close_spider_async()
        except Exception as error:
            self._failed(error)
            raise

    def _failed(self, error: Exception) -> None:
        spider = self.crawler and self.crawler.spider
        assert isinstance(spider, SourceSpider)
        spider.ledger.fail(spider.job.name, f"入库出错 {type(error).__name__}: {error}")


class DiscreetFormatter(LogFormatter):
    """Keeps buyers' words out of the log: they are not masked yet."""

    def item_error(self, item: Any, exception: BaseException, response: Any, spider: Any) -> Any:
        """The fault without the item."""
        del item
        return super().item_error("-", exception, response, spider)
