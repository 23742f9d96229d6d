//! Any path, query and body are a request or an error, and a request can be sent on. The first byte says of which endpoint; zero bytes lie between the three.
#![no_main]

use loopsy_shared::api::{
    Code, Endpoint,
    context::{DeleteContext, ListContext, SetContext},
    execute::{Execute, GetJobOutput},
    peers::RemovePeer,
    transfer::{Pull, Push},
    wire,
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((which, rest)) = bytes.split_first() else { return };
    match which % 8 {
        0 => check::<Execute>(rest),
        1 => check::<SetContext>(rest),
        2 => check::<DeleteContext>(rest),
        3 => check::<ListContext>(rest),
        4 => check::<GetJobOutput>(rest),
        5 => check::<RemovePeer>(rest),
        6 => check::<Pull>(rest),
        _ => check::<Push>(rest),
    }
});

/// The router gives path fields and the query as text.
fn check<E: Endpoint>(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |byte| *byte == 0);
    let (path, query) = (String::from_utf8_lossy(parts.next().unwrap_or_default()), String::from_utf8_lossy(parts.next().unwrap_or_default()));
    let path: Vec<(&str, &str)> = E::SPEC.path_fields().map(|name| (name, path.as_ref())).collect();
    let Ok(request) = wire::join::<E>(&path, Some(&query), parts.next().unwrap_or_default()) else { return };
    match wire::split(&request) {
        Ok(parts) => assert_eq!(parts.target.split('?').next().map(|path| path.split('/').count()), Some(E::SPEC.path.split('/').count())),
        Err(error) => assert_eq!(error.code, Code::InvalidRequest, "{error:?}"),
    }
}
