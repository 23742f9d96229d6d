//! Themes can be read, in both senses, on every kind of terminal.

use proptest::prelude::*;
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier, Style},
};

use super::{
    color::{self, Level, Rgb},
    *,
};

const LEVELS: [Level; 4] = [Level::None, Level::Sixteen, Level::Indexed, Level::True];

fn theme(name: &str) -> Theme {
    files::ours().into_iter().find(|choice| choice.name == name).unwrap().theme.unwrap_or_else(|why| panic!("{name}: {why}"))
}

/// What a person sees: text and background. The terminal's sixteen are taken to be xterm's; its own text and background grey on black (`#e5e5e5` on `#000000`, as
/// xterm's with a dark background) for themes that are for dark terminals, and black on white for the others. Dim text is taken to be two thirds text and one third background.
fn seen(style: Style, light: bool) -> (Rgb, Rgb) {
    let (fg, bg) = color::defaults(light);
    let (mut fg, mut bg) = (color::rgb(style.fg.unwrap_or_default()).unwrap_or(fg), color::rgb(style.bg.unwrap_or_default()).unwrap_or(bg));
    if style.add_modifier.contains(Modifier::REVERSED) {
        std::mem::swap(&mut fg, &mut bg);
    }
    if style.add_modifier.contains(Modifier::DIM) {
        let mix = |a: u8, b: u8| ((u16::from(a) * 2 + u16::from(b)) / 3) as u8;
        fg = (mix(fg.0, bg.0), mix(fg.1, bg.1), mix(fg.2, bg.2));
    }
    (fg, bg)
}

#[test]
fn every_role_of_every_theme_can_be_read_on_every_kind_of_terminal() {
    for level in [Level::Sixteen, Level::Indexed, Level::True] {
        for choice in files::ours() {
            let theme = choice.theme.unwrap_or_else(|why| panic!("{}: {why}", choice.name));
            let look = Look::of(files::ours().into(), level, false).with_theme(&choice.name).unwrap();
            let least = if choice.name == "high-contrast" { 7.0 } else { color::READABLE };
            for role in Role::ALL {
                let style = look.screen().patch(look.style(role));
                let (fg, bg) = seen(style, theme.light);
                let ratio = color::contrast(fg, bg);
                assert!(ratio >= least, "{}, {level:?}: `{}` has {ratio:.2} of {least}: {style:?}", choice.name, role.name());
            }
        }
    }
}

/// What is told by a style is still told: the selection is not the text around it, the open tab not the others, a mode not the other.
#[test]
fn what_differs_differs_without_colours_too() {
    for choice in files::ours() {
        for level in LEVELS {
            let look = Look::of(files::ours().into(), level, false).with_theme(&choice.name).unwrap();
            for (one, other) in [
                (Role::Selection, Role::Text),
                (Role::Selection, Role::SelectionFaint),
                (Role::SelectionFaint, Role::Text),
                (Role::TabOpen, Role::Tab),
                (Role::HitNow, Role::Hit),
                (Role::Hit, Role::Text),
                (Role::Chosen, Role::Text),
                (Role::ModeNav, Role::ModeInput),
                (Role::Key, Role::Faint),
            ] {
                let visible = |role| look.screen().patch(look.style(role));
                // Faint and key are told apart by their places when there is nothing else.
                if (level, one) == (Level::None, Role::Key) {
                    continue;
                }
                assert_ne!(visible(one), visible(other), "{} at {level:?}: {one:?} looks like {other:?}", choice.name);
            }
        }
    }
}

#[test]
fn nothing_is_coloured_where_there_are_no_colours() {
    for choice in files::ours() {
        let look = Look::of(files::ours().into(), Level::None, false).with_theme(&choice.name).unwrap();
        for style in Role::ALL.map(|role| look.style(role)).into_iter().chain([look.screen()]) {
            assert_eq!((style.fg, style.bg), (None, None), "{}", choice.name);
        }
        assert_eq!(look.pane_color(Color::Rgb(1, 2, 3)), Color::Reset);
        assert_eq!(look.pane_color(Color::Red), Color::Reset);
    }
}

