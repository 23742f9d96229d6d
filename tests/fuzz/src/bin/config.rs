//! Any text is a config or an error.
#![no_main]

use loopsy_shared::config::Config;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _either = Config::parse(text);
});
