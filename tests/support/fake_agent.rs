//! An agent that does as a plan says: for what no real one does when it is asked to. It speaks what Claude Code speaks on standard input and output, as far as
//! that goes, and is a script for `sh`, so that it starts at once and needs nothing.
//!
//! Beside the program lies its plan, `NAME.plan`, a step in every line:
//!
//! | Step | What it does |
//! |---|---|
//! | `version TEXT` | what `NAME --version` says; no step of a run |
//! | `greet` | reads up to a request to initialise, and says yes to it |
//! | `prompt` | reads up to the next message of the person |
//! | `read TEXT` | reads up to a line that has this text in it |
//! | `say LINE` | writes the line as it is |
//! | `cat FILE` | writes a file as it is: many lines, as fast as they are taken |
//! | `half TEXT` | writes text without an end of line |
//! | `long BYTES` | writes a line of so many bytes |
//! | `complain TEXT` | writes a line to standard error |
//! | `ask ID MARKER LINE` | writes the line, which asks with the request id ID; reads up to the answer; makes the file MARKER if it is a yes, `MARKER.no` if it is not |
//! | `touch FILE` | makes a file |
//! | `child SECONDS` | starts a `sleep` that stays when the agent ends |
//! | `deaf` | ignores polite signals from now on |
//! | `listen` | reads until standard input ends |
//! | `hang` | does nothing, for ever |
//! | `exit CODE` | ends; without it the end of the plan is the end, with 0 |
//!
//! Reading ends the run with 0 when standard input ends, as real agents do. Every run keeps what it was started with and what it heard in a directory of its own,
//! `NAME.runs/PID`: `args` (one in a line), `env`, `heard`, and at the end of the plan `over`.

use std::{
    fmt::Write as _,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::Home;

const PROGRAM: &str = r#"#!/bin/sh
# Does as the plan beside it says, step by step. Part of the tests.
plan=$0.plan
if [ "$1" = --version ] || [ "$1" = -v ]; then
    sed -n 's/^version //p' "$plan"
    exit 0
fi
run=$0.runs/$$
mkdir -p "$run"
for arg; do printf '%s\n' "$arg"; done >"$run/args"
env >"$run/env"
: >"$run/heard"

# Reads up to a line that has a text in it, and leaves that in $line.
up_to() {
    while IFS= read -r line <&3; do
        printf '%s\n' "$line" >>"$run/heard"
        case $line in *"$1"*) return 0 ;; esac
    done
    exit 0
}

# The plan is read where standard input was, and that becomes 3.
exec 3<&0 <"$plan"
while IFS= read -r step; do
    word=${step%% *} rest=${step#* }
    case $word in
        '' | '#'* | version) ;;
        greet)
            up_to '"initialize"'
            id=${line#*'"request_id":"'}
            printf '{"type":"control_response","response":{"subtype":"success","request_id":"%s","response":{"commands":[],"models":[]}}}\n' "${id%%\"*}"
            ;;
        prompt) up_to '"type":"user"' ;;
        read) up_to "$rest" ;;
        say) printf '%s\n' "$rest" ;;
        cat) cat "$rest" ;;
        half) printf '%s' "$rest" ;;
        long) head -c "$rest" /dev/zero | tr '\0' x && echo ;;
        complain) printf '%s\n' "$rest" >&2 ;;
        ask)
            id=${rest%% *} rest=${rest#* }
            marker=${rest%% *} rest=${rest#* }
            printf '%s\n' "$rest"
            up_to "\"request_id\":\"$id\""
            case $line in
                *'"behavior":"allow"'*) : >"$marker" ;;
                *) : >"$marker.no" ;;
            esac
            ;;
        touch) : >"$rest" ;;
        child) sleep "$rest" 3<&- </dev/null >/dev/null 2>&1 & ;;
        deaf) trap '' TERM INT HUP ;;
        listen) cat <&3 >>"$run/heard" ;;
        hang) while :; do sleep 3600 3<&-; done ;;
        exit) exit "$rest" ;;
        *) echo "no step of a plan: $step" >&2 && exit 99 ;;
    esac
done
: >"$run/over"
"#;

/// The steps of a plan.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    steps: String,
    session: String,
    asks: usize,
}

impl Plan {
    /// A run that has begun as runs of Claude Code do: it was greeted, told a prompt, and has named its session.
    pub(crate) fn begun(session: &str) -> Self {
        let plan = Self::bare();
        let init = json!({
            "type": "system", "subtype": "init", "session_id": session, "cwd": "/", "model": "fake", "tools": ["Bash"],
            "permissionMode": "default", "mcp_servers": [], "slash_commands": [], "uuid": "00000000-0000-4000-8000-000000000000",
        });
        Self { session: session.to_owned(), ..plan }.step("greet").step("prompt").say(&init)
    }

    /// Nothing but a version.
    pub(crate) fn bare() -> Self {
        Self { steps: "version 2.1.329 (Claude Code)\n".to_owned(), session: "s".to_owned(), asks: 0 }
    }

