//! A theme: what each role looks like, read from YAML. The files in `themes/` say how one is written.

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier, Style};
use serde::de::{DeserializeSeed, MapAccess};

use super::{Role, color};
use crate::yaml::{self, Entries, Word, unknown};

/// A theme.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Theme {
    /// What it is like, in a few words.
    pub(crate) about: String,
    /// It is for terminals with a light background, where it leaves that to the terminal.
    pub(crate) light: bool,
    /// The ground of everything.
    pub(crate) screen: Style,
    /// Each role upon it.
    pub(crate) roles: [Style; Role::ALL.len()],
}

/// Reads a theme.
///
/// # Errors
/// What is wrong, with line and column.
pub(crate) fn parse(text: &str) -> Result<Theme, String> {
    let mut file = File::default();
    yaml::read(text, &mut file)?;
    Ok(file.theme)
}

const PARTS: [&str; 5] = ["about", "background", "palette", "screen", "roles"];
const WORDS: [&str; 7] = ["fg", "bg", "bold", "dim", "italic", "underline", "reversed"];

#[derive(Debug, Default)]
struct File {
    theme: Theme,
    palette: BTreeMap<String, Color>,
    seen: Vec<&'static str>,
}

impl<'de> Entries<'de> for File {
    type Key = &'static str;

    const WHAT: &'static str = "a theme: `about`, `background`, `palette`, `screen` and `roles`";

    fn key(&mut self, name: &str) -> Result<&'static str, String> {
        let part = *PARTS.iter().find(|part| **part == name).ok_or_else(|| unknown("part of a theme", name, PARTS))?;
        if part == "palette" && self.seen.iter().any(|seen| matches!(*seen, "screen" | "roles")) {
            return Err("`palette` stands before `screen` and `roles`, which use it".to_owned());
        }
        once(&mut self.seen, part)?;
        Ok(part)
    }

    fn value<A: MapAccess<'de>>(&mut self, part: &'static str, map: &mut A) -> Result<(), A::Error> {
        let palette = &self.palette;
        match part {
            "about" => self.theme.about = map.next_value_seed(Word(|text: &str| Ok(text.to_owned())))?,
            "background" => {
                self.theme.light = map.next_value_seed(Word(|text: &str| match text {
                    "dark" => Ok(false),
                    "light" => Ok(true),
                    other => Err(unknown("background", other, ["dark", "light"])),
                }))?;
            }
            "palette" => map.next_value_seed(yaml::Into(&mut Palette(&mut self.palette)))?,
            "screen" => self.theme.screen = map.next_value_seed(Styled { palette, what: "`screen`" })?,
            _ => {
                let mut roles = Roles { palette, roles: &mut self.theme.roles, seen: Vec::new() };
                map.next_value_seed(yaml::Into(&mut roles))?;
            }
        }
        Ok(())
    }

    fn done(&mut self) -> Result<(), String> {
        match ["background", "screen", "roles"].iter().find(|part| !self.seen.contains(part)) {
            Some(part) => Err(format!("`{part}` is missing")),
            None => self.theme.is_visible(),
        }
    }
}

impl Theme {
    /// Black on the terminal's own background is invisible on most terminals.
    fn is_visible(&self) -> Result<(), String> {
        let grounds = [("screen", self.screen)].into_iter().chain(Role::ALL.map(|role| (role.name(), self.screen.patch(self.roles[role as usize]))));
        for (name, style) in grounds {
            if style.fg == Some(Color::Black) && matches!(style.bg, None | Some(Color::Reset)) {
                return Err(format!("`{name}` is black on the terminal's own background, which is black on most; give it a `bg`, or leave out `fg`"));
            }
        }
        Ok(())
    }
}

struct Palette<'a>(&'a mut BTreeMap<String, Color>);

impl<'de> Entries<'de> for Palette<'_> {
    type Key = String;

    const WHAT: &'static str = "names of colours, each with its colour";

    fn key(&mut self, name: &str) -> Result<String, String> {
        if color::parse(name).is_some() || WORDS.contains(&name) {
            return Err(format!("`{name}` means something already; choose another name"));
        }
        if self.0.contains_key(name) {
            return Err(format!("`{}` is there twice", loopsy_shared::text::inert(name)));
        }
        Ok(name.to_owned())
    }

    fn value<A: MapAccess<'de>>(&mut self, name: String, map: &mut A) -> Result<(), A::Error> {
        let color = map.next_value_seed(Word(|text: &str| color_of(text, &BTreeMap::new(), "the palette")))?;
        self.0.insert(name, color);
        Ok(())
    }
}

