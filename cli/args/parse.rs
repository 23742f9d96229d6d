//! What stands in arguments: durations, addresses, scopes.

use std::time::Duration;

use loopsy_shared::{
    api::{Scope, context::Ttl, execute::Timeout},
    config::DEFAULT_PORT,
    text::inert,
};

/// Reads `250`, `250ms`, `30s`, `5m`, `1.5h`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let value: f64 = number.parse().map_err(|_| format!("`{text}` is not a duration; write `30s`, `5m`, `1h`, or milliseconds"))?;
    let millis = match unit {
        "" | "ms" => value,
        "s" => value * 1000.0,
        "m" | "min" => value * 60_000.0,
        "h" => value * 3_600_000.0,
        _ => return Err(format!("`{unit}` is not a unit of time; use `ms`, `s`, `m` or `h`")),
    };
    Duration::try_from_secs_f64(millis / 1000.0).map_err(|_| format!("`{text}` is too long"))
}

pub(super) fn parse_timeout(text: &str) -> Result<Timeout, String> {
    Timeout::from_millis(parse_duration(text)?.as_secs_f64() * 1000.0)
}

pub(super) fn parse_ttl(text: &str) -> Result<Ttl, String> {
    let seconds = text.parse().map_err(|_| format!("ttl must be a positive whole number of seconds, not `{text}`"))?;
    Ttl::from_seconds(seconds)
}

pub(super) fn parse_env(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

pub(super) fn parse_lines(text: &str) -> Result<usize, String> {
    if text == "all" { Ok(usize::MAX) } else { text.parse().map_err(|_| "write a number of lines, or `all`".to_owned()) }
}

/// Reads the word for a scope.
pub(super) fn parse_scope(text: &str) -> Result<Scope, String> {
    let all = || Scope::ALL.map(|scope| format!("`{scope}`", scope = scope.as_str())).join(", ");
    Scope::from_word(text.trim()).ok_or_else(|| format!("`{}` is no scope; the scopes are {}", inert(text), all()))
}

/// Reads an amount of US dollars.
pub(super) fn parse_dollars(text: &str) -> Result<f64, String> {
    let amount = text.strip_prefix('$').unwrap_or(text).parse::<f64>().ok().filter(|amount| amount.is_finite() && *amount > 0.0);
    amount.ok_or_else(|| "write an amount of US dollars above 0, such as `2.50`".to_owned())
}

/// Reads the beginning of a SHA-256: enough of it that nobody finds another input with the same.
pub(super) fn parse_hash(text: &str) -> Result<String, String> {
    let hash = text.trim_end_matches(['.', '…']).to_ascii_lowercase();
    if (8..=64).contains(&hash.len()) && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(hash)
    } else {
        Err("write 8 to 64 hexadecimal digits of the hash, as `loopsy approvals show` prints it".to_owned())
    }
}

/// Reads `host`, `host:port`, `v6`, `[v6]` and `[v6]:port`, with a port given apart from it winning over none.
///
/// # Errors
/// A sentence, when it is neither.
pub(crate) fn parse_address(text: &str, port: Option<u16>) -> Result<(String, u16), String> {
    let (inner, given) = parse_place(text)?;
    match (given, port) {
        (Some(a), Some(b)) if a != b => Err(complaint(text, "the port is given twice")),
        _ => Ok((inner, given.or(port).unwrap_or(DEFAULT_PORT))),
    }
}

/// The same, without making up a port where none is given.
///
/// # Errors
/// A sentence, when it is neither.
pub(crate) fn parse_place(text: &str) -> Result<(String, Option<u16>), String> {
    let complaint = |why: &str| complaint(text, why);
    let (host, inner) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(|| complaint("the bracket is not closed"))?;
        match (rest, rest.strip_prefix(':')) {
            ("", _) => (host, None),
            (_, Some(port)) => (host, Some(port)),
            (_, None) => return Err(complaint("a port after brackets begins with `:`")),
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            Some(_) if text.parse::<std::net::Ipv6Addr>().is_err() => return Err(complaint("an IPv6 address with a port is written `[::1]:19532`")),
            _ => (text, None),
        }
    };
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || "/@?#".contains(c)) {
        return Err(complaint("write a host name or an IP address, with `:port` if needed"));
    }
    let inner = inner.map(|port| port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(|| complaint("the port must be 1 to 65535"))).transpose()?;
    Ok((host.to_owned(), inner))
}

fn complaint(text: &str, why: &str) -> String {
    format!("`{}` is not an address: {why}.", loopsy_shared::text::inert(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_one_of_those_there_are() {
        assert_eq!(parse_scope("ai-tasks"), Ok(Scope::AiTasks));
        assert!(parse_scope("exec").expect_err("none").contains("`execute`"));
    }

    #[test]
    fn amounts_and_hashes() {
        assert_eq!(parse_dollars("$2.50"), Ok(2.5));
        for bad in ["0", "-1", "NaN", "inf", "", "two"] {
            assert!(parse_dollars(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_hash("B61EC0DE"), Ok("b61ec0de".to_owned()));
        for bad in ["b61ec0d", "", "b61ec0dg", "b61e c0de"] {
            assert!(parse_hash(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations() {
        for (text, ms) in [("250", 250), ("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("1.5h", 5_400_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["", "s", "-1", "1d", "1.2.3s", "99999999999999999999999999h"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        assert!(parse_timeout("0").is_err());
        assert!(parse_timeout("1000h").is_err());
    }

    #[test]
    fn addresses() {
        let ok = |text, port| parse_address(text, port).expect(text);
        assert_eq!(ok("192.168.1.5", None), ("192.168.1.5".to_owned(), DEFAULT_PORT));
        assert_eq!(ok("kai.local:1", None), ("kai.local".to_owned(), 1));
        assert_eq!(ok("fe80::1", Some(7)), ("fe80::1".to_owned(), 7));
        assert_eq!(ok("[fe80::1]:9", None), ("fe80::1".to_owned(), 9));
        assert_eq!(ok("[::1]", None), ("::1".to_owned(), DEFAULT_PORT));
        for bad in ["", ":1", "a:0", "a:70000", "a:x", "[::1", "[::1]9", "http://a", "a b"] {
            assert!(parse_address(bad, None).is_err(), "{bad}");
        }
        assert!(parse_address("a:1", Some(2)).is_err());
        assert_eq!(parse_place("[::1]"), Ok(("::1".to_owned(), None)));
        assert_eq!(parse_place("kai:7"), Ok(("kai".to_owned(), Some(7))));
    }
}
