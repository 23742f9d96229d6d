//! The person's own keys: `tui.keys` in the config, laid over the table. What would hide the way out, or make a decision easy to hit, is refused as a whole.

use loopsy_shared::text::inert;
use serde::de::{IgnoredAny, MapAccess};

use super::{Command, Key, Keymap, Scope};
use crate::{
    key::Code,
    tabs::TabId,
    yaml::{self, Entries, Words, unknown},
};

/// Longest list of keys for one command; more is a mistake.
const MOST: usize = 16;

impl Keymap {
    /// The table with what the text of a config says in `tui.keys`. Everything else in the text is left alone.
    ///
    /// # Errors
    /// What is wrong, with line, place, command and key.
    pub(crate) fn with_config(text: &str) -> Result<Self, String> {
        let mut keymap = Self::default();
        let mut file = Level::Top(Patch::default());
        yaml::read(text, &mut file).map_err(placed)?;
        let patch = file.into_patch();
        for (scope, command, keys) in &patch.changes {
            if let Some(binding) = keymap.bindings.iter_mut().find(|binding| binding.scope == *scope && binding.command == *command) {
                binding.keys.clone_from(keys);
            }
        }
        let Err((guilty, why)) = keymap.check(&patch) else { return Ok(keymap) };
        // Read again, to be told where that stands.
        let mut file = Level::Top(Patch { blamed: Some((guilty, why.clone())), changes: Vec::new() });
        Err(yaml::read(text, &mut file).err().map_or(why, placed))
    }

    /// As [`Self::with_config`], for the start: what is wrong leads to the table as it is, and comes back beside it.
    pub(crate) fn start(text: &str) -> (Self, Option<String>) {
        match Self::with_config(text) {
            Ok(keymap) => (keymap, None),
            Err(why) => (Self::default(), Some(format!("The keys in the config cannot be used, so all are as they were made: {why}"))),
        }
    }

    /// Whether the keys can be lived with; if not, whose fault it is and why.
    fn check(&self, patch: &Patch) -> Result<(), ((Scope, Command), String)> {
        let changed = |scope, command| patch.changes.iter().any(|(at, what, _)| (*at, *what) == (scope, command));
        for scope in Scope::ALL {
            let all: Vec<_> = self.of(scope).flat_map(|binding| binding.keys.iter().map(move |key| (key, binding.command))).collect();
            for (at, (key, command)) in all.iter().enumerate() {
                let Some((_, other)) = all[at + 1..].iter().find(|(also, other)| also == key && other != command) else { continue };
                let (guilty, other) = if changed(scope, *command) { (*command, *other) } else { (*other, *command) };
                let why = format!("`{key}` would mean `{}` and `{}`; give one of them another key, or `[]`", guilty.name(scope), other.name(scope));
                return Err(((scope, guilty), why));
            }
        }
        for (places, ways) in chains() {
            for command in ways {
                let scopes: Vec<Scope> = places.clone();
                let bound: Vec<_> = scopes
                    .iter()
                    .flat_map(|scope| {
                        self.of(*scope).filter(|binding| binding.command == *command).flat_map(|binding| binding.keys.iter().map(|key| (*scope, *key)))
                    })
                    .collect();
                if bound.iter().any(|(_, key)| self.find(&scopes, *key) == Some(*command)) {
                    continue;
                }
                let home = scopes.iter().copied().find(|scope| self.of(*scope).any(|binding| binding.command == *command)).unwrap_or(Scope::Everywhere);
                let where_ = scopes.first().map_or("", |scope| scope.name());
                let thief = bound.iter().find_map(|(_, key)| {
                    scopes.iter().find_map(|scope| {
                        self.of(*scope).find(|other| other.keys.contains(key) && changed(*scope, other.command)).map(|other| (*scope, other.command, *key))
                    })
                });
                return Err(match thief {
                    Some((scope, other, key)) if other != *command => {
                        let why = format!("`{key}` is the only way to `{}` in `{where_}`, and would mean `{}`", command.name(home), other.name(scope));
                        ((scope, other), why)
                    }
                    _ => ((home, *command), format!("no key would lead to `{}` in `{where_}`", command.name(home))),
                });
            }
        }
        Ok(())
    }
}

/// The reader says the way to the line too, which is in the sentence already.
fn placed(why: String) -> String {
    why.find("`tui.keys.").filter(|at| why[..*at].starts_with("tui.keys")).map_or(why.clone(), |at| why[at..].to_owned())
}