#[test]
fn a_terminal_is_told_only_colours_that_it_knows() {
    for choice in files::ours() {
        for level in [Level::Sixteen, Level::Indexed] {
            let look = Look::of(files::ours().into(), level, false).with_theme(&choice.name).unwrap();
            for color in Role::ALL.iter().flat_map(|role| [look.style(*role).fg, look.style(*role).bg]).flatten() {
                assert!(!matches!(color, Color::Rgb(..)) && (level != Level::Sixteen || !matches!(color, Color::Indexed(_))), "{}: {color}", choice.name);
            }
        }
    }
    let look = Look::of(files::ours().into(), Level::Sixteen, false);
    assert_eq!(look.pane_color(Color::Rgb(250, 3, 3)), Color::LightRed);
    assert_eq!(look.pane_color(Color::Indexed(1)), Color::Red);
    assert_eq!(look.pane_color(Color::Indexed(46)), Color::LightGreen);
    assert_eq!(look.pane_color(Color::Reset), Color::Reset);
    let look = Look::of(files::ours().into(), Level::Indexed, false);
    assert_eq!(look.pane_color(Color::Rgb(0, 95, 135)), Color::Indexed(24));
    assert_eq!(look.pane_color(Color::Red), Color::Red);
}

#[test]
fn the_usual_theme_is_the_terminals_own() {
    let theme = theme("dark");
    assert_eq!(theme.screen, Style::new());
    for role in Role::ALL {
        let style = theme.roles[role as usize];
        assert!(style.bg.is_none() && !matches!(style.fg, Some(Color::Rgb(..) | Color::Indexed(_) | Color::Black)), "{role:?}");
    }
    assert_eq!(Look::default().theme, "dark");
}

#[test]
fn mistakes_in_a_theme_have_a_place_and_a_name() {
    let dark = include_str!("../../../themes/dark.yaml");
    for (from, to, names) in [
        ("  bad: ", "  baad: ", &["`baad`", "did you mean `bad`?", "line"][..]),
        ("  tab: {}\n", "", &["the role `tab` is missing", "line"]),
        ("  tab: {}\n  tab-open: { bold: true, reversed: true }\n", "", &["`tab`, `tab-open`", "are missing"]),
        ("bad: { fg: bright-red }", "bad: { fg: bright-rad }", &["the role `bad`", "did you mean `bright-red`?", "line"]),
        ("bad: { fg: bright-red }", "bad: { fg: #ff0000 }", &["line"]),
        ("bad: { fg: bright-red }", "bad:\n    fg: #ff0000", &["the role `bad`", "in quotes", "line"]),
        ("bad: { fg: bright-red }", "bad: { fg: '#ff00' }", &["the role `bad`", "six digits"]),
        ("bad: { fg: bright-red }", "bad: { fg: 256 }", &["the role `bad`", "`256`"]),
        ("bad: { fg: bright-red }", "bad: { fg: black }", &["`bad` is black on the terminal's own background"]),
        ("bad: { fg: bright-red }", "bad: bright-red", &["line", "in braces"]),
        ("bad: { fg: bright-red }", "bad: { blink: true }", &["the role `bad`", "`blink`"]),
        ("bad: { fg: bright-red }", "bad: { bold: yes }", &["`bold` is `true` or `false`"]),
        ("bad: { fg: bright-red }", "bad: { fg: red, fg: blue }", &["`fg` is there twice"]),
        ("background: dark", "background: drak", &["did you mean `dark`?", "line"]),
        ("background: dark\n", "", &["`background` is missing"]),
        ("screen: {}", "screen: {}\npalette: {x: red}", &["before"]),
        ("screen: {}", "palette: {red: blue}\nscreen: {}", &["`red` means something already"]),
        ("screen: {}", "colours: {}", &["`colours`"]),
    ] {
        assert!(dark.contains(from), "{from}");
        let why = theme::parse(&dark.replacen(from, to, 1)).expect_err(to);
        for name in names {
            assert!(why.contains(name), "{to}: {why}\nwithout {name}");
        }
    }
}

#[test]
fn every_way_to_write_a_colour() {
    for (text, color) in [
        ("red", Color::Red),
        ("white", Color::Gray),
        ("bright-black", Color::DarkGray),
        ("bright-white", Color::White),
        ("default", Color::Reset),
        ("#7fb4ca", Color::Rgb(0x7f, 0xb4, 0xca)),
        ("9", Color::LightRed),
        ("255", Color::Indexed(255)),
    ] {
        assert_eq!(color::parse(text), Some(color), "{text}");
    }
    for text in ["", "#", "#12345", "#1234567", "#+12345", "#é1234", "256", "-1", "Red", "gray"] {
        assert_eq!(color::parse(text), None, "{text}");
    }
}

