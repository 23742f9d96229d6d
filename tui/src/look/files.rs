//! Where themes come from: ours are in the program, a person's own are files in `themes/` of the data directory. One of the same name as ours is taken instead.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::Read,
    path::Path,
};

use loopsy_shared::text::inert;
use serde_json::Value;

use super::{Choice, Look, detect, theme};

/// The theme of who chose none.
pub(super) const DEFAULT: &str = "dark";

/// Files of a person's own that are read; more are left alone.
const MOST: usize = 100;

const OURS: [(&str, &str); 5] = [
    ("dark", include_str!("../../../themes/dark.yaml")),
    ("light", include_str!("../../../themes/light.yaml")),
    ("high-contrast", include_str!("../../../themes/high-contrast.yaml")),
    ("harbour", include_str!("../../../themes/harbour.yaml")),
    ("linen", include_str!("../../../themes/linen.yaml")),
];

/// What the person asks for, from the command line, the config and the last time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wishes {
    /// The theme's name: `--theme`, else what [`chosen`] says.
    pub(crate) theme: Option<String>,
    /// `--color`.
    pub(crate) color: Option<String>,
    /// `--ascii`, or `tui.ascii`.
    pub(crate) ascii: bool,
}

/// Reads the themes below a data directory, and looks at what the terminal says of itself (`env` is asked for variables).
///
/// # Errors
/// In one sentence: when the theme is not known or broken, or when the kind of colour is none.
pub(crate) fn load(dir: &Path, wishes: &Wishes, env: &dyn Fn(&str) -> Option<String>) -> Result<Look, String> {
    let level = detect::level(wishes.color.as_deref(), env)?;
    base(dir, wishes, level, env).with_theme(wishes.theme.as_deref().unwrap_or(DEFAULT))
}

/// As [`load`], for the start: what is wrong leads to `dark` and comes back beside it.
pub(crate) fn start(dir: &Path, wishes: &Wishes, env: &dyn Fn(&str) -> Option<String>) -> (Look, Option<String>) {
    let (level, wrong) = match detect::level(wishes.color.as_deref(), env) {
        Ok(level) => (level, None),
        Err(why) => (detect::level(None, env).unwrap_or(super::Level::Sixteen), Some(why)),
    };
    let dark = base(dir, wishes, level, env);
    match dark.with_theme(wishes.theme.as_deref().unwrap_or(DEFAULT)) {
        Ok(look) => (look, wrong),
        Err(why) => (dark, Some(why)),
    }
}

fn base(dir: &Path, wishes: &Wishes, level: super::Level, env: &dyn Fn(&str) -> Option<String>) -> Look {
    let mut themes = ours();
    for choice in own(dir) {
        match themes.iter_mut().find(|known| known.name == choice.name) {
            Some(known) => *known = choice,
            None => themes.push(choice),
        }
    }
    Look::of(themes.into(), level, wishes.ascii || detect::ascii(env))
}

/// Those in the program.
pub(super) fn ours() -> Vec<Choice> {
    OURS.iter().map(|(name, text)| Choice { name: (*name).to_owned(), own: false, theme: theme::parse(text) }).collect()
}

/// Those of the person, by name.
fn own(dir: &Path) -> Vec<Choice> {
    let Ok(files) = fs::read_dir(dir.join("themes")) else { return Vec::new() };
    let mut paths: Vec<_> = files.filter_map(|file| Some(file.ok()?.path())).filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    paths.sort();
    paths.truncate(MOST);
    let name = |path: &Path| path.file_stem().map(|stem| inert(&stem.to_string_lossy()).into_owned()).unwrap_or_default();
    paths.iter().map(|path| Choice { name: name(path), own: true, theme: read(path) }).collect()
}

fn read(path: &Path) -> Result<theme::Theme, String> {
    // Not what somebody made a pipe or a device of: opening it could wait for ever.
    let kind = fs::metadata(path).map_err(|error| error.to_string())?;
    if !kind.is_file() || kind.len() > theme::MOST {
        return Err(format!("it is no file of at most {}", loopsy_shared::text::bytes(theme::MOST)));
    }
    let mut text = String::new();
    fs::File::open(path).and_then(|file| file.take(theme::MOST).read_to_string(&mut text)).map_err(|error| error.to_string())?;
    theme::parse(&text)
}

/// A number that changes when a theme or the config was changed. Cheap: names, times and sizes are looked at, nothing is read.
pub(crate) fn stamp(dir: &Path) -> u64 {
    let mut hash = DefaultHasher::new();
    let mut files: Vec<_> = fs::read_dir(dir.join("themes")).into_iter().flatten().filter_map(|file| Some(file.ok()?.path())).take(2 * MOST).collect();
    files.sort();
    files.push(dir.join("config.yaml"));
    for path in files {
        let Ok(about) = fs::metadata(&path) else { continue };
        (path, about.len(), about.modified().ok()).hash(&mut hash);
    }
    hash.finish()
}

/// The theme to begin with: what was chosen with `T`, until `tui.theme` in the config is changed after that; then the config's.
pub(crate) fn chosen(state: &Value, config: Option<&str>) -> Option<String> {
    let choice = &state["theme"];
    match choice["name"].as_str() {
        Some(name) if choice["over"].as_str() == config => Some(name.to_owned()),
        _ => config.map(str::to_owned),
    }
}
