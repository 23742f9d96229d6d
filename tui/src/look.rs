//! How things look: styles by role, lines and marks. Views speak in roles and never in colours.

use std::sync::Arc;

use ratatui::{
    style::{Color, Modifier, Style},
    symbols::border,
};

mod color;
mod detect;
mod files;
mod theme;

pub(crate) use color::Level;
pub(crate) use files::{Wishes, chosen, load, stamp, start};
pub(crate) use theme::Theme;

macro_rules! roles {
    ($($(#[$doc:meta])* $role:ident = $name:literal,)*) => {
        /// What a piece of the screen is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Role {
            $($(#[$doc])* $role,)*
        }

        impl Role {
            /// All there are, in the order of their numbers.
            pub(crate) const ALL: [Self; [$($name),*].len()] = [$(Self::$role),*];

            /// Its name in themes.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$role => $name,)*
                }
            }
        }
    };
}

// A role that is added here is added to every file in `themes/` too.
roles! {
    /// Text.
    Text = "text",
    /// Less important text.
    Faint = "faint",
    /// More important text.
    Strong = "strong",
    /// A tab that is not open.
    Tab = "tab",
    /// The open tab.
    TabOpen = "tab-open",
    /// The number of approvals that wait.
    Badge = "badge",
    /// The line around a pane.
    Border = "border",
    /// The line around the pane with the focus.
    BorderFocused = "border-focused",
    /// The line around a pane in INPUT mode, or around a review.
    BorderInput = "border-input",
    /// The title of a pane.
    Title = "title",
    /// The selected row of the focused pane.
    Selection = "selection",
    /// The selected row of another pane.
    SelectionFaint = "selection-faint",
    /// Column headings.
    Heading = "heading",
    /// A key, in footer and help.
    Key = "key",
    /// Well.
    Good = "good",
    /// To be noticed.
    Warn = "warn",
    /// Wrong.
    Bad = "bad",
    /// Worth knowing.
    Info = "info",
    /// Something that runs.
    Busy = "busy",
    /// A line that was added.
    Added = "added",
    /// A line that was taken away.
    Removed = "removed",
    /// A hit of a search.
    Hit = "hit",
    /// The hit that is looked at.
    HitNow = "hit-now",
    /// Text that is selected in a pane.
    Chosen = "chosen",
    /// What is not fresh.
    Stale = "stale",
    /// The status line.
    Status = "status",
    /// The mode in the status line, in NAV.
    ModeNav = "mode-nav",
    /// The mode in the status line, in INPUT.
    ModeInput = "mode-input",
    /// Where a person types.
    Field = "field",
}

/// All that decides how a thing looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Look {
    /// The theme's name.
    pub(crate) theme: String,
    /// Only ASCII is drawn.
    pub(crate) ascii: bool,
    /// How many colours the terminal knows.
    pub(crate) level: Level,
    themes: Arc<[Choice]>,
    screen: Style,
    styles: [Style; Role::ALL.len()],
}

/// A theme that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Its name: that of its file.
    pub(crate) name: String,
    /// It is the person's own and not one of ours.
    pub(crate) own: bool,
    /// The theme, or what is wrong with its file.
    pub(crate) theme: Result<Theme, String>,
}

/// The theme `dark` on a terminal with sixteen colours.
impl Default for Look {
    fn default() -> Self {
        Self::of(files::ours().into(), Level::Sixteen, false)
    }
}

impl Look {
    /// `dark`, out of these.
    fn of(themes: Arc<[Choice]>, level: Level, ascii: bool) -> Self {
        let plain = Self { theme: files::DEFAULT.to_owned(), ascii, level, themes, screen: Style::new(), styles: [Style::new(); Role::ALL.len()] };
        plain.with_theme(files::DEFAULT).unwrap_or(plain)
    }

    /// One of ours on a terminal of this kind.
    #[cfg(test)]
    pub(crate) fn test(theme: &str, level: Level, ascii: bool) -> Self {
        Self::of(files::ours().into(), level, ascii).with_theme(theme).unwrap()
    }

    /// The same with another theme; an error when there is none of the name, or when it is broken.
    ///
    /// # Errors
    /// In one sentence, with the names there are, or with line and column in the theme's file.
    pub(crate) fn with_theme(&self, name: &str) -> Result<Self, String> {
        let Some(choice) = self.themes.iter().find(|choice| choice.name == name) else {
            let names = self.themes.iter().map(|choice| choice.name.as_str());
            return Err(crate::yaml::unknown("theme", name, names));
        };
        let theme = choice.theme.as_ref().map_err(|why| format!("The theme `{name}` cannot be used: {why}"))?;
        let screen = self.fit(None, theme.screen, theme);
        let styles = Role::ALL.map(|role| self.fit(Some(theme.screen), theme.roles[role as usize], theme));
        Ok(Self { theme: choice.name.clone(), screen, styles, ..self.clone() })
    }

    /// A style as the terminal can show it. What is told by a background of its own is told by reversing where there are no colours.
    fn fit(&self, ground: Option<Style>, style: Style, theme: &Theme) -> Style {
        let mut fitted = Style { fg: None, bg: None, ..style };
        if self.level == Level::None {
            let plain = !style.add_modifier.intersects(Modifier::REVERSED | Modifier::UNDERLINED);
            let block = ground.is_some_and(|ground| style.bg.is_some_and(|bg| bg != ground.bg.unwrap_or_default()));
            return if plain && block { fitted.add_modifier(Modifier::REVERSED) } else { fitted };
        }
        let shown = ground.unwrap_or_default().patch(style);
        let (fg, bg) = color::degrade_pair(shown.fg.unwrap_or_default(), shown.bg.unwrap_or_default(), self.level, theme.light);
        // Only what the role says itself is kept, so that it can stand on the bar of a selected row.
        fitted.fg = (style.fg.is_some() || style.bg.is_some() && shown.fg.is_some()).then_some(fg);
        fitted.bg = style.bg.map(|_| bg);
        fitted
    }

    /// The style of a role.
    pub(crate) const fn style(&self, role: Role) -> Style {
        self.styles[role as usize]
    }

    /// The ground of everything: what cells are before anything is drawn, and after they were cleared.
    pub(crate) const fn screen(&self) -> Style {
        self.screen
    }

    /// A colour of a program in a pane, as the terminal can show it. The program's default stays what it is.
    pub(crate) fn pane_color(&self, color: Color) -> Color {
        color::degrade(color, self.level)
    }

    /// All themes, ours first.
    pub(crate) fn themes(&self) -> &[Choice] {
        &self.themes
    }

    /// The lines around a pane: `double` for INPUT and review.
    pub(crate) fn border(&self, double: bool) -> border::Set<'static> {
        const ASCII: border::Set<'static> = border::Set {
            top_left: "+",
            top_right: "+",
            bottom_left: "+",
            bottom_right: "+",
            vertical_left: "|",
            vertical_right: "|",
            horizontal_top: "-",
            horizontal_bottom: "-",
        };
        const ASCII_INPUT: border::Set<'static> = border::Set { vertical_left: "#", vertical_right: "#", horizontal_top: "=", horizontal_bottom: "=", ..ASCII };
        match (self.ascii, double) {
            (true, false) => ASCII,
            (true, true) => ASCII_INPUT,
            (false, false) => border::PLAIN,
            (false, true) => border::DOUBLE,
        }
    }
}

#[cfg(test)]
mod tests;
