//! The config of a running node: read strictly, published live, written by nobody else.

use std::{
    fs, io,
    path::PathBuf,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use loopsy_shared::{
    api::health::Problem,
    config::{Config, ConfigError, Rule},
    paths::DataDir,
    time,
};
use tokio::sync::watch;
use yaml_edit::{Document, YamlValue};

use crate::fsutil;

/// Where the config keeps peers' keys, each under its name.
pub const ALLOWED_KEYS: &[&str] = &["auth", "allowedKeys"];
/// Where it keeps what they may do, under the same names.
pub const SCOPES: &[&str] = &["auth", "scopes"];
/// Where it keeps their certificates, under the same names.
pub const PINS: &[&str] = &["tls", "pinnedCerts"];
/// Where it says what agents may do.
const APPROVALS: &[&str] = &["approvals"];

/// The live config. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Settings(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    current: watch::Sender<Arc<Config>>,
    /// The config that the daemon started with, and so what cannot change live still has.
    started: Arc<Config>,
    problem: Mutex<Option<Problem>>,
    /// Held while the file is read or written.
    file: Mutex<()>,
}

/// Why the config cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The text is not valid.
    #[error("The config file {path} is not valid: {error}.")]
    Invalid {
        /// The file.
        path: String,
        /// What is wrong, with line and column.
        error: ConfigError,
    },
    /// The file cannot be read or written.
    #[error("The config file {path} cannot be used: {error}.")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        error: io::Error,
    },
}

/// One change to the file.
#[derive(Debug)]
pub enum Edit<'a> {
    /// Sets a text in a section: `["auth"], "apiKey"`.
    Set(&'a [&'a str], &'a str, &'a str),
    /// Sets a list of words in a section: `["auth", "scopes"], "kai"`.
    SetWords(&'a [&'a str], &'a str, &'a [&'a str]),
    /// Removes a key from a section.
    Remove(&'a [&'a str], &'a str),
    /// Adds names with their texts to the end of a list in a section: `["approvals"], "rules"`.
    Push(&'a [&'a str], &'a str, &'a [(String, String)]),
    /// Takes an entry out of a list in a section, by its place.
    RemoveAt(&'a [&'a str], &'a str, usize),
}

impl Edit<'_> {
    const fn place(&self) -> (&[&str], &str) {
        match self {
            Self::Set(section, key, _)
            | Self::SetWords(section, key, _)
            | Self::Remove(section, key)
            | Self::Push(section, key, _)
            | Self::RemoveAt(section, key, _) => (section, key),
        }
    }
}

impl Settings {
    /// Reads the config for the first time.
    ///
    /// # Errors
    /// A file that is missing, cannot be read or is not valid. A node never runs with invented settings.
    pub fn load(dir: &DataDir) -> Result<Self, SettingsError> {
        // A link is followed once and for all: edits go to the file that it names, and leave the link.
        let path = std::fs::canonicalize(dir.config()).unwrap_or_else(|_| dir.config());
        let config = Arc::new(read(&path)?);
        let started = Arc::clone(&config);
        Ok(Self(Arc::new(Shared { path, current: watch::Sender::new(config), started, problem: Mutex::default(), file: Mutex::default() })))
    }

    /// The file, links resolved.
    pub fn path(&self) -> &std::path::Path {
        &self.0.path
    }

    /// The config as it is now.
    pub fn now(&self) -> Arc<Config> {
        Arc::clone(&self.0.current.borrow())
    }

