"""The terminal UI: screens over the verbs of ``sandbox``, and no logic of their own.

A screen reads from a :class:`tui.backend.port.BackendPort` (the real one calls the verbs, the tests' one
plays a recording) through feeds that poll in threads (:mod:`tui.live.feed`), and shows each answer with its
age (:mod:`tui.widgets.pane`). A change is a :class:`tui.actions.action.UserAction`, which carries its command
line and what it costs.
"""
