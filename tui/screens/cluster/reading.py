"""Screens that show one Kubernetes object: its YAML, or its containers' logs, live."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tui.live.log_stream import LinesReceived, LineStream
from tui.widgets.base_screen import BoxScreen
from tui.widgets.log_view import LogView
from tui.widgets.pane import Pane

if TYPE_CHECKING:
    from sandbox.verbs.inspection.pods import PodSummary


class TextPane(Pane):
    """A text that can be searched and scrolled; the scroll position stays while the text changes. Unlike a
    log it is replaced as a whole with each answer."""

    def compose_body(self) -> ComposeResult:
        yield LogView(id="text")

    def on_mount(self) -> None:
        """Begin at the top and not at the end, as of a log: YAML is read from its beginning."""
        view = self.query_one(LogView)
        view.following = False
        view.focus()

    def show_value(self, value: str) -> None:
        """Replace the text and keep the scroll position and the match: the object is read again every few
        seconds.
        """
        view = self.query_one(LogView)
        place, found = view.scroll_offset.y, view.found
        view.clear_lines()
        # Set before the lines: it decides whether lines without the words are shown.
        view.found = found
        view.extend_lines(value.splitlines())
        view.following = False
        view.scroll_to(y=place, animate=False)


class YamlScreen(BoxScreen):
    """The YAML of an object as Kubernetes has it now, read again every three seconds while it is shown."""

    NAME = "cluster"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("c", "as_command", "As command", id="yaml.command")]

    def __init__(self, kind: str, namespace: str, name: str) -> None:
        super().__init__()
        self.kind, self.namespace, self.object = kind, namespace, name

    def compose_body(self) -> ComposeResult:
        source, what = self.box_app.source, (self.kind, self.namespace, self.object)
        feed = self.box_app.feeds.make_feed("yaml", lambda: source.describe_object(*what), 3.0)
        yield TextPane(f"{self.kind} {self.object}", feed, id="yaml")

    def find_words(self, words: str) -> None:
        """Show only lines with the words; n and N then visit them among all lines."""
        self.query_one(LogView).filter_lines(words)

    def leave_filter(self) -> None:
        self.query_one(LogView).focus()

    def copied_text(self) -> str:
        """Return all lines that pass the filter, and not only those on the screen: an object is read as a
        whole.
        """
        return "\n".join(self.query_one(LogView).shown_lines)

    def action_as_command(self) -> None:
        """Copy the kubectl command; ``c2d-box kubectl`` finds the box's own cluster by itself."""
        self.box_app.copy_command(f"kubectl get {self.kind} {self.object} -n {self.namespace} -o yaml")


class ContainerLogs(Pane):
    """The logs of several containers in one stream, each line named; lines stay when their pod is deleted."""

    def __init__(self, title: str, id: str | None = None) -> None:
        super().__init__(title, id=id)
        # Streams by namespace, pod and container; a stream that ended stays listed, so that it is not read
        # twice.
        self._streams: dict[tuple[str, str, str], LineStream] = {}
        self._ended: set[str] = set()
        self._failed: set[str] = set()

    def compose_body(self) -> ComposeResult:
        yield LogView(id="container-log")

    def follow_pod(self, pod: PodSummary) -> None:
        """Stream the containers of ``pod``; a container that is being streamed, or was, is not
        started again.
        """
        for container in pod.containers:
            # Pods of one job have different names, but containers of the same name.
            key = (pod.namespace, pod.name, container)
            if key not in self._streams:
                self._ended.discard("/".join(key))
                self._streams[key] = self._open_stream(key).start_reading()

    def _open_stream(self, key: tuple[str, str, str]) -> LineStream:
        """Make the stream of one container; each line gets the container's name in front, in a column of its
        own.
        """
        source = self.box_app.source
        return LineStream(
            "/".join(key), lambda: source.follow_container(*key), self, prefix=f"{key[2]:<14.14} "
        )

    @property
    def is_streaming(self) -> bool:
        """True once a container has a stream, running or ended."""
        return bool(self._streams)

    def retry_streams(self) -> None:
        """Forget streams that failed, so that ``follow_pod`` starts them again: their containers may have
        started meanwhile. Streams that were read to their end are kept, so they are not read twice.
        """
        failed = [key for key in self._streams if "/".join(key) in self._failed]
        self._failed.clear()
        for key in failed:
            del self._streams[key]

    @property
    def is_reading(self) -> bool:
        """True while a stream may still deliver lines."""
        return any("/".join(key) not in self._ended for key in self._streams)

    def on_lines_received(self, event: LinesReceived) -> None:
        """Show lines of any of the streams. They arrive in the order in which the readers' threads got them:
        times are not compared.
        """
        if event.over:
            self._ended.add(event.name)
        # A stream that failed may be opened again; one that was read to its end may not.
        if event.problem:
            self._failed.add(event.name)
        self.query_one(LogView).extend_lines(event.lines)

    def on_log_view_moved(self) -> None:
        """Tell the number of lines and whether the view follows, in the frame below."""
        view = self.query_one(LogView)
        self.set_remark(f"{len(view.shown_lines)} lines · {view.frame_text}")

    def on_unmount(self) -> None:
        """Stop delivering; the readers themselves end with their connections."""
        for stream in self._streams.values():
            stream.stop_reading()


class PodLogScreen(BoxScreen):
    """The logs of all containers of a pod, from their beginning and live while they run."""

    NAME = "cluster"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("c", "as_command", "As command", id="podlog.command")]

    def __init__(self, pod: PodSummary) -> None:
        super().__init__()
        self.pod = pod

    def compose_body(self) -> ComposeResult:
        yield ContainerLogs(f"Logs of {self.pod.name}", id="pod-logs")

    def on_mount(self) -> None:
        """Follow the pod. It is not read again: its containers are fixed when Kubernetes creates it."""
        self.query_one(ContainerLogs).follow_pod(self.pod)
        self.query_one(LogView).focus()

    def find_words(self, words: str) -> None:
        self.query_one(LogView).filter_lines(words)

    def leave_filter(self) -> None:
        self.query_one(LogView).focus()

    def copied_text(self) -> str:
        """Return the lines on the screen: all of a log could be megabytes."""
        return self.query_one(LogView).visible_text()

    def action_as_command(self) -> None:
        pod = self.pod
        self.box_app.copy_command(f"kubectl logs {pod.name} -n {pod.namespace} --all-containers -f")
