//! The rows, place by place. `scope, command, keys, footer, help`.

use super::{Command as C, Row, Scope, Scope::*};
use crate::tabs::TabId;

pub(super) const ROWS: &[&[Row]] =
    &[OVERVIEW, PEERS, CONTEXT, MESSAGES, TASKS, TERMINAL, PAIRING, COMPARE, REVIEW, SEARCH, SELECTION, INPUT, BOX, OUTPUT, RIGHTS, EVERYWHERE];

const OVERVIEW_TAB: Scope = Tab(TabId::Overview);
const OVERVIEW: &[Row] = &[
    (OVERVIEW_TAB, C::Open, "enter", "open", "Open what is selected: a node's details, an approval, a task"),
    (OVERVIEW_TAB, C::New, "n", "new task", "Give a task to an agent on the selected node"),
    (OVERVIEW_TAB, C::Message, "m", "message", "Write a message to the selected node"),
    (OVERVIEW_TAB, C::Shell, "t", "terminal", "Open a terminal on the selected node"),
    (OVERVIEW_TAB, C::Pair, "P", "pair", "Pair with another machine"),
];

const PEERS_TAB: Scope = Tab(TabId::Peers);
const PEERS: &[Row] = &[
    (PEERS_TAB, C::Open, "enter", "details", "Show all that is known of the peer"),
    (PEERS_TAB, C::Refresh, "r", "retry", "Try to reach the peer now"),
    (PEERS_TAB, C::New, "n", "add", "Add a peer by its address"),
    (PEERS_TAB, C::Pair, "P", "pair", "Pair with another machine"),
    (PEERS_TAB, C::Stop, "x", "remove", "Remove the peer (asks for its name)"),
    (PEERS_TAB, C::Run, "e", "exec", "Run a command on the peer"),
    (PEERS_TAB, C::Send, "s", "send", "Send a file or folder to the peer"),
    (PEERS_TAB, C::Pull, "p", "pull", "Get a file or folder from the peer"),
    (PEERS_TAB, C::Shell, "t", "terminal", "Open a terminal on the peer"),
    (PEERS_TAB, C::Rights, "R", "rights", "Change what the peer may do here"),
    (PEERS_TAB, C::Diagnose, "c", "check", "Try the way to the peer, step by step"),
    (PEERS_TAB, C::Message, "m", "", "Write a message to the peer"),
    (PEERS_TAB, C::Copy, "y", "copy", "Copy the peer's address"),
    (PEERS_TAB, C::CopyOther, "Y", "", "Copy the peer's node id"),
];

const CONTEXT_TAB: Scope = Tab(TabId::Context);
const CONTEXT: &[Row] = &[
    (CONTEXT_TAB, C::Open, "enter", "view", "Read the value"),
    (CONTEXT_TAB, C::New, "n", "set", "Set a key"),
    (CONTEXT_TAB, C::Edit, "e", "edit", "Change the value in your editor"),
    (CONTEXT_TAB, C::Copy, "y", "copy", "Copy the value"),
    (CONTEXT_TAB, C::CopyOther, "Y", "", "Copy the key"),
    (CONTEXT_TAB, C::Broadcast, "B", "broadcast", "Set this key on every peer that is online"),
    (CONTEXT_TAB, C::Stop, "x", "delete", "Delete the key (asks)"),
    (CONTEXT_TAB, C::View, "v", "raw/json/hex", "Show the value raw, as JSON, as hex"),
    (CONTEXT_TAB, C::Ttl, "t", "ttl", "Change when the key expires"),
    (CONTEXT_TAB, C::Left, "h left", "", "The node before: keys are each node's own"),
    (CONTEXT_TAB, C::Right, "l right", "other nodes", "The next node: keys are each node's own"),
    (CONTEXT_TAB, C::Refresh, "r", "", "Read a peer's keys again"),
    (CONTEXT_TAB, C::Export, "X", "", "Write the keys that are shown to a file"),
    (CONTEXT_TAB, C::Import, "I", "", "Read keys from a file"),
];