/// Places as they count together, and what must be reachable there.
fn chains() -> Vec<(Vec<Scope>, &'static [Command])> {
    const NAV: &[Command] = &[Command::Quit, Command::Approvals, Command::Back, Command::Help];
    let mut chains: Vec<(Vec<Scope>, &'static [Command])> = Vec::new();
    for tab in TabId::ALL {
        chains.push((vec![Scope::Tab(tab), Scope::Everywhere], NAV));
        chains.push((vec![Scope::Search, Scope::Tab(tab), Scope::Everywhere], NAV));
        chains.push((vec![Scope::Selection, Scope::Tab(tab), Scope::Everywhere], NAV));
    }
    chains.push((vec![Scope::Compare, Scope::Tab(TabId::Pairing), Scope::Everywhere], NAV));
    chains.push((vec![Scope::Input], &[Command::Leave]));
    chains.push((vec![Scope::Box], &[Command::Back]));
    chains.push((vec![Scope::Review, Scope::Box, Scope::Everywhere], &[Command::Back]));
    chains
}

/// What the config says.
#[derive(Debug, Default)]
struct Patch {
    changes: Vec<(Scope, Command, Vec<Key>)>,
    /// A line that turned out to be wrong: where, what, and why.
    blamed: Option<((Scope, Command), String)>,
}

/// How deep in the file: everything, `tui`, `tui.keys`, a place.
#[derive(Debug)]
enum Level {
    Top(Patch),
    Tui(Patch),
    Keys(Patch),
    Place(Patch, Scope),
}

#[derive(Debug)]
enum Name {
    Other,
    Deeper,
    Place(Scope),
    Command(Command),
}

impl Level {
    fn into_patch(self) -> Patch {
        match self {
            Self::Top(patch) | Self::Tui(patch) | Self::Keys(patch) | Self::Place(patch, _) => patch,
        }
    }

    fn patch(&mut self) -> &mut Patch {
        match self {
            Self::Top(patch) | Self::Tui(patch) | Self::Keys(patch) | Self::Place(patch, _) => patch,
        }
    }
}

impl<'de> Entries<'de> for Level {
    type Key = Name;

    const WHAT: &'static str = "a map: `tui: { keys: { PLACE: { COMMAND: KEY } } }`";

    fn key(&mut self, name: &str) -> Result<Name, String> {
        match self {
            Self::Top(_) => Ok(if name == "tui" { Name::Deeper } else { Name::Other }),
            Self::Tui(_) => Ok(if name == "keys" { Name::Deeper } else { Name::Other }),
            Self::Keys(_) => {
                let scope = Scope::ALL.into_iter().find(|scope| scope.name() == name);
                scope.map(Name::Place).ok_or_else(|| unknown("place in `tui.keys`", name, Scope::ALL.map(Scope::name)))
            }
            Self::Place(patch, scope) => {
                let keymap = Keymap::default();
                let names: Vec<(String, Command)> = keymap.of(*scope).map(|binding| (binding.command.name(*scope), binding.command)).collect();
                let Some((name, command)) = names.iter().find(|(known, _)| known == name) else {
                    return Err(unknown(&format!("command in `tui.keys.{}`", scope.name()), name, names.iter().map(|(name, _)| name.as_str())));
                };
                let line = format!("`tui.keys.{}.{name}`", scope.name());
                if patch.changes.iter().any(|(at, known, _)| (at, known) == (scope, command)) {
                    return Err(format!("{line} is there twice"));
                }
                match &patch.blamed {
                    Some((guilty, why)) if *guilty == (*scope, *command) => Err(format!("{line}: {why}")),
                    _ => Ok(Name::Command(*command)),
                }
            }
        }
    }

    fn value<A: MapAccess<'de>>(&mut self, name: Name, map: &mut A) -> Result<(), A::Error> {
        let patch = std::mem::take(self.patch());
        let mut deeper = match (&*self, name) {
            (Self::Place(_, scope), Name::Command(command)) => {
                let scope = *scope;
                let keys = map.next_value_seed(Words(&|text| allowed(scope, command, text)))?;
                let patch = self.put_back(patch);
                patch.changes.push((scope, command, keys));
                return Ok(());
            }
            (Self::Top(_), Name::Deeper) => Self::Tui(patch),
            (Self::Tui(_), Name::Deeper) => Self::Keys(patch),
            (Self::Keys(_), Name::Place(scope)) => Self::Place(patch, scope),
            _ => {
                self.put_back(patch);
                map.next_value::<IgnoredAny>()?;
                return Ok(());
            }
        };
        map.next_value_seed(yaml::Into(&mut deeper))?;
        self.put_back(deeper.into_patch());
        Ok(())
    }

    fn done(&mut self) -> Result<(), String> {
        match self.patch().changes.iter().find(|(_, _, keys)| keys.len() > MOST) {
            Some((scope, command, _)) => Err(format!("`tui.keys.{}.{}` has more than {MOST} keys", scope.name(), command.name(*scope))),
            None => Ok(()),
        }
    }
}

impl Level {
    fn put_back(&mut self, patch: Patch) -> &mut Patch {
        let place = self.patch();
        *place = patch;
        place
    }
}

/// A key for a command, when it may have it.
fn allowed(scope: Scope, command: Command, text: &str) -> Result<Key, String> {
    let line = format!("`tui.keys.{}.{}`", scope.name(), command.name(scope));
    let mut key: Key = text.parse().map_err(|why: String| format!("{line}: {}", inert(&why)))?;
    if let Code::Char(c) = key.code
        && key.shift
        && !key.ctrl
    {
        // A character says itself that shift was held.
        (key.code, key.shift) = (Code::Char(c.to_uppercase().next().unwrap_or(c)), false);
    }
    if let Some((_, same)) = [('i', "tab"), ('m', "enter"), ('[', "esc")].iter().find(|(c, _)| key == Key::ctrl(*c)) {
        return Err(format!("{line}: `{key}` comes as `{same}` from most terminals"));
    }
    if command == Command::Choose {
        return Err(format!("{line}: the digits stay what they are"));
    }
    let harmless = !matches!(key.code, Code::Enter | Code::Esc | Code::Char(' ' | 'y' | 'n' | 'Y' | 'N' | '0'..='9')) && key != Key::ctrl('j');
    if command.decides() && command != Command::Different && !harmless {
        return Err(format!("{line}: `{key}` is too easy to hit to decide something; Enter, Space, Esc, y, n and digits never do"));
    }
    let ours = key.ctrl || key.alt || matches!(key.code, Code::F(_));
    if scope == Scope::Input && !ours {
        return Err(format!("{line}: `{key}` belongs to the program that you type to; use one with `ctrl-` or `alt-`, or F1 to F24"));
    }
    Ok(key)
}