struct Roles<'a> {
    palette: &'a BTreeMap<String, Color>,
    roles: &'a mut [Style; Role::ALL.len()],
    seen: Vec<&'static str>,
}

impl<'de> Entries<'de> for Roles<'_> {
    type Key = Role;

    const WHAT: &'static str = "all roles, each with its style";

    fn key(&mut self, name: &str) -> Result<Role, String> {
        let role = Role::ALL.into_iter().find(|role| role.name() == name).ok_or_else(|| unknown("role", name, Role::ALL.map(Role::name)))?;
        once(&mut self.seen, role.name())?;
        Ok(role)
    }

    fn value<A: MapAccess<'de>>(&mut self, role: Role, map: &mut A) -> Result<(), A::Error> {
        let what = format!("the role `{}`", role.name());
        self.roles[role as usize] = map.next_value_seed(Styled { palette: self.palette, what: &what })?;
        Ok(())
    }

    fn done(&mut self) -> Result<(), String> {
        let missing: Vec<_> = Role::ALL.iter().map(|role| role.name()).filter(|name| !self.seen.contains(name)).collect();
        match missing.as_slice() {
            [] => Ok(()),
            [one] => Err(format!("the role `{one}` is missing; `{one}: {{}}` leaves it plain")),
            more => Err(format!("the roles `{}` are missing; `{}: {{}}` leaves one plain", more.join("`, `"), more[0])),
        }
    }
}

/// Seed of a style.
struct Styled<'a> {
    palette: &'a BTreeMap<String, Color>,
    what: &'a str,
}

impl<'de> DeserializeSeed<'de> for Styled<'_> {
    type Value = Style;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Style, D::Error> {
        let mut look = Building { seed: self, style: Style::new(), seen: Vec::new() };
        yaml::Into(&mut look).deserialize(deserializer)?;
        Ok(look.style)
    }
}

struct Building<'a> {
    seed: Styled<'a>,
    style: Style,
    seen: Vec<&'static str>,
}

impl<'de> Entries<'de> for Building<'_> {
    type Key = &'static str;

    const WHAT: &'static str = "a style in braces, such as `{ fg: cyan, bold: true }`";

    fn key(&mut self, name: &str) -> Result<&'static str, String> {
        let word = *WORDS.iter().find(|word| **word == name).ok_or_else(|| format!("{}: {}", self.seed.what, unknown("word", name, WORDS)))?;
        once(&mut self.seen, word)?;
        Ok(word)
    }

    fn value<A: MapAccess<'de>>(&mut self, word: &'static str, map: &mut A) -> Result<(), A::Error> {
        let Styled { palette, what } = self.seed;
        let modifier = match word {
            "fg" => {
                self.style.fg = Some(map.next_value_seed(Word(|text: &str| color_of(text, palette, what)))?);
                return Ok(());
            }
            "bg" => {
                self.style.bg = Some(map.next_value_seed(Word(|text: &str| color_of(text, palette, what)))?);
                return Ok(());
            }
            "bold" => Modifier::BOLD,
            "dim" => Modifier::DIM,
            "italic" => Modifier::ITALIC,
            "underline" => Modifier::UNDERLINED,
            _ => Modifier::REVERSED,
        };
        let on = map.next_value_seed(Word(|text: &str| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(format!("{what}: `{word}` is `true` or `false`")),
        }))?;
        if on {
            self.style = self.style.add_modifier(modifier);
        }
        Ok(())
    }
}

fn color_of(text: &str, palette: &BTreeMap<String, Color>, what: &str) -> Result<Color, String> {
    if let Some(color) = palette.get(text).copied().or_else(|| color::parse(text)) {
        return Ok(color);
    }
    if text.is_empty() || text == "~" || text == "null" {
        return Err(format!("{what}: a colour is missing; `#` begins a comment unless the colour is in quotes: \"#7fb4ca\""));
    }
    if text.starts_with('#') {
        return Err(format!("{what}: `{}` is no colour; one is written with six digits, such as \"#7fb4ca\"", loopsy_shared::text::inert(text)));
    }
    let known = palette.keys().map(String::as_str).chain(color::NAMES.iter().map(|(name, _)| *name)).chain(["default"]);
    Err(format!("{what}: {}", unknown("colour", text, known.collect::<Vec<_>>())))
}

fn once(seen: &mut Vec<&'static str>, name: &'static str) -> Result<(), String> {
    if seen.contains(&name) {
        return Err(format!("`{name}` is there twice"));
    }
    seen.push(name);
    Ok(())
}

/// What a theme's text may be at most, in bytes.
pub(crate) const MOST: u64 = 64 << 10;
