//! The table, and what a person may change of it.

use proptest::prelude::*;

use super::*;

#[test]
fn every_key_of_the_table_is_one_and_means_one_thing() {
    for (scope, command, keys, _, help) in table::ROWS.iter().flat_map(|rows| rows.iter()) {
        for key in keys.split(' ') {
            let key: Key = key.parse().unwrap_or_else(|e| panic!("{scope:?} {command:?}: {e}"));
            let meanings: Vec<_> = Keymap::default().of(*scope).filter(|binding| binding.keys.contains(&key)).map(|binding| binding.command).collect();
            assert_eq!(meanings, [*command], "{key} in {scope:?}");
        }
        assert!(!help.ends_with('.') && help.chars().next().is_some_and(char::is_uppercase), "{help}");
    }
}

#[test]
fn every_place_is_listed_and_every_name_stands_for_one_command() {
    for binding in Keymap::default().all() {
        assert!(Scope::ALL.contains(&binding.scope), "{:?}", binding.scope);
        let name = binding.command.name(binding.scope);
        assert_eq!(Keymap::default().of(binding.scope).filter(|other| other.command.name(binding.scope) == name).count(), 1, "{name}");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{name}");
    }
    assert_eq!(Command::Go(TabId::Peers).name(Scope::Everywhere), "go-peers");
    assert_eq!(Command::PageDown.name(Scope::Everywhere), "page-down");
}

/// The table as it is passes its own rules, also for the decisions in it.
#[test]
fn the_table_itself_is_allowed() {
    let mut text = String::from("tui:\n  keys:\n");
    for scope in Scope::ALL {
        text.push_str(&format!("    {}:\n", scope.name()));
        for binding in Keymap::default().of(scope).filter(|binding| binding.command != Command::Choose) {
            let keys: Vec<String> = binding.keys.iter().map(|key| format!("'{}'", key.to_string().replace('\'', "''"))).collect();
            text.push_str(&format!("      {}: [{}]\n", binding.command.name(scope), keys.join(", ")));
        }
    }
    let keymap = Keymap::with_config(&text).unwrap();
    assert_eq!(format!("{:?}", keymap.bindings), format!("{:?}", Keymap::default().bindings));
}

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

#[test]
fn keys_are_replaced_added_and_taken_away() {
    let text = "server: {port: 1}\ntui:\n  theme: dark\n  keys:\n    everywhere: {quit: ctrl-q, go-peers: [2, f2], mouse: []}\n    tasks:\n      interrupt: C\n      stop: shift-k\n";
    let keymap = Keymap::with_config(text).unwrap();
    let tasks = [Scope::Tab(TabId::Tasks), Scope::Everywhere];
    assert_eq!(keymap.find(&tasks, key("ctrl-q")), Some(Command::Quit));
    assert_eq!(keymap.find(&tasks, key("Q")), None);
    assert_eq!(keymap.find(&tasks, key("F2")), Some(Command::Go(TabId::Peers)));
    assert_eq!(keymap.find(&tasks, key("2")), Some(Command::Go(TabId::Peers)));
    assert_eq!(keymap.find(&tasks, key("M")), None);
    assert_eq!(keymap.find(&tasks, key("C")), Some(Command::Pair));
    assert_eq!(keymap.find(&tasks, key("K")), Some(Command::Stop));
    for nothing in ["", "{}", "tui:", "tui: {}", "tui: {keys: }", "tui: {keys: {peers: }}", "auth: {apiKey: x}"] {
        assert!(Keymap::with_config(nothing).is_ok(), "{nothing}");
    }
}

#[test]
fn two_keys_may_change_places() {
    let keymap = Keymap::with_config("tui: {keys: {peers: {send: p, pull: s}}}").unwrap();
    assert_eq!(keymap.find(&[Scope::Tab(TabId::Peers)], key("p")), Some(Command::Send));
}

#[test]
fn help_names_the_way_out_as_it_is() {
    let keymap = Keymap::with_config("tui: {keys: {input: {leave: f9}}}").unwrap();
    let binding = keymap.of(Scope::Tab(TabId::Tasks)).find(|binding| binding.command == Command::Type).unwrap();
    assert_eq!(keymap.help(binding), "Type to the agent; F9 comes back");
    assert_eq!(Keymap::default().help(binding), binding.help);
}

