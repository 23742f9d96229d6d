//! What is heard on the local network: any TXT record is a sighting that is bounded and inert, or nothing.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use loopsy_daemon::discovery::{MOST_CAPABILITIES, MOST_FIELD, read, read_txt};
use loopsy_shared::{config::is_name, text};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (instance, rdata) = bytes.split_at(bytes.len().min(usize::from(bytes.first().copied().unwrap_or_default())));
    let host = String::from_utf8_lossy(instance);
    let at = [IpAddr::from(Ipv4Addr::new(10, 0, 0, 1))];
    let own = "00000000-0000-4000-8000-000000000000".into();
    let Some(seen) = read(&host, &host, 19532, at.into_iter(), read_txt(rdata), &own) else { return };
    let inert = |text: &str| text.chars().count() <= MOST_FIELD && !text.chars().any(text::is_active);
    assert!(is_name(&seen.hostname) && seen.node_id != own && seen.capabilities.len() <= MOST_CAPABILITIES);
    assert!([&seen.platform, &seen.version].into_iter().chain(&seen.capabilities).all(|field| inert(field)), "{seen:?}");
});
