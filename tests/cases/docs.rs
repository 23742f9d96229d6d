//! The documents that are generated say what the program says.

use std::path::Path;

use crate::support::Home;

fn is_current(document: &str, file: &str) {
    let home = Home::bare("docs");
    let generated = home.loopsy(&["docs", document]).ok();
    assert!(generated.out.len() > 1000, "there is next to nothing in it");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(file);
    let written = std::fs::read(&path).unwrap_or_default();
    assert!(written == generated.out, "docs/{file} is missing or out of date. Make it anew: cargo run -q -- docs {document} > docs/{file}");
}

#[test]
fn cli_md_is_what_the_command_line_says() {
    is_current("cli", "CLI.md");
}

#[test]
fn api_md_is_what_the_types_say() {
    is_current("api", "API.md");
}

#[test]
fn keys_md_is_what_the_key_table_says() {
    is_current("keys", "KEYS.md");
}

#[test]
fn documents_do_not_depend_on_the_terminal() {
    let home = Home::bare("docs");
    for document in ["cli", "api", "keys"] {
        let plain = home.loopsy(&["docs", document]).ok().out;
        let mut narrow = home.command(&["docs", document]);
        narrow.env("COLUMNS", "40").env("CLICOLOR_FORCE", "1").env("LOOPSY_DATA_DIR", "/nowhere");
        assert!(plain == narrow.output().unwrap().stdout, "{document}");
    }
}

#[test]
fn every_command_has_help_and_a_completion() {
    let home = Home::bare("docs");
    let text = home.loopsy(&["docs", "cli"]).ok().text();
    for command in ["init", "start", "stop", "status", "doctor", "peers", "connect", "exec", "send", "pull", "context", "key", "logs", "jobs", "transfers"] {
        assert!(text.contains(&format!("loopsy {command}")), "{command}");
        assert!(home.loopsy(&[command, "--help"]).ok().out.len() > 100);
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(home.loopsy(&["completions", shell]).ok().text().contains("loopsy"));
    }
    assert!(home.loopsy::<&str>(&[]).code != 0);
    assert!(!home.data().exists(), "help made a node");
}

#[test]
fn the_openapi_document_has_every_route() {
    let leo = crate::support::TestDaemon::new("leo");
    let document = leo.get("/api/v1/openapi.json").ok().json();
    for entry in loopsy_shared::api::REGISTRY {
        let operation = &document["paths"][entry.spec.path][entry.spec.method.as_str().to_lowercase()];
        assert!(operation.is_object(), "{} {}", entry.spec.method.as_str(), entry.spec.path);
    }
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
}