    /// Another version.
    pub(crate) fn version(mut self, text: &str) -> Self {
        let rest = self.steps.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        self.steps = format!("version {text}\n{rest}");
        self
    }

    /// One step, as the table has it.
    pub(crate) fn step(mut self, step: &str) -> Self {
        assert!(!step.contains('\n'), "a step is one line: {step}");
        writeln!(self.steps, "{step}").unwrap();
        self
    }

    /// Says a line of JSON.
    pub(crate) fn say(self, line: &Value) -> Self {
        self.step(&format!("say {line}"))
    }

    /// Says a text as the agent's.
    pub(crate) fn text(self, text: &str) -> Self {
        let line = text_line(&self.session, text);
        self.say(&line)
    }

    /// Asks whether it may run a command. The file `marker` then tells a yes; `marker` with `.no` another answer. The request id is `ask-N`, N from 1 on.
    pub(crate) fn ask(mut self, command: &str, marker: &Path) -> Self {
        self.asks += 1;
        let id = format!("ask-{}", self.asks);
        let request = json!({
            "subtype": "can_use_tool", "tool_name": "Bash", "display_name": "Bash", "tool_use_id": format!("toolu_{id}"),
            "input": { "command": command, "description": "Run a command" }, "permission_suggestions": [],
        });
        let line = json!({ "type": "control_request", "request_id": id, "request": request });
        let marker = marker.to_str().expect("UTF-8");
        assert!(!marker.contains(' '), "no spaces: {marker}");
        self.step(&format!("ask {id} {marker} {line}"))
    }

    /// Says that the turn is over.
    pub(crate) fn result(self, text: &str) -> Self {
        let line = json!({
            "type": "result", "subtype": "success", "is_error": false, "result": text, "session_id": self.session, "num_turns": 1, "duration_ms": 5,
            "total_cost_usd": 0.01, "usage": { "input_tokens": 10, "output_tokens": 5 }, "uuid": "00000000-0000-4000-8000-000000000001",
        });
        self.say(&line)
    }

    /// Says so many texts, `text 1` to `text N`, as fast as they are taken. They lie in a file in the home.
    pub(crate) fn texts(self, count: usize, home: &Home) -> Self {
        let mut lines = String::new();
        for number in 1..=count {
            writeln!(lines, "{}", text_line(&self.session, &format!("text {number}"))).unwrap();
        }
        let file = home.root().join(format!("texts-{}", super::unique()));
        std::fs::write(&file, lines).unwrap();
        self.step(&format!("cat {}", file.display()))
    }
}

fn text_line(session: &str, text: &str) -> Value {
    let message = json!({ "id": "msg_1", "type": "message", "role": "assistant", "model": "fake", "content": [{ "type": "text", "text": text }] });
    json!({ "type": "assistant", "message": message, "parent_tool_use_id": null, "session_id": session })
}

/// The program where it was put.
#[derive(Debug)]
pub(crate) struct FakeAgent {
    program: PathBuf,
}

impl FakeAgent {
    /// Puts it into a home as `name`, before anything else of that name. Before the daemon of the home starts.
    pub(crate) fn install(home: &mut Home, name: &str, plan: &Plan) -> Self {
        let bin = home.root().join("fakes");
        std::fs::create_dir_all(&bin).unwrap();
        let program = bin.join(name);
        // Renamed into its place, so that nobody runs it while it is open.
        let new = bin.join(format!(".{name}.new"));
        std::fs::write(&new, PROGRAM).unwrap();
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(&new, &program).unwrap();
        home.add_programs(bin);
        let fake = Self { program };
        fake.plan(plan);
        fake
    }

    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// Gives it another plan, for the runs that begin from now on.
    pub(crate) fn plan(&self, plan: &Plan) {
        let (path, new) = (self.beside("plan"), self.beside("plan.new"));
        std::fs::write(&new, &plan.steps).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    /// The runs so far, in no order.
    pub(crate) fn runs(&self) -> Vec<FakeRun> {
        let entries = std::fs::read_dir(self.beside("runs")).into_iter().flatten().flatten();
        entries.map(|entry| FakeRun { directory: entry.path() }).collect()
    }

    fn beside(&self, ending: &str) -> PathBuf {
        PathBuf::from(format!("{}.{ending}", self.program.display()))
    }
}

/// One run of it.
#[derive(Debug)]
pub(crate) struct FakeRun {
    directory: PathBuf,
}

impl FakeRun {
    pub(crate) fn pid(&self) -> u32 {
        self.directory.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok()).expect("a process id")
    }

    /// What it was started with, without its own name.
    pub(crate) fn args(&self) -> Vec<String> {
        self.lines("args")
    }

    /// The variables it was started with.
    pub(crate) fn environment(&self) -> Vec<String> {
        self.lines("env")
    }

    /// The lines that it has read.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.lines("heard")
    }

    /// Whether it came to the end of its plan.
    pub(crate) fn is_over(&self) -> bool {
        self.directory.join("over").exists()
    }

    fn lines(&self, name: &str) -> Vec<String> {
        std::fs::read_to_string(self.directory.join(name)).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}
