//! Any body is the form of a push or an error, and the same however it is cut. The first byte says where.
#![no_main]

use loopsy_daemon::fuzzing::multipart;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((piece, form)) = bytes.split_first() else { return };
    let (cut, whole) = loopsy_fuzz::wait(async { (multipart(form, usize::from(*piece)).await, multipart(form, form.len()).await) });
    match (cut, whole) {
        (Ok(cut), Ok(whole)) => assert_eq!(cut, whole),
        (Err(_), Err(_)) => {}
        differing => panic!("{differing:?}"),
    }
});
