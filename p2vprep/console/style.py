"""How the console is laid out. Nothing is told by colour alone: marks are letters, the cursor is a bar."""

from __future__ import annotations

CSS = """
Screen { layout: vertical; }
#title { height: 1; width: 100%; text-style: bold reverse; padding: 0 1; }
#status { height: 1; width: 100%; padding: 0 1; text-style: italic; }
#main { height: 1fr; }
#tabs { width: 1fr; height: 1fr; }
TabPane { padding: 0; }
Tabs:focus .-active { text-style: bold reverse; }
.filter { height: 1; width: 100%; }
DataTable { height: 1fr; scrollbar-size-horizontal: 0; }
DataTable > .datatable--cursor { text-style: bold reverse; }
#key-path, #folder { height: 1; width: 100%; padding: 0 1; text-style: bold; }
#keys { width: 2fr; height: 1fr; scrollbar-size-horizontal: 0; }
#keys > .tree--cursor { text-style: bold reverse; }
#values { width: 3fr; height: 1fr; border-left: ascii $foreground; }
#finding-view { padding: 0 1; }
#panel-title { height: 1; width: 100%; padding: 0 1; text-style: bold; }
#collected { height: 1fr; border: none; }
#collected > .option-list--option-highlighted { text-style: bold; }
.-wide #panel { width: 36; border-left: ascii $foreground; }
.-narrow #main { layout: vertical; }
.-narrow #panel { height: 5; width: 100%; border-top: ascii $foreground; }
ModalScreen { align: center middle; }
.dialog, .page { border: ascii $foreground; padding: 0 1; background: $surface; }
.dialog { width: 76; max-width: 100%; height: auto; max-height: 100%; }
.page { width: 100%; height: 100%; }
.dialog-title { width: 100%; text-style: bold; }
.dialog-text { height: auto; max-height: 12; }
.page-text { height: 1fr; }
.buttons { height: 1; width: 100%; margin-top: 1; }
.buttons Button { margin-right: 2; }
.buttons Button:focus { text-style: bold reverse; }
.hint { text-style: italic; }
#choices { height: auto; max-height: 8; border: none; }
#steps { height: 12; }
#data { height: 6; border: ascii $foreground; }
#fault { width: 100%; height: auto; text-style: bold; }
"""
