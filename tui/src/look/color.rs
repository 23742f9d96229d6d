//! Colours: their names, how they are said to terminals that know fewer, and how well one is read on another.

use ratatui::style::Color;

/// The sixteen, by number, as themes name them.
pub(crate) const NAMES: [(&str, Color); 16] = [
    ("black", Color::Black),
    ("red", Color::Red),
    ("green", Color::Green),
    ("yellow", Color::Yellow),
    ("blue", Color::Blue),
    ("magenta", Color::Magenta),
    ("cyan", Color::Cyan),
    ("white", Color::Gray),
    ("bright-black", Color::DarkGray),
    ("bright-red", Color::LightRed),
    ("bright-green", Color::LightGreen),
    ("bright-yellow", Color::LightYellow),
    ("bright-blue", Color::LightBlue),
    ("bright-magenta", Color::LightMagenta),
    ("bright-cyan", Color::LightCyan),
    ("bright-white", Color::White),
];

/// What the sixteen look like in xterm. Every terminal may show them otherwise; something must be assumed to find the nearest, and to say what can be read.
const XTERM: [Rgb; 16] = [
    (0x00, 0x00, 0x00),
    (0xcd, 0x00, 0x00),
    (0x00, 0xcd, 0x00),
    (0xcd, 0xcd, 0x00),
    (0x00, 0x00, 0xee),
    (0xcd, 0x00, 0xcd),
    (0x00, 0xcd, 0xcd),
    (0xe5, 0xe5, 0xe5),
    (0x7f, 0x7f, 0x7f),
    (0xff, 0x00, 0x00),
    (0x00, 0xff, 0x00),
    (0xff, 0xff, 0x00),
    (0x5c, 0x5c, 0xff),
    (0xff, 0x00, 0xff),
    (0x00, 0xff, 0xff),
    (0xff, 0xff, 0xff),
];

/// What counts as readable: the ratio that the WCAG ask for.
pub(crate) const READABLE: f64 = 4.5;

/// Red, green, blue.
pub(crate) type Rgb = (u8, u8, u8);

/// How many colours the terminal knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// None at all. Bold, dim, reversed and underlined stay.
    None,
    /// The sixteen.
    Sixteen,
    /// 256.
    Indexed,
    /// All.
    True,
}

/// Text and background that a terminal has by itself, as far as a theme is for such a one.
pub(crate) const fn defaults(light: bool) -> (Rgb, Rgb) {
    if light { ((0, 0, 0), (0xff, 0xff, 0xff)) } else { (XTERM[7], XTERM[0]) }
}

/// Reads `red`, `#7fb4ca`, `0` to `255`, `default`.
pub(crate) fn parse(text: &str) -> Option<Color> {
    if text == "default" {
        return Some(Color::Reset);
    }
    if let Some(hex) = text.strip_prefix('#') {
        let number = u32::from_str_radix(hex, 16).ok().filter(|_| hex.len() == 6 && hex.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        let [_, red, green, blue] = number.to_be_bytes();
        return Some(Color::Rgb(red, green, blue));
    }
    NAMES.iter().find(|(name, _)| *name == text).map(|(_, color)| *color).or_else(|| text.parse().ok().map(indexed))
}

/// A colour of the 256; the first sixteen have names.
fn indexed(number: u8) -> Color {
    NAMES.get(usize::from(number)).map_or(Color::Indexed(number), |(_, color)| *color)
}

/// What a colour looks like; none for the terminal's own.
pub(crate) fn rgb(color: Color) -> Option<Rgb> {
    match color {
        Color::Reset => None,
        Color::Rgb(red, green, blue) => Some((red, green, blue)),
        Color::Indexed(number) => Some(of_index(number)),
        named => NAMES.iter().position(|(_, known)| *known == named).map(|at| XTERM[at]),
    }
}

fn of_index(number: u8) -> Rgb {
    let level = |at: u8| if at == 0 { 0 } else { 55 + 40 * at };
    match number {
        0..16 => XTERM[usize::from(number)],
        16..232 => {
            let cube = number - 16;
            (level(cube / 36), level(cube / 6 % 6), level(cube % 6))
        }
        232.. => {
            let grey = 8 + 10 * (number - 232);
            (grey, grey, grey)
        }
    }
}

/// How far two colours are from each other, roughly as eyes see it.
fn distance(a: Rgb, b: Rgb) -> i64 {
    let (red, green, blue) = (i64::from(a.0) - i64::from(b.0), i64::from(a.1) - i64::from(b.1), i64::from(a.2) - i64::from(b.2));
    let mean = i64::midpoint(i64::from(a.0), i64::from(b.0));
    (((512 + mean) * red * red) >> 8) + 4 * green * green + (((767 - mean) * blue * blue) >> 8)
}

/// All that a terminal of this kind can be told exactly. The first sixteen are left out of the 256: they look different everywhere.
fn known(level: Level) -> impl Iterator<Item = (Color, Rgb)> {
    let named = (level == Level::Sixteen).then(|| NAMES.iter().zip(XTERM).map(|((_, color), rgb)| (*color, rgb)));
    let numbered = (level == Level::Indexed).then(|| (16..=255).map(|number| (Color::Indexed(number), of_index(number))));
    named.into_iter().flatten().chain(numbered.into_iter().flatten())
}

/// The nearest that the terminal knows.
pub(crate) fn degrade(color: Color, level: Level) -> Color {
    match (color, level) {
        (_, Level::None) => Color::Reset,
        (Color::Rgb(..), Level::Indexed | Level::Sixteen) | (Color::Indexed(16..), Level::Sixteen) => {
            let wanted = rgb(color).unwrap_or_default();
            known(level).min_by_key(|(_, rgb)| distance(*rgb, wanted)).map_or(color, |(near, _)| near)
        }
        (Color::Indexed(number), Level::Sixteen) => indexed(number),
        (color, _) => color,
    }
}

/// A text's colour on a background, for a terminal that may know fewer. What could be read can be read afterwards too: where the nearest colours are too near to
/// each other, the text takes the nearest that is not.
pub(crate) fn degrade_pair(fg: Color, bg: Color, level: Level, light: bool) -> (Color, Color) {
    let (near_fg, near_bg) = (degrade(fg, level), degrade(bg, level));
    let (default_fg, default_bg) = defaults(light);
    let seen = |fg, bg| contrast(rgb(fg).unwrap_or(default_fg), rgb(bg).unwrap_or(default_bg));
    let fg = if level == Level::None || seen(near_fg, near_bg) >= READABLE || seen(fg, bg) < READABLE {
        near_fg
    } else {
        let wanted = rgb(fg).unwrap_or(default_fg);
        let readable = known(level).filter(|(color, _)| seen(*color, near_bg) >= READABLE);
        readable.min_by_key(|(_, rgb)| distance(*rgb, wanted)).map_or(near_fg, |(color, _)| color)
    };
    // Black on the terminal's own background is invisible where that is not what was assumed.
    if (fg, near_bg) == (Color::Black, Color::Reset) { (Color::Reset, near_bg) } else { (fg, near_bg) }
}

/// The contrast of two colours as the WCAG define it: 1 to 21.
pub(crate) fn contrast(a: Rgb, b: Rgb) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn luminance((red, green, blue): Rgb) -> f64 {
    let linear = |part: u8| {
        let part = f64::from(part) / 255.0;
        if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}
