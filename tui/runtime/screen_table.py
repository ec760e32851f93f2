"""The table of the screens that a key opens: a new screen is one entry here, besides its module."""

from __future__ import annotations

from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from textual.binding import Binding

if TYPE_CHECKING:
    from textual.screen import Screen


@dataclass(frozen=True)
class ScreenEntry:
    """One screen. ``name`` is what the palette and the remembered state call it, ``title`` the short word in
    the header, ``place`` its module below ``tui.screens`` and its class.
    """

    name: str
    title: str
    key: str
    place: str

    @property
    def key_binding(self) -> Binding:
        """The binding of the application that shows the screen."""
        action, name = f"go('{self.name}')", f"screen.{self.name}"
        return Binding(self.key, action, self.title, show=False, key_display=self.key, id=name)

    def open_screen(self) -> Screen[None]:
        """Make the screen; its module is only imported when it is first shown."""
        # Resolved by name: an import at the top of this module would load every screen at the start.
        made: Screen[None] = resolve_name(f"tui.screens.{self.place}")()
        return made


# Keys 1-0 and minus lie in a row on the keyboard; the header shows the screens in the same order.
SCREENS = {
    entry.name: entry
    for entry in (
        ScreenEntry("dashboard", "Dash", "1", "dashboard.screen:DashboardScreen"),
        ScreenEntry("jobs", "Jobs", "2", "jobs.screen:JobsScreen"),
        ScreenEntry("assets", "Assets", "3", "assets.screen:AssetsScreen"),
        ScreenEntry("permissions", "Permit", "4", "permissions.screen:PermissionsScreen"),
        ScreenEntry("launch", "Launch", "5", "launch.screen:LaunchScreen"),
        ScreenEntry("outputs", "Outputs", "6", "outputs.screen:OutputsScreen"),
        ScreenEntry("logs", "Logs", "7", "logs.screen:LogsScreen"),
        ScreenEntry("accounts", "Who", "8", "accounts:AccountsScreen"),
        ScreenEntry("doctor", "Doctor", "9", "doctor:DoctorScreen"),
        ScreenEntry("chain", "Chain", "0", "chain.screen:ChainScreen"),
        ScreenEntry("cluster", "Kube", "-", "cluster.screen:ClusterScreen"),
    )
}
"""The screens by name, in the order of the header."""
