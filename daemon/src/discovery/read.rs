//! The only reader of what came from the network: cuts, cleans and refuses.

use std::net::{IpAddr, Ipv4Addr};

use loopsy_shared::{config, id::NodeId, text, time};

use super::Sighting;

/// Addresses of one node that are kept.
pub const MOST_ADDRESSES: usize = 8;
/// Capabilities of one node that are kept.
pub const MOST_CAPABILITIES: usize = 64;
/// Characters of a version, a platform or one capability.
pub const MOST_FIELD: usize = 64;
/// Addresses that are looked at; a packet of mDNS does not hold many more.
const MOST_ADDRESSES_READ: usize = 64;
/// TXT entries that are looked at.
const MOST_ENTRIES: usize = 64;
/// Bytes of one value that are looked at. One from a packet has at most 255.
const MOST_VALUE: usize = 8 << 10;
/// Bytes of a TXT record that are looked at: its length has 16 bits.
const MOST_TXT: usize = 64 << 10;
/// Characters of a host name that are looked at: DNS has no longer ones.
const MOST_HOST: usize = 255;

/// Reads one announced service. `None` when it is this node itself, or nothing that could be asked.
///
/// Keys are taken in any case, the first of each wins; all but `nodeId` may be missing. The host may or may not end in `.local`.
pub fn read<'a>(
    instance: &str,
    host: &str,
    port: u16,
    addresses: impl Iterator<Item = IpAddr>,
    txt: impl Iterator<Item = (&'a str, &'a [u8])>,
    own: &NodeId,
) -> Option<Sighting> {
    let (mut id, mut version, mut platform, mut capabilities) = (None, None, None, None);
    for (key, value) in txt.take(MOST_ENTRIES) {
        let field = match key {
            key if key.eq_ignore_ascii_case("nodeId") => &mut id,
            key if key.eq_ignore_ascii_case("version") => &mut version,
            key if key.eq_ignore_ascii_case("platform") => &mut platform,
            key if key.eq_ignore_ascii_case("capabilities") => &mut capabilities,
            _ => continue,
        };
        field.get_or_insert(value);
    }
    let id = std::str::from_utf8(id?).ok().filter(|id| is_node_id(id))?;
    let addresses = usable(addresses);
    if port == 0 || addresses.is_empty() || id.eq_ignore_ascii_case(own.as_str()) {
        return None;
    }
    Some(Sighting {
        node_id: NodeId::from(id),
        hostname: hostname(host).or_else(|| hostname(instance)).unwrap_or_else(|| "node".to_owned()),
        addresses,
        port,
        platform: word(platform),
        version: word(version),
        capabilities: capabilities.map(list).unwrap_or_default(),
        seen_at: time::now(),
    })
}

/// Splits the raw data of a TXT record into keys and values, with bounded work whatever the bytes are.
pub fn read_txt(rdata: &[u8]) -> TxtEntries<'_> {
    TxtEntries { rest: rdata.get(..MOST_TXT).unwrap_or(rdata) }
}

/// The entries of a TXT record, in their order. Entries without a readable key are left out; a key without a value has an empty one.
#[derive(Debug, Clone)]
pub struct TxtEntries<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for TxtEntries<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (length, rest) = self.rest.split_first()?;
            let Some((entry, rest)) = rest.split_at_checked(usize::from(*length)) else {
                // A length that leads out of the record: nothing after it can be trusted to be an entry.
                self.rest = &[];
                return None;
            };
            self.rest = rest;
            let end = entry.iter().position(|byte| *byte == b'=').unwrap_or(entry.len());
            let (key, value) = entry.split_at(end);
            if !key.is_empty() && key.iter().all(|byte| (0x20..0x7f).contains(byte)) {
                return Some((std::str::from_utf8(key).unwrap_or_default(), value.get(1..).unwrap_or_default()));
            }
        }
    }
}

/// Makes one DNS label of a name, as it is announced: `Kai.example.com` becomes `Kai-example-com`, a trailing `.local` goes.
pub fn label(name: &str) -> String {
    let name: String = bare(name).chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(63).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "node".to_owned() } else { name.to_owned() }
}

/// Without the trailing dot of DNS and without `.local`.
pub(super) fn bare(name: &str) -> &str {
    let name = name.strip_suffix('.').unwrap_or(name);
    match name.len().checked_sub(".local".len()).and_then(|at| name.split_at_checked(at)) {
        Some((before, end)) if end.eq_ignore_ascii_case(".local") => before,
        _ => name,
    }
}