/// Each with what its error must name.
#[test]
fn what_cannot_be_is_refused_with_its_place() {
    for (text, names) in [
        ("tui:\n  keys:\n    peeers: {run: e}\n", &["line 3", "`peeers`", "did you mean `peers`?"][..]),
        ("tui:\n  keys:\n    peers:\n      rum: e\n", &["line 4", "`rum`", "tui.keys.peers", "did you mean `run`?"]),
        ("tui:\n  keys:\n    peers:\n      run: hyper-x\n", &["line 4", "tui.keys.peers.run", "`hyper-x` is no key"]),
        ("tui:\n  keys:\n    peers:\n      run: [$, \"\\e[2J\"]\n", &["line 4", "tui.keys.peers.run", "is no key"]),
        ("tui:\n  keys:\n    peers:\n      send: a\n      run: x\n", &["line 5", "tui.keys.peers.run", "`x`", "`stop`"]),
        ("tui:\n  keys:\n    peers:\n      run: x\n      stop: x\n", &["line 5", "`run`", "`stop`"]),
        ("tui:\n  keys:\n    everywhere:\n      quit: []\n", &["line 4", "tui.keys.everywhere.quit", "no key would lead to `quit`"]),
        ("tui:\n  keys:\n    messages:\n      new: Q\n", &["line 4", "tui.keys.messages.new", "`Q` is the only way to `quit` in `messages`"]),
        ("tui:\n  keys:\n    search:\n      next-hit: '!'\n", &["line 4", "tui.keys.search.next-hit", "`approvals`"]),
        ("tui:\n  keys:\n    box:\n      back: []\n", &["line 4", "`back`"]),
        ("tui:\n  keys:\n    input:\n      leave: []\n", &["line 4", "`leave`"]),
        ("tui:\n  keys:\n    input:\n      leave: q\n", &["line 4", "tui.keys.input.leave", "belongs to the program"]),
        ("tui:\n  keys:\n    review:\n      allow: y\n", &["line 4", "tui.keys.review.allow", "`y`", "never do"]),
        ("tui:\n  keys:\n    review:\n      deny: [D, 3]\n", &["line 4", "tui.keys.review.deny", "`3`"]),
        ("tui:\n  keys:\n    compare:\n      same: enter\n", &["line 4", "tui.keys.compare.same", "`Enter`"]),
        ("tui:\n  keys:\n    review:\n      choose: a\n", &["line 4", "the digits stay"]),
        ("tui:\n  keys:\n    peers:\n      run: ctrl-i\n", &["line 4", "comes as `tab`"]),
        ("tui:\n  keys:\n    peers:\n      run: ~\n", &["line 4", "needs quotes"]),
        ("tui:\n  keys:\n    peers:\n      run: e\n      run: f\n", &["line 5", "there twice"]),
        ("tui:\n  keys: no\n", &["line 2", "a map"]),
        ("tui: [", &["line"]),
    ] {
        let (keymap, why) = Keymap::start(text);
        let why = why.unwrap_or_else(|| panic!("taken: {text}"));
        for name in names {
            assert!(why.contains(name), "{text}\n{why}\nwithout {name}");
        }
        assert!(!why.contains('\u{1b}'));
        assert_eq!(format!("{:?}", keymap.bindings), format!("{:?}", Keymap::default().bindings), "the table as it was made holds");
    }
}

#[test]
fn the_page_has_every_line_of_the_table() {
    let page = page();
    for binding in Keymap::default().all() {
        assert!(page.contains(binding.help) && page.contains(&format!("`{}` |\n", binding.command.name(binding.scope))), "{}", binding.help);
    }
    // What the page says can be written, can be.
    let example = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    Keymap::with_config(example).unwrap();
}

/// `just docs` writes it; this says so sooner than the test of the whole program.
#[test]
fn the_page_is_written_down() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/KEYS.md");
    if std::env::var_os("LOOPSY_WRITE_KEYS").is_some() {
        std::fs::write(path, page()).unwrap();
    }
    assert!(std::fs::read_to_string(path).unwrap() == page(), "docs/KEYS.md is out of date: cargo run -q -- docs keys > docs/KEYS.md");
}

proptest! {
    /// Any change is refused, or leaves every key with one meaning and every way out open.
    #[test]
    fn any_patch(changes in proptest::collection::vec((0usize..400, proptest::collection::vec("[a-zA-Z!?:/0-9]|ctrl-[a-z\\]]|f[1-9]|enter|esc|space|tab|up", 0..3)), 0..12)) {
        let base = Keymap::default();
        let mut places: std::collections::BTreeMap<&str, std::collections::BTreeMap<String, Vec<String>>> = Default::default();
        for (at, keys) in changes {
            let binding = &base.all()[at % base.all().len()];
            places.entry(binding.scope.name()).or_default().insert(binding.command.name(binding.scope), keys);
        }
        let text = serde_json::json!({"tui": {"keys": places}}).to_string();
        if let Ok(keymap) = Keymap::with_config(&text) {
            for binding in keymap.all() {
                for key in &binding.keys {
                    prop_assert_eq!(keymap.of(binding.scope).filter(|other| other.keys.contains(key)).count(), 1);
                }
            }
            for tab in TabId::ALL {
                let scopes = [Scope::Tab(tab), Scope::Everywhere];
                for command in [Command::Quit, Command::Approvals, Command::Help] {
                    let found = keymap.all().iter().filter(|binding| binding.command == command).flat_map(|binding| &binding.keys).any(|key| keymap.find(&scopes, *key) == Some(command));
                    prop_assert!(found);
                }
            }
            prop_assert!(keymap.key_of(&[Scope::Input], Command::Leave).is_some());
            for key in ["enter", "space", "esc", "y", "n", "1"] {
                let command = keymap.find(&[Scope::Review], key.parse().unwrap());
                prop_assert!(command.is_none_or(|command| command == Command::Choose || !command.decides()));
            }
        }
    }

    /// Any text is keys or an error.
    #[test]
    fn any_text(text in "\\PC{0,80}|(tui|keys|peers|run|[ :\\n{}\\[\\],*&!?'\"|>-]|[a-z]){0,40}") {
        let _either = Keymap::with_config(&text);
    }
}
