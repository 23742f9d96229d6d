//! What the terminal can show, from what it says of itself. Nothing is asked of it: an answer could come late, or never.

use super::color::Level;

/// How many colours: as the person wants it, or as the environment says.
///
/// # Errors
/// When the wish is none of `auto`, `never`, `16`, `256`, `true`.
pub(crate) fn level(wish: Option<&str>, env: &dyn Fn(&str) -> Option<String>) -> Result<Level, String> {
    match wish {
        // Said here and now: counts more than `NO_COLOR`.
        Some("never") => return Ok(Level::None),
        Some("16") => return Ok(Level::Sixteen),
        Some("256") => return Ok(Level::Indexed),
        Some("true") => return Ok(Level::True),
        None | Some("auto") => {}
        Some(other) => return Err(format!("`{}` is no kind of colour; use auto, never, 16, 256 or true.", loopsy_shared::text::inert(other))),
    }
    if set(env, "NO_COLOR") {
        return Ok(Level::None);
    }
    // Windows Terminal names itself and nothing else.
    if set(env, "WT_SESSION") && !set(env, "TERM") {
        return Ok(Level::True);
    }
    let term = env("TERM").unwrap_or_default().to_lowercase();
    if term.is_empty() || term == "dumb" || term.starts_with("vt1") || term.starts_with("vt2") || term.ends_with("-mono") || term.ends_with("-m") {
        return Ok(Level::None);
    }
    // GNU screen passes on what it was started in, but not true colours. tmux does, and makes them fit by itself.
    let screen = term.starts_with("screen") && !set(env, "TMUX");
    let says_true = matches!(env("COLORTERM").unwrap_or_default().to_lowercase().as_str(), "truecolor" | "24bit");
    let all = ["direct", "kitty", "alacritty", "wezterm", "ghostty", "foot", "contour"];
    if !screen && (says_true || all.iter().any(|name| term.contains(name))) {
        return Ok(Level::True);
    }
    match env("TERM_PROGRAM").unwrap_or_default().as_str() {
        "iTerm.app" | "WezTerm" | "ghostty" | "vscode" | "Hyper" if !screen => return Ok(Level::True),
        "Apple_Terminal" => return Ok(Level::Indexed),
        _ => {}
    }
    Ok(if term.contains("256") || says_true { Level::Indexed } else { Level::Sixteen })
}

/// Whether only ASCII can be drawn: the environment names characters that are not UTF-8. One that names none is taken for today's usual.
pub(crate) fn ascii(env: &dyn Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| env(name).filter(|value| !value.is_empty()));
    let utf8 = |locale: String| {
        let locale = locale.to_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    };
    env("TERM").is_some_and(|term| term == "dumb") || locale.is_some_and(|locale| !utf8(locale))
}

fn set(env: &dyn Fn(&str) -> Option<String>, name: &str) -> bool {
    env(name).is_some_and(|value| !value.is_empty())
}