/// As the rest of the product takes ids of nodes; `manual-..` are this node's own placeholders and nobody else's to claim.
fn is_node_id(id: &str) -> bool {
    (8..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !id.get(..6).is_some_and(|begin| begin.eq_ignore_ascii_case("manual"))
}

/// A name that `config::is_name` accepts, if anything of this one is left.
fn hostname(host: &str) -> Option<String> {
    let name: String = bare(host)
        .chars()
        .take(MOST_HOST)
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' })
        .skip_while(|c| !c.is_ascii_alphanumeric())
        .take(63)
        .collect();
    config::is_name(&name).then_some(name)
}

/// A short text, inert.
fn word(value: Option<&[u8]>) -> String {
    let value = value.and_then(|value| std::str::from_utf8(value.get(..MOST_VALUE).unwrap_or(value)).ok()).map(str::trim).unwrap_or_default();
    if value.is_empty() { "unknown".to_owned() } else { text::inert(value).chars().take(MOST_FIELD).collect() }
}

fn list(value: &[u8]) -> Vec<String> {
    let value = std::str::from_utf8(value.get(..MOST_VALUE).unwrap_or(value)).unwrap_or_default();
    let mut all: Vec<String> = Vec::new();
    for one in value.split(',').map(str::trim).take(MOST_CAPABILITIES) {
        // A capability that is cut would be another one; one that is not a plain word is none.
        if !one.is_empty() && one.chars().count() <= MOST_FIELD && !one.chars().any(text::is_active) && !all.iter().any(|known| known == one) {
            all.push(one.to_owned());
        }
    }
    all
}

/// The addresses that can be connected to, the most likely one first. Loopback counts only when there is nothing else.
fn usable(addresses: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut ranked: Vec<(u8, IpAddr)> =
        addresses.take(MOST_ADDRESSES_READ).map(|address| address.to_canonical()).filter_map(|address| rank(&address).map(|rank| (rank, address))).collect();
    ranked.sort_unstable();
    ranked.dedup();
    if ranked.first().is_some_and(|(rank, _)| *rank < LOOPBACK) {
        ranked.retain(|(rank, _)| *rank < LOOPBACK);
    }
    ranked.truncate(MOST_ADDRESSES);
    ranked.into_iter().map(|(_, address)| address).collect()
}

/// The rank of addresses that only this machine has.
const LOOPBACK: u8 = 4;

fn rank(address: &IpAddr) -> Option<u8> {
    match address {
        address if address.is_unspecified() || address.is_multicast() => None,
        address if address.is_loopback() => Some(LOOPBACK),
        IpAddr::V4(Ipv4Addr::BROADCAST) => None,
        IpAddr::V4(v4) if v4.is_private() => Some(0),
        IpAddr::V4(v4) if v4.is_link_local() => Some(2),
        IpAddr::V4(_) => Some(1),
        // Useless without the zone, which no address in a config or URL of ours can express.
        IpAddr::V6(v6) if v6.is_unicast_link_local() => None,
        IpAddr::V6(_) => Some(3),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "6f9c1c1e-7d51-4b0a-9d63-0a8c4cf3f6c1";

    fn own() -> NodeId {
        NodeId::from("00000000-0000-4000-8000-000000000000")
    }

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn rdata(entries: &[&[u8]]) -> Vec<u8> {
        entries.iter().flat_map(|entry| std::iter::once(u8::try_from(entry.len()).unwrap()).chain(entry.iter().copied())).collect()
    }

    fn read_one(host: &str, at: &[&str], txt: &[u8]) -> Option<Sighting> {
        read("loopsy-6f9c1c1e", host, 19532, addresses(at).into_iter(), read_txt(txt), &own())
    }

    fn check(sighting: &Sighting) {
        assert!(config::is_name(&sighting.hostname), "{:?}", sighting.hostname);
        assert!(is_node_id(sighting.node_id.as_str()) && sighting.port != 0);
        assert!((1..=MOST_ADDRESSES).contains(&sighting.addresses.len()) && sighting.capabilities.len() <= MOST_CAPABILITIES);
        for field in [&sighting.platform, &sighting.version].into_iter().chain(&sighting.capabilities) {
            assert!((1..=MOST_FIELD).contains(&field.chars().count()) && !field.chars().any(text::is_active), "{field:?}");
        }
    }

    #[test]
    fn what_the_reference_announces_is_read() {
        let txt = rdata(&[format!("nodeId={ID}").as_bytes(), b"version=1.0.0", b"platform=linux", b"capabilities=execute,transfer,context,ai-tasks"]);
        let one = read_one("vm", &["fe80::1", "fd00::2", "8.8.8.8", "127.0.0.1", "192.168.1.7", "169.254.3.4", "::ffff:10.0.0.1"], &txt).unwrap();
        assert_eq!((one.node_id.as_str(), one.hostname.as_str(), one.port), (ID, "vm", 19532));
        assert_eq!((one.version.as_str(), one.platform.as_str()), ("1.0.0", "linux"));
        assert_eq!(one.capabilities, ["execute", "transfer", "context", "ai-tasks"]);
        assert_eq!(one.addresses, addresses(&["10.0.0.1", "192.168.1.7", "8.8.8.8", "169.254.3.4", "fd00::2"]));
        check(&one);
    }

    #[test]
    fn hosts_lose_what_dns_added() {
        let txt = rdata(&[format!("NODEID={ID}").as_bytes()]);
        for (host, name) in
            [("Kais-Mac.local.", "Kais-Mac"), ("vm.", "vm"), ("vm.LOCAL", "vm"), ("a.example.com.", "a.example.com"), ("-_x", "x"), ("kai's box", "kai-s-box")]
        {
            assert_eq!(read_one(host, &["10.0.0.1"], &txt).unwrap().hostname, name);
        }
        assert_eq!(read_one(".local.", &["10.0.0.1"], &txt).unwrap().hostname, "loopsy-6f9c1c1e");
        let one = read_one("\u{1b}[31m\u{202e}", &["127.0.0.1"], &txt).unwrap();
        assert_eq!((one.hostname.as_str(), one.platform.as_str(), one.version.as_str()), ("31m-", "unknown", "unknown"));
        assert_eq!(one.addresses, addresses(&["127.0.0.1"]), "loopback when there is nothing else");
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        let txt = rdata(&[format!("nodeId={ID}").as_bytes()]);
        let at = || addresses(&["10.0.0.1"]).into_iter();
        assert!(read("i", "vm", 0, at(), read_txt(&txt), &own()).is_none(), "port 0");
        assert!(read("i", "vm", 1, at(), read_txt(&txt), &NodeId::from(ID)).is_none(), "this node itself");
        for nowhere in [&[][..], &["fe80::1"], &["0.0.0.0", "::"], &["224.0.0.251", "ff02::fb", "255.255.255.255"]] {
            assert!(read_one("vm", nowhere, &txt).is_none(), "{nowhere:?}");
        }
        for id in ["", "short", "manual-10-0-0-1", "has space here", "a/../../../etc", "\u{1b}[31mxxxxxxxx", &"a".repeat(65)] {
            assert!(read_one("vm", &["10.0.0.1"], &rdata(&[format!("nodeId={id}").as_bytes()])).is_none(), "{id:?}");
        }
        assert!(read_one("vm", &["10.0.0.1"], b"").is_none(), "no id");
    }

    #[test]
    fn txt_records_that_lie_are_survived() {
        let id = format!("nodeId={ID}");
        let txt = rdata(&[b"", b"=empty key", b"flag", id.as_bytes(), b"nodeId=another-one-12345", b"version=\xff\xfe", b"platform=\x1b[2J", b"\xffbad=1"]);
        let one = read_one("vm", &["10.0.0.1"], &txt).unwrap();
        assert_eq!((one.node_id.as_str(), one.version.as_str(), one.platform.as_str()), (ID, "unknown", "\\u{1b}[2J"));
        assert_eq!(read_txt(b"\x05ab").count(), 0, "a length that leads out of the record");
        assert_eq!(read_txt(&[0; 70_000]).count(), 0);
        let flood: Vec<u8> = std::iter::repeat_n(&b"\x03a=b"[..], 30_000).flatten().copied().collect();
        assert_eq!(read_txt(&flood).count(), MOST_TXT / 4);
        let many: Vec<String> = (0..1_000).map(|n| format!("c{n}")).chain(["x".repeat(65)]).collect();
        let (id, many) = (ID.as_bytes(), many.join(","));
        let entries = [("nodeId", id), ("capabilities", many.as_bytes()), ("version", &[b'9'; 70_000][..])];
        let one = read("i", &"h".repeat(70_000), 1, addresses(&["10.0.0.1"]).into_iter(), entries.into_iter(), &own()).unwrap();
        check(&one);
        assert_eq!(one.capabilities.len(), MOST_CAPABILITIES);
    }

    #[test]
    fn a_label_is_one_that_dns_takes() {
        for (name, expected) in [("kai", "kai"), ("Kai.example.com", "Kai-example-com"), ("my_box.local", "my-box"), ("a-", "a"), ("_", "node"), ("", "node")] {
            assert_eq!(label(name), expected);
        }
        assert_eq!(label(&"x".repeat(100)).len(), 63);
    }

    proptest! {
        #[test]
        fn nothing_raw_gets_through(txt in proptest::collection::vec(any::<u8>(), 0..2_000), host in any::<String>(), instance in any::<String>(), port: u16, at: Vec<IpAddr>) {
            if let Some(one) = read(&instance, &host, port, at.into_iter(), read_txt(&txt), &own()) {
                check(&one);
            }
        }

        #[test]
        fn nor_do_fields_of_a_node(host in any::<String>(), version in any::<String>(), platform: Vec<u8>, capabilities in "(\\PC|[\u{0}-\u{1f}]|,){0,300}", at in proptest::collection::vec(any::<IpAddr>(), 0..100)) {
            let entries = [("nodeId", ID.as_bytes()), ("version", version.as_bytes()), ("platform", &platform), ("capabilities", capabilities.as_bytes())];
            if let Some(one) = read("", &host, 1, at.into_iter(), entries.into_iter(), &own()) {
                check(&one);
            }
        }
    }
}
