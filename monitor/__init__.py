"""The middle of the house: settings, store, intake, scoring, cases, crises and clocks."""