const MESSAGES_TAB: Scope = Tab(TabId::Messages);
const MESSAGES: &[Row] = &[
    (MESSAGES_TAB, C::Open, "enter", "read", "Read the thread"),
    (MESSAGES_TAB, C::Type, "i", "write", "Write to this node"),
    (MESSAGES_TAB, C::New, "n", "new", "Write to another node"),
    (MESSAGES_TAB, C::Mark, "space", "ack", "Acknowledge the message"),
    (MESSAGES_TAB, C::Reply, "R", "reply", "Reply to the message"),
    (MESSAGES_TAB, C::Unread, "u", "unread", "Show only threads with something unread"),
    (MESSAGES_TAB, C::Copy, "y", "copy", "Copy the message"),
    (MESSAGES_TAB, C::Envelope, "E", "raw", "Show the message as it travelled"),
    (MESSAGES_TAB, C::Refresh, "r", "", "Send the message again that was not delivered"),
];

const TASKS_TAB: Scope = Tab(TabId::Tasks);
const TASKS: &[Row] = &[
    (TASKS_TAB, C::Open, "enter", "focus", "Go into the task's pane"),
    (TASKS_TAB, C::Type, "i", "type", "Type to the agent; Ctrl-] comes back"),
    (TASKS_TAB, C::View, "v", "screen/log", "Show the agent's screen, or the log of the task"),
    (TASKS_TAB, C::New, "n", "new", "Give a task to an agent on any node"),
    (TASKS_TAB, C::Stop, "x", "stop", "Stop the task (asks)"),
    (TASKS_TAB, C::Pair, "c", "interrupt", "Interrupt the agent; it keeps its session"),
    (TASKS_TAB, C::Resume, "u", "resume", "Go on with the session of a task that ended"),
    (TASKS_TAB, C::Delete, "X", "", "Delete a task that has ended, with its log (asks)"),
    (TASKS_TAB, C::Zoom, "z", "zoom", "Let the pane have the whole screen"),
    (TASKS_TAB, C::Copy, "y", "copy", "Copy the line or the selection"),
    (TASKS_TAB, C::CopyOther, "Y", "", "Copy the id of the task"),
    (TASKS_TAB, C::Fit, "=", "", "Give the agent's screen the size of the pane"),
];

const TERMINAL_TAB: Scope = Tab(TabId::Terminal);
const TERMINAL: &[Row] = &[
    (TERMINAL_TAB, C::Type, "i enter", "type", "Type into the terminal; Ctrl-] comes back"),
    (TERMINAL_TAB, C::New, "t", "new", "Open a terminal on any node"),
    (TERMINAL_TAB, C::Stop, "x", "close", "End the terminal and what runs in it (asks)"),
    (TERMINAL_TAB, C::Select, "v", "select", "Select text in the pane"),
    (TERMINAL_TAB, C::Copy, "y", "copy", "Copy the line or the selection"),
    (TERMINAL_TAB, C::Fit, "=", "fit", "Give the terminal the size of the pane"),
    (TERMINAL_TAB, C::Zoom, "z", "zoom", "Let the pane have the whole screen"),
    (TERMINAL_TAB, C::Older, "O", "", "Read older lines of the terminal from its node"),
    (TERMINAL_TAB, C::Leave, "ctrl-] f12", "", "Send one Ctrl-] to the program and type on"),
    (TERMINAL_TAB, C::Refresh, "r", "", "Look for terminals on the peers"),
];

const PAIRING_TAB: Scope = Tab(TabId::Pairing);
const PAIRING: &[Row] = &[
    (PAIRING_TAB, C::New, "n", "invite", "Make an invite code for another machine"),
    (PAIRING_TAB, C::Join, "e", "enter a code", "Enter the code that another machine shows"),
    (PAIRING_TAB, C::Copy, "y", "copy command", "Copy the command for the other machine"),
    (PAIRING_TAB, C::Stop, "x", "cancel", "Cancel the invite"),
    (PAIRING_TAB, C::Rights, "R", "", "Choose what the other machine may do here"),
];

