"""Logs: one line an event, to standard error, so that standard output stays the command's answer."""

import logging
import sys

import structlog


def set_up() -> None:
    """Send structlog's events and the libraries' warnings to standard error."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False),
        ],
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # the stream of now, not of the set-up
        cache_logger_on_first_use=False,
    )