fn env(pairs: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
    move |name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}

#[test]
fn what_the_terminal_can_is_told_by_its_environment() {
    for (pairs, level) in [
        (&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")][..], Level::True),
        (&[("TERM", "xterm-256color"), ("COLORTERM", "24bit"), ("NO_COLOR", "")], Level::True),
        (&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("NO_COLOR", "1")], Level::None),
        (&[("TERM", "xterm-256color")], Level::Indexed),
        (&[("TERM", "tmux-256color"), ("TMUX", "/tmp/x")], Level::Indexed),
        (&[("TERM", "screen-256color"), ("TMUX", "/tmp/x"), ("COLORTERM", "truecolor")], Level::True),
        (&[("TERM", "screen.xterm-256color"), ("COLORTERM", "truecolor")], Level::Indexed),
        (&[("TERM", "screen"), ("TERM_PROGRAM", "iTerm.app")], Level::Sixteen),
        (&[("TERM", "xterm-kitty")], Level::True),
        (&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "Apple_Terminal")], Level::Indexed),
        (&[("TERM", "linux")], Level::Sixteen),
        (&[("TERM", "xterm")], Level::Sixteen),
        (&[("TERM", "vt220")], Level::None),
        (&[("TERM", "dumb"), ("COLORTERM", "truecolor")], Level::None),
        (&[("WT_SESSION", "5f")], Level::True),
        (&[], Level::None),
    ] {
        assert_eq!(detect::level(None, &env(pairs)), Ok(level), "{pairs:?}");
        assert_eq!(detect::level(Some("auto"), &env(pairs)), Ok(level), "{pairs:?}");
        assert_eq!(detect::level(Some("256"), &env(pairs)), Ok(Level::Indexed));
        assert_eq!(detect::level(Some("never"), &env(pairs)), Ok(Level::None));
    }
    assert!(detect::level(Some("many"), &env(&[])).is_err());
    for (pairs, ascii) in [
        (&[("LANG", "en_GB.UTF-8")][..], false),
        (&[("LANG", "C")], true),
        (&[("LANG", "C"), ("LC_ALL", "C.utf8")], false),
        (&[("LC_ALL", ""), ("LC_CTYPE", "de_DE.ISO-8859-1"), ("LANG", "de_DE.UTF-8")], true),
        (&[], false),
        (&[("TERM", "dumb"), ("LANG", "C.UTF-8")], true),
    ] {
        assert_eq!(detect::ascii(&env(pairs)), ascii, "{pairs:?}");
    }
}

#[test]
fn a_persons_own_themes_are_read_and_a_broken_one_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let themes = dir.path().join("themes");
    std::fs::create_dir(&themes).unwrap();
    let before = stamp(dir.path());
    let dark = include_str!("../../../themes/dark.yaml");
    std::fs::write(themes.join("mine.yaml"), dark.replace("bright-red", "magenta")).unwrap();
    std::fs::write(themes.join("light.yaml"), dark).unwrap();
    std::fs::write(themes.join("broken.yaml"), "roles: {").unwrap();
    std::fs::write(themes.join("huge.yaml"), " ".repeat(70_000)).unwrap();
    std::fs::create_dir(themes.join("folder.yaml")).unwrap();
    std::fs::write(themes.join("notes.txt"), "no theme").unwrap();
    assert_ne!(stamp(dir.path()), before);
    assert_eq!(stamp(dir.path()), stamp(dir.path()));
    let env = env(&[("TERM", "xterm-256color"), ("LANG", "C.UTF-8")]);
    let wish = |theme: &str| Wishes { theme: Some(theme.to_owned()), ..Wishes::default() };
    let look = load(dir.path(), &wish("mine"), &env).unwrap();
    assert_eq!(look.style(Role::Bad).fg, Some(Color::Magenta));
    assert_eq!(look.level, Level::Indexed);
    let names: Vec<_> = look.themes().iter().map(|choice| (choice.name.as_str(), choice.own, choice.theme.is_ok())).collect();
    let expected = [
        ("dark", false, true),
        ("light", true, true),
        ("high-contrast", false, true),
        ("harbour", false, true),
        ("linen", false, true),
        ("broken", true, false),
        ("folder", true, false),
        ("huge", true, false),
        ("mine", true, true),
    ];
    assert_eq!(names, expected);
    assert!(load(dir.path(), &wish("miine"), &env).unwrap_err().contains("did you mean `mine`?"));
    assert!(load(dir.path(), &wish("broken"), &env).unwrap_err().contains("line"));
    let (look, why) = start(dir.path(), &wish("broken"), &env);
    assert_eq!((look.theme.as_str(), why.is_some()), ("dark", true));
    let (look, why) = start(dir.path(), &Wishes { color: Some("many".to_owned()), ..wish("mine") }, &env);
    assert_eq!((look.theme.as_str(), why.is_some()), ("mine", true));
    let nowhere = dir.path().join("nowhere");
    assert_eq!(start(&nowhere, &Wishes::default(), &env).1, None);
}

