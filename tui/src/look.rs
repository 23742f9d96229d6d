//! How things look: styles by role, lines and marks. Views speak in roles and never in colours.

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;

/// What a piece of the screen is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// Text.
    Text,
    /// Less important text.
    Faint,
    /// More important text.
    Strong,
    /// A tab that is not open.
    Tab,
    /// The open tab.
    TabOpen,
    /// The number of approvals that wait.
    Badge,
    /// The line around a pane.
    Border,
    /// The line around the pane with the focus.
    BorderFocused,
    /// The line around a pane in INPUT mode, or around a review.
    BorderInput,
    /// The title of a pane.
    Title,
    /// The selected row of the focused pane.
    Selection,
    /// The selected row of another pane.
    SelectionFaint,
    /// Column headings.
    Heading,
    /// A key, in footer and help.
    Key,
    /// Well.
    Good,
    /// To be noticed.
    Warn,
    /// Wrong.
    Bad,
    /// Worth knowing.
    Info,
    /// Something that runs.
    Busy,
    /// A line that was added.
    Added,
    /// A line that was taken away.
    Removed,
    /// A hit of a search.
    Hit,
    /// The hit that is looked at.
    HitNow,
    /// Text that is selected in a pane.
    Chosen,
    /// What is not fresh.
    Stale,
    /// The status line.
    Status,
    /// The mode in the status line, in NAV.
    ModeNav,
    /// The mode in the status line, in INPUT.
    ModeInput,
    /// Where a person types.
    Field,
}

/// All that decides how a thing looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Look {
    /// The theme's name.
    pub(crate) theme: String,
    /// Only ASCII is drawn.
    pub(crate) ascii: bool,
    styles: Vec<(Role, Style)>,
}

impl Default for Look {
    fn default() -> Self {
        use Role as R;
        let plain = Style::new();
        let color = |color| plain.fg(color);
        let styles = vec![
            (R::Faint, plain.add_modifier(Modifier::DIM)),
            (R::Strong, plain.add_modifier(Modifier::BOLD)),
            (R::TabOpen, plain.add_modifier(Modifier::BOLD | Modifier::REVERSED)),
            (R::Badge, color(Color::Yellow).add_modifier(Modifier::BOLD)),
            (R::Border, plain.add_modifier(Modifier::DIM)),
            (R::BorderFocused, color(Color::Cyan)),
            (R::BorderInput, color(Color::Yellow).add_modifier(Modifier::BOLD)),
            (R::Title, plain.add_modifier(Modifier::BOLD)),
            (R::Selection, plain.add_modifier(Modifier::REVERSED)),
            (R::SelectionFaint, plain.add_modifier(Modifier::UNDERLINED)),
            (R::Heading, plain.add_modifier(Modifier::DIM)),
            (R::Key, plain.add_modifier(Modifier::BOLD)),
            (R::Good, color(Color::Green)),
            (R::Warn, color(Color::Yellow)),
            (R::Bad, color(Color::Red)),
            (R::Info, color(Color::Cyan)),
            (R::Busy, color(Color::Cyan)),
            (R::Added, color(Color::Green)),
            (R::Removed, color(Color::Red)),
            (R::Hit, plain.add_modifier(Modifier::UNDERLINED)),
            (R::HitNow, plain.add_modifier(Modifier::REVERSED)),
            (R::Chosen, plain.add_modifier(Modifier::REVERSED)),
            (R::Stale, plain.add_modifier(Modifier::DIM)),
            (R::ModeInput, color(Color::Yellow).add_modifier(Modifier::BOLD | Modifier::REVERSED)),
            (R::ModeNav, plain.add_modifier(Modifier::BOLD)),
        ];
        Self { theme: "dark".to_owned(), ascii: false, styles }
    }
}

impl Look {
    /// The style of a role.
    pub(crate) fn style(&self, role: Role) -> Style {
        self.styles.iter().find(|(known, _)| *known == role).map_or_else(Style::new, |(_, style)| *style)
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