const COMPARE: &[Row] = &[
    (Compare, C::Same, "m", "they match", "Both screens show the same: pair"),
    (Compare, C::Different, "x", "they differ", "They differ, or you are not sure: nothing is stored"),
    (Compare, C::Words, "e", "words", "Show the same as words"),
    (Compare, C::Type, "i", "type the digits", "Type the digits that the other screen shows, where the config asks for that"),
    (Compare, C::Copy, "y", "copy", "Copy the digits"),
];

const REVIEW: &[Row] = &[
    (Review, C::Allow, "a", "approve", "Allow this, once"),
    (Review, C::AllowUnread, "A", "", "Allow what was not all read, after `a` has said how much that is"),
    (Review, C::Deny, "d", "deny", "Deny it"),
    (Review, C::DenyReason, "D", "reason", "Deny it and tell the agent why"),
    (Review, C::Always, "w", "always", "Allow it and keep a rule, which is shown first"),
    (Review, C::Later, "s", "later", "Leave it for later and show the next"),
    (Review, C::NextItem, "tab", "next", "Show the next"),
    (Review, C::Back, "esc q", "close", "Close; what is not answered waits on"),
    (Review, C::DenyStop, "S", "stop", "Deny it and stop the task"),
    (Review, C::Edit, "e", "edit", "Change the input in your editor, then allow that"),
    (Review, C::Choose, "1 2 3 4 5 6 7 8 9", "", "Choose an answer or a rule"),
    (Review, C::Type, "i", "", "Type an answer"),
    (Review, C::NextHunk, "]", "", "The next change of the diff"),
    (Review, C::PreviousHunk, "[", "", "The change before"),
    (Review, C::SideBySide, "o", "", "Old and new side by side, where there is room"),
    (Review, C::View, "v", "raw", "Show the input as the agent sent it"),
    (Review, C::Copy, "y", "copy", "Copy the input"),
    (Review, C::Refresh, "r", "", "Send an answer again that was not confirmed"),
    (Review, C::Down, "j down", "", "Down"),
    (Review, C::Up, "k up", "", "Up"),
    (Review, C::Top, "g home", "", "To the top"),
    (Review, C::End, "G end", "", "To the end"),
    (Review, C::PageDown, "pagedown ctrl-f", "", "A page down"),
    (Review, C::PageUp, "pageup ctrl-b", "", "A page up"),
    (Review, C::HalfDown, "ctrl-d", "", "Half a page down"),
    (Review, C::HalfUp, "ctrl-u", "", "Half a page up"),
    (Review, C::Help, "?", "", "Show the keys of this place"),
    (Review, C::Interrupt, "ctrl-c", "", "Twice: quit"),
];

const SEARCH: &[Row] = &[(Search, C::NextHit, "n", "next hit", "The next hit"), (Search, C::PreviousHit, "N", "", "The hit before")];

const SELECTION: &[Row] = &[
    (Selection, C::Copy, "y enter", "copy", "Copy what is selected"),
    (Selection, C::Select, "v", "characters", "Select characters"),
    (Selection, C::SelectLines, "V", "lines", "Select lines"),
    (Selection, C::SelectBlock, "ctrl-v", "block", "Select a block"),
    (Selection, C::WordNext, "w", "", "The next word"),
    (Selection, C::WordPrevious, "b", "", "The word before"),
    (Selection, C::LineStart, "0", "", "The start of the line"),
    (Selection, C::LineEnd, "$", "", "The end of the line"),
    (Selection, C::Left, "h left", "", "Left"),
    (Selection, C::Right, "l right", "", "Right"),
    (Selection, C::Back, "esc q", "leave", "Select nothing"),
];

const INPUT: &[Row] = &[(Input, C::Leave, "ctrl-] f12", "leave", "Leave the program: keys drive Loopsy again; twice sends one to the program")];

const BOX: &[Row] = &[(Box, C::Open, "enter", "", "Take what is selected"), (Box, C::Back, "esc q", "close", "Close"), (Box, C::Copy, "y", "", "Copy")];

