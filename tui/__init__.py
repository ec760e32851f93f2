"""The terminal UI: screens over the verbs of ``sandbox``, and no logic of their own.

A screen asks a :class:`tui.backend.port.Source` (the real one calls the verbs, the tests' one plays a
recording), through feeds that poll in threads (:mod:`tui.live.feed`), and shows what came with its age
(:mod:`tui.widgets.pane`). What changes something is an :class:`tui.actions.action.Action`: it knows its
command line and what it costs.
"""
