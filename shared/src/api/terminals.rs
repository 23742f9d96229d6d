//! Terminals: programs on a screen that outlive whoever looks at them.
//!
//! What a program prints is one long sequence of bytes, counted from 0; a place in it is an *offset*. The node leaves out what a viewer's terminal would answer or
//! act upon (queries, clipboard, window and keyboard-protocol sequences; the node itself answers queries), and never cuts a character or an escape sequence: every
//! announced offset lies between two of them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Done, Endpoint, Form, Needs, Scope, Spec};
use crate::{
    id::{TaskId, TerminalId},
    time::Millis,
};

/// Columns and rows of a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TerminalSize {
    /// Columns, 2 to 1000.
    pub cols: u16,
    /// Rows, 1 to 1000.
    pub rows: u16,
}

impl TerminalSize {
    /// The nearest size that a screen can have: a wide character must fit in.
    #[must_use]
    pub fn clamped(self) -> Self {
        Self { cols: self.cols.clamp(2, 1000), rows: self.rows.clamp(1, 1000) }
    }
}

impl Default for TerminalSize {
    fn default() -> Self {
        Self { cols: 80, rows: 24 }
    }
}

/// Opens a terminal and starts a program in it. It goes on until the program ends, somebody closes it, or the key that opened it is revoked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenTerminal {
    /// Program: a name on PATH or a path; the shell (`terminals.shell`, or the owner's) when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub command: Option<String>,
    /// Arguments, passed verbatim.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub args: Vec<String>,
    /// Working directory; the home directory when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cwd: Option<String>,
    /// Variables added to its environment.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub env: BTreeMap<String, String>,
    /// Columns; 80 when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cols: Option<u16>,
    /// Rows; 24 when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rows: Option<u16>,
    /// What people call it; the program's name when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
}
impl Endpoint for OpenTerminal {
    type Reply = TerminalInfo;
    const SPEC: Spec = Spec::post("terminals.open", "/api/v1/terminals", Needs::Scope(Scope::Terminal)).created();
}

/// A terminal, open or ended within the last hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TerminalInfo {
    /// Its id.
    pub id: TerminalId,
    /// What people call it.
    pub name: String,
    /// Program.
    pub command: String,
    /// Arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Working directory at the start.
    pub cwd: String,
    /// Process id of the program.
    pub pid: i32,
    /// The screen now.
    pub size: TerminalSize,
    /// When it was opened.
    pub created_at: Millis,
    /// When its program ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ended_at: Option<Millis>,
    /// How its program ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exit: Option<TerminalExit>,
    /// How many look at it.
    pub viewers: u32,
    /// The viewer whose window decides the size; none when nobody's does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size_owner: Option<u64>,
    /// Bytes printed so far.
    pub offset: u64,
    /// The title that the program gave it. Shown as text only: it may hold anything.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub title: Option<String>,
    /// The task whose agent runs in it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub task_id: Option<TaskId>,
    /// Who opened it: `admin`, or the peer's name.
    pub principal: String,
}

/// How the program of a terminal ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TerminalExit {
    /// Exit code; null when a signal ended it.
    pub exit_code: Option<i32>,
    /// The signal, such as `SIGHUP`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signal: Option<String>,
}

impl TerminalExit {
    /// What a shell would report: the code, or 128 plus the signal's number.
    pub fn shell_code(&self) -> i32 {
        super::execute::JobExit { exit_code: self.exit_code, signal: self.signal.clone(), ..Default::default() }.shell_code()
    }
}

/// Lists the terminals that are open, or ended within the last hour.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListTerminals {}
impl Endpoint for ListTerminals {
    type Reply = Terminals;
    const SPEC: Spec = Spec::get("terminals.list", "/api/v1/terminals", Needs::Scope(Scope::Terminal));
}

/// Terminals.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Terminals {
    /// Oldest first.
    pub terminals: Vec<TerminalInfo>,
}

/// Shows one terminal.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GetTerminal {
    /// The terminal.
    pub terminal_id: TerminalId,
}
impl Endpoint for GetTerminal {
    type Reply = TerminalInfo;
    const SPEC: Spec = Spec::get("terminals.get", "/api/v1/terminals/{terminalId}", Needs::Scope(Scope::Terminal));
}

/// Ends a terminal with everything that runs in it. One that has ended is forgotten.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloseTerminal {
    /// The terminal.
    pub terminal_id: TerminalId,
}
impl Endpoint for CloseTerminal {
    type Reply = Done;
    const SPEC: Spec = Spec::delete("terminals.close", "/api/v1/terminals/{terminalId}", Needs::Scope(Scope::Terminal));
}

/// Gives a terminal another size, whoever owns it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResizeTerminal {
    /// The terminal.
    pub terminal_id: TerminalId,
    /// Columns.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
}
impl Endpoint for ResizeTerminal {
    type Reply = TerminalInfo;
    const SPEC: Spec = Spec::post("terminals.resize", "/api/v1/terminals/{terminalId}/size", Needs::Scope(Scope::Terminal));
}

