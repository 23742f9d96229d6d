//! Finding of programs, without running any.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[test]
fn only_what_can_be_run_is_found_and_the_first_counts() {
    let dir = tempfile::tempdir().expect("a directory");
    let make = |name: &str, mode: u32| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(&path, "#!/bin/sh\n").expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
        path
    };
    make("one/gemini", 0o644);
    std::fs::create_dir_all(dir.path().join("two/gemini")).expect("made");
    let right = make("three/gemini", 0o755);
    make("four/gemini", 0o755);
    let path = ["one", "two", "three", "four"].map(|name| dir.path().join(name).to_string_lossy().into_owned()).join(":");
    assert_eq!(on_path(&path, "gemini"), Some(right));
    assert_eq!((on_path(&path, "codex"), on_path("three:.:", "gemini"), on_path(&path, "")), (None, None, None));
}

#[test]
fn the_order_is_the_one_of_auto_and_names_of_the_config_come_last() {
    let mut config = Config::default();
    config.agents.acp.insert("goose".to_owned(), vec!["goose".to_owned(), "acp".to_owned()]);
    config.agents.acp.insert("claude".to_owned(), vec!["evil".to_owned()]);
    assert_eq!(names(&config), ["claude", "codex", "gemini", "opencode", "goose"]);
}
