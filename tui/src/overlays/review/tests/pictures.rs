//! How it looks.

use insta::assert_snapshot;

use super::*;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (40, 12)];

fn pictures(name: &str, approval: &Value, steps: &[Do]) {
    for (columns, rows) in SIZES {
        let mut desk = Desk::only(approval.clone());
        desk.size = (columns, rows);
        desk = desk.open();
        desk.run(steps);
        assert_snapshot!(format!("{name}_{columns}x{rows}"), desk.harness.screen(columns, rows));
    }
}

fn edit() -> Value {
    let lines = |from: usize, count: usize| (from..from + count).map(|line| format!("     let line_{line} = {line};\n")).collect::<String>();
    let diff = format!(
        "--- a/src/lib.rs\n+++ b/src/lib.rs\n@@ -40,6 +40,9 @@ impl Config\n     pub fn limit(&self) -> usize {{\n-        self.cfg.max_concurrent\n+        match std::env::var(\"LOOPSY_MAX\") {{\n+            Ok(v) => v.parse().unwrap_or(self.cfg.max_concurrent),\n+            Err(_) => self.cfg.max_concurrent,\n+        }}\n     }}\n \n     // \u{202e}evil\n-\told  \n+\tnew and a much longer line that does not fit into any half of a screen, and so has to be broken somewhere between its words\n@@ -80,24 +83,25 @@\n{}+added\n",
        lines(80, 24)
    );
    with(json!({
        "tool": "Edit", "diff": diff, "flags": ["1 bidirectional control character"], "mayEdit": false, "suggestions": [],
        "input": { "file_path": "src/lib.rs", "old_string": "x", "new_string": "y", "replace_all": false },
        "paths": [{ "path": "src/lib.rs", "resolved": "/home/leo/other/src/lib.rs", "exists": true, "inside": false }],
    }))
}

pub(super) fn question() -> Value {
    with(json!({
        "kind": "question", "tool": "AskUserQuestion", "flags": [], "paths": [], "suggestions": [], "input": { "questions": 3 }, "mayEdit": false,
        "questions": [
            { "id": "db", "header": "Database", "question": "Which database?", "options": [{ "label": "Postgres", "description": "as in production" }, { "label": "SQLite" }] },
            { "id": "os", "question": "Which systems?", "options": [{ "label": "Linux" }, { "label": "macOS" }], "multiple": true },
            { "id": "why", "question": "What for?" },
        ],
    }))
}

#[test]
fn a_command() {
    pictures("bash", &first(), &[]);
    pictures(
        "always",
        &first(),
        &[Do::Key("pagedown"), Do::Key("pagedown"), Do::Key("pagedown"), Do::Wait(400), Do::Key("w"), Do::Wait(500), Do::Key("1"), Do::Wait(500)],
    );
}

#[test]
fn a_change_of_a_file() {
    pictures("edit", &edit(), &[Do::Key("o"), Do::Key("]"), Do::Key("]")]);
}

#[test]
fn a_tool_of_a_server() {
    let mcp = with(json!({
        "tool": "mcp__github__create_issue", "flags": ["network"], "suggestions": [],
        "input": { "title": "Crash", "labels": ["bug", "p1"], "body": "It\n\tcrashes  \n" },
    }));
    pictures("mcp", &mcp, &[]);
    pictures("raw", &mcp, &[Do::Key("v")]);
}

#[test]
fn questions() {
    pictures("question", &question(), &[Do::Key("2"), Do::Wait(31), Do::Key("1"), Do::Wait(31), Do::Key("2"), Do::Wait(31)]);
}

#[test]
fn hostile() {
    let evil = "\u{1b}[2J\u{1b}]0;x\u{7}\u{202e}\r\u{9b}31mok\u{200b}\u{a0}\u{e0041}\u{2800}⚠\u{fe0f}界";
    let hostile = with(json!({
        "tool": format!("Bash{evil}"), "agent": format!("claude{evil}"), "node": format!("leo{evil}"), "cwd": evil, "description": evil, "reason": evil, "flags": [evil],
        "rule": evil, "input": { "command": format!("ls\ncwd       /home/leo\n↪ more\n{evil}"), evil: { evil: evil } },
        "paths": [{ "path": evil, "resolved": evil, "exists": false, "inside": true }], "suggestions": [{ "label": evil, "rule": { evil: evil } }], "defaultToNo": true,
    }));
    pictures("hostile", &hostile, &[]);
}

#[test]
fn long_inputs() {
    pictures("long", &long(), &[Do::Key("a"), Do::Wait(30)]);
}

#[test]
fn answered() {
    for (columns, rows) in SIZES {
        let mut desk = Desk::new(typical()).open();
        desk.size = (columns, rows);
        desk.run(&[Do::Size(columns, rows), Do::Wait(400), Do::Key("d"), Do::Wait(30)]);
        desk.answer("DecideApproval", Ok(Answer::DecideApproval(decided(first(), "denied", "admin"))));
        assert_snapshot!(format!("answered_{columns}x{rows}"), desk.harness.screen(columns, rows));
    }
}

#[test]
fn only_ascii() {
    let mut desk = Desk::only(with(json!({ "input": { "command": format!("x\ty {} ", "long words ".repeat(20)) } })));
    desk.harness.app.look.ascii = true;
    desk = desk.open();
    let text = desk.text();
    assert!(text.lines().take(22).all(str::is_ascii), "{text}");
    assert!(text.contains(".. ") && text.contains("\\u{9}") && text.contains("\\u{20}"), "{text}");
}

/// Whatever the size, it is drawn.
#[test]
fn any_size() {
    let mut desk = Desk::only(edit()).open();
    for (columns, rows) in [(40, 10), (59, 11), (61, 17), (300, 100), (41, 60), (500, 10)] {
        desk.run(&[Do::Size(columns, rows), Do::Key("o"), Do::Key("v")]);
    }
}