    /// The config now and from now on.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Config>> {
        self.0.current.subscribe()
    }

    /// Reads the file again. One that is not valid changes nothing and shows in [`Settings::problem`].
    ///
    /// Returns the names of settings that wait for a restart.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn reload(&self) -> Result<Vec<String>, SettingsError> {
        let _file = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = read(&self.0.path).and_then(|config| self.whole(config));
        *self.0.problem.lock().unwrap_or_else(PoisonError::into_inner) = outcome.as_ref().err().map(|error| Problem {
            part: "config".to_owned(),
            message: format!("{error} The settings from before stay in force."),
            since: time::now(),
        });
        let config = outcome?;
        let waiting = config.needs_restart(&self.0.started);
        self.publish(config);
        Ok(waiting)
    }

    /// Takes everything out that belongs to a peer's key: the key, its rights, its pin.
    ///
    /// # Errors
    /// As [`Settings::edit`].
    pub fn forget_peer(&self, name: &str) -> Result<(), SettingsError> {
        let config = self.now();
        let places = [
            (ALLOWED_KEYS, config.auth.allowed_keys.contains_key(name)),
            (SCOPES, config.auth.scopes.contains_key(name)),
            (PINS, config.tls.pinned_certs.contains_key(name)),
        ];
        let edits: Vec<Edit<'_>> = places.into_iter().filter(|(_, there)| *there).map(|(section, _)| Edit::Remove(section, name)).collect();
        if edits.is_empty() { Ok(()) } else { self.edit(&edits) }
    }

    /// Adds a rule to the end of `approvals.rules`.
    ///
    /// # Errors
    /// A rule that is not valid; else as [`Settings::edit`].
    pub fn add_rule(&self, rule: &Rule) -> Result<(), SettingsError> {
        let invalid = |message: String| SettingsError::Invalid {
            path: self.0.path.display().to_string(),
            error: ConfigError { message, line: None, column: None, hint: None },
        };
        rule.check().map_err(|what| invalid(format!("the rule cannot be added: {what}")))?;
        let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(rule) else { return Err(invalid("the rule cannot be written".to_owned())) };
        let texts: Vec<(String, String)> = fields.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect();
        self.edit(&[Edit::Push(APPROVALS, "rules", &texts)])
    }

    /// Takes a rule out of `approvals.rules`, by its place from 0. Says whether there was one.
    ///
    /// # Errors
    /// As [`Settings::edit`].
    pub fn remove_rule(&self, index: usize) -> Result<bool, SettingsError> {
        // The file is what is edited: a change that was not yet read in must not move the places.
        let there = read(&self.0.path)?.approvals.rules;
        let exists = index < there.len() && there == self.now().approvals.rules;
        if exists {
            self.edit(&[Edit::RemoveAt(APPROVALS, "rules", index)])?;
        }
        Ok(exists)
    }

    /// A file without the owner's key is one that an editor is in the middle of writing: taking it over would revoke everything.
    fn whole(&self, config: Config) -> Result<Config, SettingsError> {
        if config.auth.api_key.is_some() || self.now().auth.api_key.is_none() {
            return Ok(config);
        }
        let error = ConfigError {
            message: "auth.apiKey is missing".to_owned(),
            line: None,
            column: None,
            hint: Some("`loopsy key generate` makes another one, while the daemon is stopped.".to_owned()),
        };
        Err(SettingsError::Invalid { path: self.0.path.display().to_string(), error })
    }

    /// What is wrong with the file, while the settings from before are in force.
    pub fn problem(&self) -> Option<Problem> {
        self.0.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the file, keeping a person's comments where that is possible, and publishes the new config.
    ///
    /// # Errors
    /// When the file on disk is not valid, or cannot be written. Then nothing changed.
    pub fn edit(&self, edits: &[Edit<'_>]) -> Result<(), SettingsError> {
        let _file = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        let config = rewrite(&self.0.path, edits)?;
        self.publish(config);
        Ok(())
    }

    fn publish(&self, config: Config) {
        self.0.current.send_if_modified(|current| {
            let differs = **current != config;
            if differs {
                *current = Arc::new(config);
            }
            differs
        });
    }
}

/// Applies edits to a config file of a node that does not run.
///
/// # Errors
/// As [`Settings::edit`].
pub fn edit_offline(dir: &DataDir, edits: &[Edit<'_>]) -> Result<(), SettingsError> {
    let path = std::fs::canonicalize(dir.config()).unwrap_or_else(|_| dir.config());
    rewrite(&path, edits).map(|_| ())
}

fn read(path: &PathBuf) -> Result<Config, SettingsError> {
    let text = fs::read_to_string(path).map_err(|error| SettingsError::Io { path: path.display().to_string(), error })?;
    Config::parse(&text).map_err(|error| SettingsError::Invalid { path: path.display().to_string(), error })
}

fn rewrite(path: &PathBuf, edits: &[Edit<'_>]) -> Result<Config, SettingsError> {
    let io_error = |error: io::Error| SettingsError::Io { path: path.display().to_string(), error };
    let invalid = |error: ConfigError| SettingsError::Invalid { path: path.display().to_string(), error };
    let text = fs::read_to_string(path).map_err(io_error)?;
    Config::parse(&text).map_err(invalid)?;
    // The meaning is taken from the plain values; the edited text must mean the same, or the plain values are written.
    let mut value: serde_yaml::Value = serde_yaml::from_str(&text).map_err(|e| invalid(ConfigError::from_yaml(&e)))?;
    edits.iter().for_each(|edit| apply(&mut value, edit));
    let plain = serde_yaml::to_string(&value).map_err(|e| io_error(io::Error::other(e)))?;
    let wanted = Config::parse(&plain).map_err(invalid)?;
    let same = |text: &String| Config::parse(text).is_ok_and(|config| config == wanted);
    let edited = edit_text(&text, edits).filter(same).or_else(|| push_text(&text, edits).filter(same));
    fsutil::write_atomic(path, edited.unwrap_or(plain).as_bytes()).map_err(io_error)?;
    Ok(wanted)
}

fn apply(value: &mut serde_yaml::Value, edit: &Edit<'_>) {
    let (section, key) = edit.place();
    let mut at = value;
    for name in section {
        at = child(at, name);
    }
    match edit {
        Edit::Set(.., text) => *child(at, key) = serde_yaml::Value::String((*text).to_owned()),
        Edit::SetWords(.., words) => {
            *child(at, key) = serde_yaml::Value::Sequence(words.iter().map(|word| serde_yaml::Value::String((*word).to_owned())).collect());
        }
        Edit::Remove(..) => {
            if let serde_yaml::Value::Mapping(map) = at {
                map.remove(serde_yaml::Value::String(key.to_owned()));
            }
        }
        Edit::Push(.., texts) => {
            let entry = texts.iter().map(|(name, text)| (serde_yaml::Value::String(name.clone()), serde_yaml::Value::String(text.clone()))).collect();
            let list = child(at, key);
            if !list.is_sequence() {
                *list = serde_yaml::Value::Sequence(Vec::new());
            }
            if let serde_yaml::Value::Sequence(entries) = list {
                entries.push(serde_yaml::Value::Mapping(entry));
            }
        }
        Edit::RemoveAt(.., index) => {
            if let serde_yaml::Value::Sequence(entries) = child(at, key)
                && *index < entries.len()
            {
                entries.remove(*index);
            }
        }
    }
}

fn child<'a>(at: &'a mut serde_yaml::Value, name: &str) -> &'a mut serde_yaml::Value {
    if !at.is_mapping() {
        *at = serde_yaml::Value::Mapping(serde_yaml::Mapping::new());
    }
    match at {
        serde_yaml::Value::Mapping(map) => map.entry(serde_yaml::Value::String(name.to_owned())).or_insert(serde_yaml::Value::Null),
        other => other,
    }
}

/// An entry that is added to a list, as a line of its own in JSON, which is YAML too. `None` when it is another change, or no place is found for it.
fn push_text(text: &str, edits: &[Edit<'_>]) -> Option<String> {
    let [Edit::Push([section], key, texts)] = edits else { return None };
    let entry: serde_json::Map<String, serde_json::Value> = texts.iter().map(|(name, text)| (name.clone(), text.as_str().into())).collect();
    let entry = serde_json::Value::Object(entry);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let is_content = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let named = |line: &str, name: &str| line.trim_start().strip_prefix(name).and_then(|rest| rest.strip_prefix(':')).is_some_and(|rest| !is_content(rest));
    let Some(at) = lines.iter().position(|line| indent(line) == 0 && named(line, section)) else {
        lines.extend([format!("{section}:"), format!("  {key}:"), format!("    - {entry}")]);
        return Some(lines.join("\n") + "\n");
    };
    let end = (at + 1..lines.len()).find(|line| is_content(&lines[*line]) && indent(&lines[*line]) == 0).unwrap_or(lines.len());
    let first = (at + 1..end).find(|line| is_content(&lines[*line]));
    let deep = first.map_or(2, |line| indent(&lines[line]));
    match (at + 1..end).find(|line| indent(&lines[*line]) == deep && named(&lines[*line], key)) {
        Some(list) => {
            let is_item = |line: &String| is_content(line) && (indent(line) > deep || line.trim_start().starts_with("- "));
            let items: Vec<usize> =
                (list + 1..end).take_while(|line| !is_content(&lines[*line]) || is_item(&lines[*line])).filter(|line| is_content(&lines[*line])).collect();
            let space = items.first().map_or(deep + 2, |line| indent(&lines[*line]));
            lines.insert(items.last().unwrap_or(&list) + 1, format!("{}- {entry}", " ".repeat(space)));
        }
        None => {
            let space = " ".repeat(deep);
            lines.splice(at + 1..at + 1, [format!("{space}{key}:"), format!("{space}  - {entry}")]);
        }
    }
    Some(lines.join("\n") + "\n")
}

/// The same changes on the text itself. `None` when it has a shape that cannot be edited in place.
fn edit_text(text: &str, edits: &[Edit<'_>]) -> Option<String> {
    let document = Document::from_str(text).ok()?;
    for edit in edits {
        let (section, key) = edit.place();
        let mut map = document.as_mapping()?;
        for name in section {
            if map.get(*name).is_none() {
                map.set(*name, YamlValue::from(std::collections::BTreeMap::<String, YamlValue>::new()));
            }
            map = map.get_mapping(*name)?;
        }
        match edit {
            Edit::Set(.., text) => map.set(key, *text),
            Edit::SetWords(.., words) => map.set(key, words.iter().map(|word| YamlValue::from(*word)).collect::<Vec<_>>()),
            Edit::Remove(..) => {
                map.remove(key);
            }
            Edit::Push(.., texts) => {
                let entry: std::collections::BTreeMap<String, YamlValue> =
                    texts.iter().map(|(name, text)| (name.clone(), YamlValue::from(text.as_str()))).collect();
                match map.get_sequence(key).filter(|list| !list.is_empty()) {
                    Some(list) => list.push(YamlValue::from(entry)),
                    None => map.set(key, vec![YamlValue::from(entry)]),
                }
            }
            Edit::RemoveAt(.., index) => {
                let list = map.get_sequence(key)?;
                if list.len() > 1 {
                    list.remove(*index)?;
                } else {
                    map.set(key, Vec::<YamlValue>::new());
                }
            }
        }
    }
    Some(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "auth:\n  apiKey: \"0123456789abcdef\" # mine\n";

    fn settings(text: &str) -> (tempfile::TempDir, Settings) {
        let dir = tempfile::tempdir().expect("a directory");
        let data = DataDir::new(dir.path()).expect("absolute");
        fs::write(data.config(), text).expect("writes");
        (dir, Settings::load(&data).expect("valid"))
    }

    #[test]
    fn an_edit_keeps_comments_and_takes_effect() {
        let (dir, settings) = settings(&format!("# my node\n{KEY}  allowedKeys:\n    leo: \"fedcba9876543210\" # the laptop\n"));
        settings.edit(&[Edit::Set(&["auth", "allowedKeys"], "kai", "0000111122223333")]).expect("edits");
        let text = fs::read_to_string(dir.path().join("config.yaml")).expect("reads");
        assert!(text.contains("# my node") && text.contains("# mine") && text.contains("# the laptop"), "{text}");
        assert_eq!(settings.now().auth.allowed_keys.len(), 2);
        settings.edit(&[Edit::Remove(&["auth", "allowedKeys"], "leo"), Edit::Set(&["auth"], "apiKey", "ffffffffffffffff")]).expect("edits");
        assert_eq!(settings.now().auth.allowed_keys.keys().collect::<Vec<_>>(), ["kai"]);
        assert_eq!(settings.now().auth.api_key.as_ref().expect("set").reveal(), "ffffffffffffffff");
    }

    #[test]
    fn rules_come_and_go_with_comments_kept() {
        let rule = |text: &str| -> Rule { serde_yaml::from_str(text).expect("a rule") };
        for section in [
            "",
            "approvals: {}\n",
            "approvals:\n",
            "approvals:\n  timeout: 5 # short\n",
            "approvals:\n  rules: []\n",
            "approvals:\n  # what may be\n  rules:\n    - do: deny # never\n      command: rm\n    # reading is fine\n    - {do: allow, tool: read}\n  timeout: 7\n",
        ] {
            let (dir, settings) = settings(&format!("# my node\n{KEY}{section}"));
            let before = settings.now().approvals.rules.clone();
            let (one, other) = (rule("{do: allow, command: 'git commit -m \"#x: *\" ;', agent: claude}"), rule("{do: ask, path: ~/x}"));
            settings.add_rule(&one).expect(section);
            settings.add_rule(&other).expect(section);
            let text = fs::read_to_string(dir.path().join("config.yaml")).expect("reads");
            assert_eq!(settings.now().approvals.rules, [before.clone(), vec![one.clone(), other.clone()]].concat(), "{text}");
            for comment in ["# my node", "# mine", "# short", "# what may be", "# never", "# reading is fine"] {
                assert!(!format!("# my node # mine {section}").contains(comment) || text.contains(comment), "{comment} in:\n{text}");
            }
            assert!(settings.remove_rule(before.len()).expect("edits"));
            assert_eq!(settings.now().approvals.rules, [before.clone(), vec![other]].concat());
            while !settings.now().approvals.rules.is_empty() {
                assert!(settings.remove_rule(0).expect("edits"));
            }
            assert!(!settings.remove_rule(0).expect("nothing to do"));
            assert!(fs::read_to_string(dir.path().join("config.yaml")).expect("reads").contains("# mine"));
            settings.add_rule(&one).expect("again");
            assert_eq!(settings.now().approvals.rules, [one]);
        }
        let (dir, settings) = settings(KEY);
        assert!(settings.add_rule(&rule("{do: allow}")).expect_err("everything").to_string().contains("allows everything"));
        assert_eq!(fs::read_to_string(dir.path().join("config.yaml")).expect("reads"), KEY);
    }

    #[test]
    fn a_missing_or_empty_section_is_made() {
        for text in [KEY.to_owned(), format!("{KEY}  allowedKeys: {{}}\n"), format!("{KEY}  allowedKeys:\n")] {
            let (_dir, settings) = settings(&text);
            settings.edit(&[Edit::Set(&["auth", "allowedKeys"], "kai", "0000111122223333")]).expect(&text);
            assert_eq!(settings.now().auth.allowed_keys.len(), 1, "{text}");
        }
    }

    #[test]
    fn a_key_that_is_there_twice_stops_an_edit_and_loses_nothing() {
        let text = format!("{KEY}  allowedKeys:\n    leo: \"fedcba9876543210\"\n    leo: \"0123456789abcdef\"\n");
        let dir = tempfile::tempdir().expect("a directory");
        let data = DataDir::new(dir.path()).expect("absolute");
        fs::write(data.config(), &text).expect("writes");
        assert!(Settings::load(&data).is_err() && edit_offline(&data, &[Edit::Set(&["auth"], "apiKey", "ffffffffffffffff")]).is_err());
        assert_eq!(fs::read_to_string(data.config()).expect("reads"), text);
    }

    #[test]
    fn a_bad_file_keeps_the_settings_from_before_and_says_why() {
        let (dir, settings) = settings(KEY);
        fs::write(dir.path().join("config.yaml"), "server:\n  prot: 1\n").expect("writes");
        assert!(settings.reload().is_err());
        assert!(settings.problem().expect("said").message.contains("line 2"), "{:?}", settings.problem());
        assert!(settings.now().auth.api_key.is_some());
        fs::write(dir.path().join("config.yaml"), "").expect("writes");
        assert!(settings.reload().is_err() && settings.now().auth.api_key.is_some(), "an editor has emptied the file and not filled it yet");
        fs::write(dir.path().join("config.yaml"), format!("{KEY}server: {{port: 1}}\n")).expect("writes");
        assert_eq!(settings.reload().expect("valid"), ["server.port"]);
        assert_eq!(settings.problem(), None);
    }
}