/// Reads the screen of a terminal as text, for programs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReadTerminal {
    /// The terminal.
    pub terminal_id: TerminalId,
    /// Lines above the screen to read as well; none when absent, `terminals.scrollback` at most.
    #[serde(default)]
    pub scrollback: u32,
}
impl Endpoint for ReadTerminal {
    type Reply = TerminalText;
    const SPEC: Spec = Spec::get("terminals.read", "/api/v1/terminals/{terminalId}/text", Needs::Scope(Scope::Terminal));
}

/// What a screen shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TerminalText {
    /// Lines without blanks at their ends, top to bottom: what was asked for of those above the screen, then the screen's.
    pub lines: Vec<String>,
    /// How many of the lines are above the screen.
    pub above: u32,
    /// Where the cursor is.
    pub cursor: TerminalCursor,
    /// The screen.
    pub size: TerminalSize,
    /// Bytes that this shows.
    pub offset: u64,
    /// The title that the program gave it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub title: Option<String>,
    /// Whether a full-screen program has the screen.
    pub alternate: bool,
}

/// A place on a screen, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TerminalCursor {
    /// From the left.
    pub col: u16,
    /// From the top.
    pub row: u16,
    /// Whether it shows.
    pub visible: bool,
}

/// Attaches to a terminal: a WebSocket. The request is an ordinary WebSocket handshake; a refusal is an ordinary answer.
///
/// **From the node.** Text frames are JSON, one of the frames below; binary frames are bytes for a terminal. The first frame is `hello`. Without `after`, or when
/// that offset is not kept any more, a `snapshot` follows: that many bytes of binary frames come next, which draw the whole state on a *fresh* terminal of that
/// size (clear yours first) and do not count as printed. Then come bytes as the program printed them, the first of them at the announced offset, each exactly once
/// and in order: the offset of a viewer is the announced one plus the lengths of the binary frames since. A viewer that falls further behind than the node keeps
/// gets a new `snapshot`, whose `lost` says how many bytes it did not see; the program never waits for a viewer. `exit` comes after the last byte, then the
/// WebSocket is closed. At the end of the node, or of the key, it is closed without `exit` (codes 1001 and 1008).
///
/// **To the node.** Binary frames are what is typed. Text frames are JSON: `{"resize":{"cols":80,"rows":24}}`, which counts only from the owner of the size, and
/// `{"claim":true}`, which makes this viewer the owner. Who attached with `readOnly` can do neither; what it sends is ignored.
///
/// **The size.** One viewer owns it: the first that could type, until it goes; then the size stays as it is until somebody claims it, or attaches with a size of its own.
/// Watching never resizes. A ping comes every 15 seconds; who does not answer for 45 is cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttachTerminal {
    /// The terminal.
    pub terminal_id: TerminalId,
    /// Goes on from this offset, without a snapshot.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<u64>,
    /// Only watches.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub read_only: bool,
    /// Takes the size over, also from another viewer.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub claim: bool,
    /// Columns of the viewer's window.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cols: Option<u16>,
    /// Rows of the viewer's window.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rows: Option<u16>,
    /// Lines above the screen in a snapshot; `terminals.scrollback` when absent, and at most.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scrollback: Option<u32>,
}
impl Endpoint for AttachTerminal {
    type Reply = FromTerminal;
    const SPEC: Spec = Spec::get("terminals.attach", "/api/v1/terminals/{terminalId}/attach", Needs::Scope(Scope::Terminal)).gives(Form::Socket);
}

/// A text frame from the node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum FromTerminal {
    /// First of all.
    Hello {
        /// The terminal as it is now.
        terminal: Box<TerminalInfo>,
        /// This viewer.
        viewer: u64,
        /// Whether this viewer only watches.
        read_only: bool,
        /// Whether this viewer owns the size.
        owner: bool,
        /// Bytes from this offset on follow; none when a snapshot does.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        offset: Option<u64>,
    },
    /// The whole state follows: `length` bytes of binary frames, then bytes from `offset` on.
    Snapshot {
        /// Where the bytes after the snapshot begin.
        offset: u64,
        /// Bytes of the snapshot.
        length: u64,
        /// The screen that it is for.
        size: TerminalSize,
        /// Bytes that were printed and that this viewer did not see.
        #[serde(default)]
        lost: u64,
    },
    /// What follows was printed on a screen of this size.
    Resize {
        /// The screen.
        size: TerminalSize,
    },
    /// Whether this viewer owns the size has changed.
    Owner {
        /// Whether it does now.
        owner: bool,
    },
    /// The program has ended, and everything that it printed was sent.
    Exit {
        /// How it ended.
        exit: TerminalExit,
        /// Bytes printed in all.
        offset: u64,
    },
}

/// A text frame to the node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToTerminal {
    /// The viewer's window has this size.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resize: Option<TerminalSize>,
    /// Makes this viewer the owner of the size, before `resize` is looked at.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub claim: bool,
}
