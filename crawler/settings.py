"""Scrapy's settings for one crawl: polite, bounded, and nothing that listens or downloads on its own."""

from importlib.metadata import version
from typing import Any

from crawler.job import CrawlJob

_NOT_NEEDED = (
    "scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware",  # ours stands in for it
    "scrapy.downloadermiddlewares.cookies.CookiesMiddleware",
    "scrapy.downloadermiddlewares.httpauth.HttpAuthMiddleware",
    "scrapy.downloadermiddlewares.httpcache.HttpCacheMiddleware",
    "scrapy.downloadermiddlewares.httpproxy.HttpProxyMiddleware",
    "scrapy.downloadermiddlewares.offsite.OffsiteMiddleware",
)
_MANNERS = {  # bounds, and nothing done in silence
    "ROBOTSTXT_USER_AGENT": "pingshao",
    "DOWNLOAD_DELAY_JITTER": 0,
    "CONCURRENT_REQUESTS": 4,
    "CONCURRENT_ITEMS": 2,  # pipelines do not wait for anything; 100 tasks a page only cost time
    "DOWNLOAD_TIMEOUT": 30,
    "DOWNLOAD_WARNSIZE": 0,
    "DOWNLOAD_VERIFY_CERTIFICATES": True,
    "RETRY_TIMES": 2,
    "RETRY_HTTP_CODES": [500, 502, 503, 504, 522, 524, 408],  # not 429: the spider waits as long as it is told
    "RETRY_GIVE_UP_LOG_LEVEL": "INFO",  # the ledger reports it
    "REDIRECT_MAX_TIMES": 5,
    "METAREFRESH_MAXDELAY": 5,  # a page that reloads itself now and then is no redirect
    "URLLENGTH_LIMIT": 0,  # its middleware drops pages in silence
    "HTTPERROR_ALLOW_ALL": True,  # the spider judges every answer itself
    "DEPTH_PRIORITY": 1,  # a list's pages before what they link to, so that a bound cuts the oldest
    "SCHEDULER_MEMORY_QUEUE": "scrapy.squeues.FifoMemoryQueue",
    "COOKIES_ENABLED": False,  # no sessions; also keeps tldextract from downloading its list
    "HTTPPROXY_ENABLED": False,  # behind a proxy nobody could tell an inner address
    "REMOTE_CONTROL_ENABLED": False,
    "TELNETCONSOLE_ENABLED": False,
    "LOG_LEVEL": "INFO",
    "LOG_COLOR": False,
    "LOG_VERSIONS": [],
    "STATS_DUMP": False,
}
_PARTS = {  # of Scrapy that ours stand in for, or that are left out
    "EXTENSIONS_BASE": {"scrapy.extensions.corestats.CoreStats": 0},  # the others cost half a second to import
    "DOWNLOAD_HANDLERS": {
        **dict.fromkeys(("http", "https"), "crawler.manners.Handler"),
        **dict.fromkeys(("data", "file", "ftp", "s3")),
    },
    "DOWNLOADER_MIDDLEWARES": {
        "crawler.walls.WallMiddleware": 40,
        "crawler.guard.GuardMiddleware": 50,
        "crawler.patience.PatienceMiddleware": 60,
        "crawler.manners.RobotsMiddleware": 100,
        **dict.fromkeys(_NOT_NEEDED),
    },
    "ITEM_PROCESSOR": "crawler.pipes.Pipelines",
    "LOG_FORMATTER": "crawler.pipes.DiscreetFormatter",
}


def user_agent() -> str:
    """How every request names itself."""
    return f"pingshao/{version('pingshao')} (+shop review monitor; obeys robots.txt)"


def scrapy_settings(job: CrawlJob) -> dict[str, Any]:
    """Settings of one crawl process; where Scrapy's defaults are impolite or unsafe they are set aside here."""
    return {
        **_MANNERS,
        **_PARTS,
        "USER_AGENT": user_agent(),
        "ROBOTSTXT_OBEY": job.obey_robots,
        "DOWNLOAD_DELAY": job.delay,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 1 if job.delay else 3,  # without a pause a host is our own
        "DOWNLOAD_MAXSIZE": job.max_bytes,
        "ITEM_PIPELINES": {name: order for order, name in enumerate(job.pipelines)},
        "PINGSHAO_ALLOW_PRIVATE_HOSTS": job.allow_private_hosts,
        "PINGSHAO_CONTEXT": job.context,
    }
