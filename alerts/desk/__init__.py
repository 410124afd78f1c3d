"""The web side: the status page, the pages behind signed links, and the address Slack's clicks come in at."""