const OUTPUT: &[Row] = &[
    (Output, C::Back, "esc q enter", "close", "Close the box; a command that runs goes on, and its end is told"),
    (Output, C::Stop, "ctrl-c", "end the command", "End the command"),
    (Output, C::Copy, "y", "copy", "Copy what was printed, as far as it is kept"),
    (Output, C::Down, "j down", "scroll", "Down"),
    (Output, C::Up, "k up", "", "Up"),
    (Output, C::End, "G end", "newest", "To the end, and follow what comes"),
    (Output, C::Top, "g home", "", "To the first line that is kept"),
    (Output, C::PageDown, "pagedown ctrl-f", "", "A page down"),
    (Output, C::PageUp, "pageup ctrl-b", "", "A page up"),
    (Output, C::HalfDown, "ctrl-d", "", "Half a page down"),
    (Output, C::HalfUp, "ctrl-u", "", "Half a page up"),
];

const RIGHTS: &[Row] = &[
    (Rights, C::Mark, "space", "change", "Give the right, or take it away"),
    (Rights, C::Open, "enter", "keep", "Keep what is chosen; what the peer does at the moment with other rights ends"),
    (Rights, C::Back, "esc q", "leave", "Leave everything as it was"),
    (Rights, C::Down, "j down", "", "Down"),
    (Rights, C::Up, "k up", "", "Up"),
    (Rights, C::Top, "g home", "", "To the top"),
    (Rights, C::End, "G end", "", "To the end"),
];

const EVERYWHERE: &[Row] = &[
    (Everywhere, C::Approvals, "!", "approvals", "Review what agents ask, the oldest first"),
    (Everywhere, C::Filter, "/", "filter", "Filter the list, or search in the pane"),
    (Everywhere, C::Palette, ":", "command", "Find a command by its name"),
    (Everywhere, C::Help, "?", "help", "Show the keys of this place"),
    (Everywhere, C::Go(TabId::Overview), "1", "", "Overview: all nodes, and what needs you"),
    (Everywhere, C::Go(TabId::Peers), "2", "", "Peers"),
    (Everywhere, C::Go(TabId::Context), "3", "", "Context: values that machines and agents share"),
    (Everywhere, C::Go(TabId::Messages), "4", "", "Messages between machines"),
    (Everywhere, C::Go(TabId::Tasks), "5", "", "AI tasks of all nodes"),
    (Everywhere, C::Go(TabId::Terminal), "6", "", "Terminals of all nodes"),
    (Everywhere, C::Go(TabId::Pairing), "7", "", "Pairing"),
    (Everywhere, C::NextPane, "tab", "", "The next pane"),
    (Everywhere, C::PreviousPane, "shift-tab", "", "The pane before"),
    (Everywhere, C::Down, "j down", "", "Down"),
    (Everywhere, C::Up, "k up", "", "Up"),
    (Everywhere, C::Left, "h left", "", "Left"),
    (Everywhere, C::Right, "l right", "", "Right"),
    (Everywhere, C::Top, "g home", "", "To the top"),
    (Everywhere, C::End, "G end", "", "To the end"),
    (Everywhere, C::PageDown, "pagedown ctrl-f", "", "A page down"),
    (Everywhere, C::PageUp, "pageup ctrl-b", "", "A page up"),
    (Everywhere, C::HalfDown, "ctrl-d", "", "Half a page down"),
    (Everywhere, C::HalfUp, "ctrl-u", "", "Half a page up"),
    (Everywhere, C::Sort, "o", "", "Sort by the next column"),
    (Everywhere, C::Back, "esc q", "", "Close, clear the filter, leave the zoom"),
    (Everywhere, C::Refresh, "r", "", "Try again, or read anew"),
    (Everywhere, C::Mouse, "M", "", "Switch the mouse on or off"),
    (Everywhere, C::Themes, "T", "", "Choose a theme"),
    (Everywhere, C::History, "N", "", "Show past messages of Loopsy"),
    (Everywhere, C::StartDaemon, "S", "", "Start the daemon of this machine, when it does not run"),
    (Everywhere, C::Repaint, "ctrl-l", "", "Draw everything anew"),
    (Everywhere, C::Suspend, "ctrl-z", "", "Stop Loopsy like any program; `fg` comes back"),
    (Everywhere, C::Interrupt, "ctrl-c", "", "Twice: quit"),
    (Everywhere, C::Quit, "Q", "quit", "Quit; tasks and terminals go on"),
];