#[test]
fn what_was_chosen_holds_until_the_config_says_something_else() {
    let state = serde_json::json!({"theme": {"name": "linen", "over": "light"}});
    assert_eq!(chosen(&state, Some("light")).as_deref(), Some("linen"));
    assert_eq!(chosen(&state, Some("harbour")).as_deref(), Some("harbour"));
    assert_eq!(chosen(&state, None), None);
    assert_eq!(chosen(&serde_json::json!({"theme": {"name": "linen", "over": null}}), None).as_deref(), Some("linen"));
    for odd in [serde_json::json!(null), serde_json::json!({"theme": 3}), serde_json::json!([])] {
        assert_eq!(chosen(&odd, Some("light")).as_deref(), Some("light"));
    }
}

/// A role on a bar keeps the bar's background, and what was cleared gets the theme's ground again.
#[test]
fn styles_lie_upon_each_other() {
    let look = Look::of(files::ours().into(), Level::True, false).with_theme("harbour").unwrap();
    let mut buf = Buffer::empty(Rect::new(0, 0, 3, 1));
    buf.set_style(buf.area, look.screen());
    let ground = buf[(0, 0)].bg;
    assert!(matches!(ground, Color::Rgb(..)));
    buf.set_style(buf.area, look.style(Role::SelectionFaint));
    let bar = buf[(0, 0)].bg;
    assert_ne!(bar, ground);
    buf.set_style(buf.area, look.style(Role::Bad));
    assert_eq!(buf[(0, 0)].bg, bar);
    assert_eq!(Some(buf[(0, 0)].fg), look.style(Role::Bad).fg);
}

proptest! {
    #[test]
    fn any_text_is_a_theme_or_an_error(text in "\\PC{0,200}") {
        let _either = theme::parse(&text);
    }

    /// Texts that are nearly themes.
    #[test]
    fn any_change_of_a_theme(at in 0usize..2500, length in 0usize..40, with in "\\PC{0,6}|[\\n:{}\\[\\]#&*!|>'\" -]{0,6}") {
        let text = include_str!("../../../themes/harbour.yaml");
        let floor = |mut at: usize| { at = at.min(text.len()); while !text.is_char_boundary(at) { at -= 1 } at };
        let (from, to) = (floor(at), floor(at + length));
        let _either = theme::parse(&format!("{}{with}{}", &text[..from], &text[to..]));
    }

    /// What could be read can still be read on terminals with fewer colours.
    #[test]
    fn fewer_colours_stay_readable(fg: (u8, u8, u8), bg: (u8, u8, u8), own: bool, light: bool) {
        let (ink, ground) = (Color::Rgb(fg.0, fg.1, fg.2), if own { Color::Reset } else { Color::Rgb(bg.0, bg.1, bg.2) });
        let ratio = |fg, bg| {
            let (fg, bg) = seen(Style::new().fg(fg).bg(bg), light);
            color::contrast(fg, bg)
        };
        for level in [Level::Sixteen, Level::Indexed] {
            let (near, near_ground) = color::degrade_pair(ink, ground, level, light);
            if ratio(ink, ground) >= color::READABLE {
                prop_assert!(ratio(near, near_ground) >= color::READABLE, "{ink} on {ground} became {near} on {near_ground}");
            }
            prop_assert!((near, near_ground) != (Color::Black, Color::Reset));
        }
    }
}
