//! The crate graph holds: who may depend on whom, and who may know of which library.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Each package of the workspace with the names of all that it depends on, for building and testing alike.
fn graph() -> BTreeMap<String, Vec<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let asked = Command::new(cargo).args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(ROOT).output().unwrap();
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    let metadata: Value = serde_json::from_slice(&asked.stdout).unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (name(package), package["dependencies"].as_array().unwrap().iter().map(name).collect()))
        .collect()
}

fn sources() -> Vec<(PathBuf, String)> {
    let files = ["shared", "daemon", "cli", "tui", "tests"].iter().flat_map(|dir| crate::support::files_below(&Path::new(ROOT).join(dir)));
    let rust = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    rust.map(|path| (path.strip_prefix(ROOT).unwrap().to_owned(), std::fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn no_crate_knows_more_than_it_may() {
    let graph = graph();
    let own: Vec<&str> = graph.keys().map(String::as_str).collect();
    assert!(own.contains(&"loopsy") && own.contains(&"loopsy-shared") && own.contains(&"loopsy-daemon"), "{own:?}");
    let mut forbidden = Vec::new();
    for (package, dependencies) in &graph {
        for dependency in dependencies {
            let ours = own.contains(&dependency.as_str());
            let allowed = match (package.as_str(), dependency.as_str()) {
                (_, "loopsy") => false,
                ("loopsy-shared", _) if ours => false,
                ("loopsy-daemon", "loopsy-shared") => true,
                ("loopsy-daemon", _) if ours => false,
                ("loopsy-tui", "loopsy-shared") => true,
                ("loopsy-tui", _) if ours => false,
                (package, "ratatui" | "crossterm") => package == "loopsy-tui",
                // The scripted model and the scripted daemon of tests and benches are servers, too; the sources of the program itself are looked at below.
                ("loopsy" | "loopsy-bench", "axum") => true,
                // One HTTP client, in shared; one server and one database, in the daemon.
                (package, "reqwest" | "eventsource-client") => package == "loopsy-shared",
                (package, "axum" | "rusqlite" | "notify" | "multer") => package == "loopsy-daemon",
                ("loopsy-shared", "clap" | "hyper" | "tower") => false,
                _ => true,
            };
            if !allowed {
                forbidden.push(format!("{package} -> {dependency}"));
            }
        }
    }
    assert!(forbidden.is_empty(), "forbidden: {forbidden:?}");
}

#[test]
fn only_the_store_speaks_sql() {
    let store = Path::new("daemon/src/store");
    let knows = sources().into_iter().filter(|(_, text)| text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains("rusqlite::")));
    let outside: Vec<_> = knows
        .map(|(path, _)| path)
        .filter(|path| !path.starts_with(store) && *path != store.with_extension("rs"))
        .filter(|path| !path.starts_with("tests"))
        .collect();
    assert!(outside.is_empty(), "rusqlite outside of daemon/src/store: {outside:?}");
}

#[test]
fn surfaces_reach_nodes_by_the_typed_client_alone() {
    for (path, text) in sources() {
        if path.starts_with("cli") || path.starts_with("tui") {
            for word in ["reqwest::", "hyper::", "TcpStream"] {
                assert!(!text.contains(word), "{} uses {word}", path.display());
            }
        }
    }
}

#[test]
fn every_file_says_what_it_promises() {
    let silent: Vec<_> = sources().into_iter().filter(|(_, text)| !text.starts_with("//!")).map(|(path, _)| path).collect();
    assert!(silent.is_empty(), "no `//!` at the top of {silent:?}");
}

#[test]
fn only_the_daemon_and_the_tests_speak_the_servers_language() {
    let knows = sources().into_iter().filter(|(_, text)| text.contains("axum::"));
    let outside: Vec<_> = knows.map(|(path, _)| path).filter(|path| !path.starts_with("daemon") && !path.starts_with("tests")).collect();
    assert!(outside.is_empty(), "{outside:?}");
}
