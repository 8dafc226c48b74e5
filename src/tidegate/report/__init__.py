"""The report: one chart definition per figure; drawn in a static page, exported, shown in the console."""
