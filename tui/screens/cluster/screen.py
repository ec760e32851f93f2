"""The cluster screen: pods and WorkFlows as Kubernetes has them; y is YAML, l logs, as in k9s."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import DataTable

from c2d_box.workflow.names import JOBS_NAMESPACE
from tui.screens.cluster.reading import PodLogScreen, YamlScreen
from tui.screens.cluster.widgets import EventsPane, PodsPane, WorkflowsPane
from tui.widgets.base_screen import BoxScreen
from tui.widgets.live_table import LiveTable


class ClusterScreen(BoxScreen):
    """The cluster screen (key minus), for a look below the box's own terms: objects have the names that
    kubectl takes.
    """

    NAME = "cluster"
    CSS = """
    #pods { height: 2fr; }
    #flows, #happenings { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,y,d", "yaml", "YAML", id="cluster.yaml", key_display="y"),
        Binding("l", "logs", "Logs", id="cluster.logs"),
        Binding("e", "events", "Events", id="cluster.events"),
        # The base copies with y too; here y shows YAML, as in k9s, so only Y copies.
        Binding("Y,shift+y", "copy", "Copy", show=False, id="cluster.copy", key_display="Y"),
        Binding("c", "as_command", "As command", id="cluster.command"),
    ]

    def compose_body(self) -> ComposeResult:
        feeds = self.box_app.feeds
        with Vertical():
            yield PodsPane("Pods", feeds.pods, id="pods")
            yield WorkflowsPane("WorkFlows", feeds.workflows, id="flows")
            yield EventsPane("Events", feeds.happenings, id="happenings")

    def on_mount(self) -> None:
        """Begin with pods; events take the place of a third table only when asked for."""
        self.query_one("#happenings").display = False
        self.query_one("#pods").query_one(LiveTable).focus()

    def on_data_table_row_selected(self, _event: DataTable.RowSelected) -> None:
        """Show the YAML of the row's object."""
        self.action_yaml()

    def find_words(self, words: str) -> None:
        """Filter all three tables: a job's id is found among pods, WorkFlows and events at once."""
        super().find_words(words)
        for table in self.query(LiveTable):
            table.filter_rows(words)

    @property
    def pointed_object(self) -> tuple[str, str, str] | None:
        """Kind, namespace and name of the object under the cursor; None on an event, which is about another
        object.
        """
        table = self.active_table
        row = table.selected_row if table is not None else None
        if row is None or table is None or table.id == "happenings-table":
            return None
        if table.id == "flows-table":
            return "workflow", JOBS_NAMESPACE, row.key
        namespace, _, name = row.key.partition("/")
        return "pod", namespace, name

    def action_yaml(self) -> None:
        if self.pointed_object is not None:
            self.app.push_screen(YamlScreen(*self.pointed_object))

    def action_logs(self) -> None:
        """Show the pod's logs. A WorkFlow has none: its key is in no pod's table."""
        pod = (
            None
            if self.pointed_object is None
            else self.query_one(PodsPane).known.get("/".join(self.pointed_object[1:]))
        )
        if pod is not None:
            self.app.push_screen(PodLogScreen(pod))

    def action_events(self) -> None:
        """Show or hide the events. The focus goes along, since a hidden table would keep the keys."""
        pane = self.query_one("#happenings")
        pane.display = not pane.display
        (pane if pane.display else self.query_one("#pods")).query_one(LiveTable).focus()

    def action_as_command(self) -> None:
        if self.pointed_object is None:
            self.box_app.copy_command("pods")
            return
        kind, namespace, name = self.pointed_object
        self.box_app.copy_command(f"kubectl get {kind} {name} -n {namespace} -o yaml")
