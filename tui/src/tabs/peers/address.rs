//! Addresses and paths as people type them.

use loopsy_shared::config::DEFAULT_PORT;

/// `host`, `host:port`, `1.2.3.4:5`, `::1`, `[::1]:5`.
///
/// # Errors
/// A sentence, when it is none of them.
pub(super) fn parse(text: &str) -> Result<(String, u16), String> {
    let text = text.trim();
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or("The bracket is not closed: `[::1]:19532`.")?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err("After the bracket comes `:` and the port: `[::1]:19532`.".to_owned()),
            }
        }
        None => match text.split_once(':') {
            Some((_, rest)) if rest.contains(':') => (text, None),
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() || host.chars().any(|c| c.is_whitespace() || c == '/') {
        return Err("Type a host name or an IP address, with `:port` if it is not 19532.".to_owned());
    }
    let port = match port {
        None => DEFAULT_PORT,
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or("The port must be a number from 1 to 65535.")?,
    };
    Ok((host.to_owned(), port))
}

/// A path on this machine. The daemon has another working directory than any shell, so it must be absolute.
///
/// # Errors
/// A sentence, when it is not.
pub(super) fn here(text: &str) -> Result<String, String> {
    let text = text.trim();
    let mut chars = text.chars();
    let drive = chars.next().is_some_and(|c| c.is_ascii_alphabetic()) && chars.next() == Some(':');
    if text.starts_with('/') || drive || text.starts_with("\\\\") {
        Ok(text.to_owned())
    } else {
        Err("A path on this machine begins with `/` (or a drive letter); `~` is not understood here.".to_owned())
    }
}

/// A path on a peer; a relative one starts in the home directory there.
///
/// # Errors
/// A sentence, when there is none.
pub(super) fn there(text: &str) -> Result<String, String> {
    let text = text.trim();
    // The home directory is where relative paths start anyway.
    let text = text.strip_prefix("~/").unwrap_or(text);
    match text {
        "" => Err("Say where: a path there, from the home directory. One that ends in `/` takes the name as it is.".to_owned()),
        "~" => Ok("./".to_owned()),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_write_them() {
        for (text, host, port) in
            [("kai", "kai", 19532), ("10.0.0.1:7", "10.0.0.1", 7), ("::1", "::1", 19532), ("[fe80::1]:80", "fe80::1", 80), (" kai.local ", "kai.local", 19532)]
        {
            assert_eq!(parse(text), Ok((host.to_owned(), port)), "{text}");
        }
        for text in ["", "a b", "kai:0", "kai:x", "[::1", "[::1]x", "http://kai"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_as_the_daemons_take_them() {
        assert_eq!(here(" /tmp/a/ "), Ok("/tmp/a/".to_owned()));
        assert_eq!(here("C:\\x"), Ok("C:\\x".to_owned()));
        assert!(here("a").is_err() && here("~/a").is_err() && here("").is_err());
        assert_eq!(there("~/in/"), Ok("in/".to_owned()));
        assert!(there(" ").is_err());
    }
}
