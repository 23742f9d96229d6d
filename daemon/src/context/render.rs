//! The JSON of an entry, written once and sent often.

use std::io;

use bytes::Bytes;
use loopsy_shared::api::context::ContextEntry;

/// The JSON of one entry.
#[derive(Debug, Clone)]
pub(super) struct Rendered(Bytes);

impl Rendered {
    /// Renders an entry that is complete.
    pub(super) fn new(entry: &ContextEntry) -> Self {
        Head::new(entry).finish(entry)
    }

    /// The bytes, shared.
    pub(super) fn bytes(&self) -> Bytes {
        self.0.clone()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The part of an entry's JSON that is known, and costly, before the entry is stored.
#[derive(Debug, Default)]
pub(super) struct Head(Vec<u8>);

/// More than the numbers take.
const TAIL_BYTES: usize = 128;

impl Head {
    pub(super) fn new(entry: &ContextEntry) -> Self {
        let mut out = Vec::with_capacity(entry.key.len() + entry.value.len() + entry.from_node_id.len() + TAIL_BYTES);
        for (name, text) in [("{\"key\":", &entry.key), (",\"value\":", &entry.value), (",\"fromNodeId\":", &entry.from_node_id)] {
            out.extend_from_slice(name.as_bytes());
            append(&mut out, text);
        }
        Self(out)
    }

    /// Adds the numbers.
    pub(super) fn finish(mut self, entry: &ContextEntry) -> Rendered {
        let out = &mut self.0;
        for (name, number) in [
            (",\"createdAt\":", Some(entry.created_at)),
            (",\"updatedAt\":", Some(entry.updated_at)),
            (",\"ttl\":", entry.ttl),
            (",\"expiresAt\":", entry.expires_at),
            (",\"version\":", Some(entry.version)),
        ] {
            if let Some(number) = number {
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(number.to_string().as_bytes());
            }
        }
        out.push(b'}');
        Rendered(Bytes::from(self.0.into_boxed_slice()))
    }
}

/// Text always serialises, and memory always takes it.
fn append(out: &mut Vec<u8>, text: &str) {
    let before = out.len();
    if serde_json::to_writer(&mut *out, text).is_err() {
        out.truncate(before);
        out.extend_from_slice(b"\"\"");
    }
}

/// `{"entries":[..]}` of entries that are rendered.
pub(super) fn list(entries: &[Bytes]) -> Bytes {
    let mut out = Vec::with_capacity(14 + entries.iter().map(|entry| entry.len() + 1).sum::<usize>());
    out.extend_from_slice(b"{\"entries\":[");
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(entry);
    }
    out.extend_from_slice(b"]}");
    Bytes::from(out)
}

/// The array of a file for people: each entry's JSON, indented by two spaces.
pub(super) fn pretty(entries: &[Bytes], out: &mut dyn io::Write) -> io::Result<()> {
    let mut indented = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        indented.clear();
        indented.extend_from_slice(if index == 0 { b"[\n  " } else { b",\n  " });
        indent(entry, &mut indented);
        out.write_all(&indented)?;
    }
    out.write_all(if entries.is_empty() { b"[]\n" } else { b"\n]\n" })
}

/// Indents an object without arrays or objects in it.
fn indent(mut flat: &[u8], out: &mut Vec<u8>) {
    while let Some((&byte, rest)) = flat.split_first() {
        flat = rest;
        match byte {
            b'"' => {
                out.push(byte);
                let (text, rest) = flat.split_at(end_of_text(flat));
                out.extend_from_slice(text);
                flat = rest;
            }
            b'{' | b',' => {
                out.push(byte);
                out.extend_from_slice(b"\n    ");
            }
            b':' => out.extend_from_slice(b": "),
            b'}' => out.extend_from_slice(b"\n  }"),
            _ => out.push(byte),
        }
    }
}

/// Where a JSON string ends, its closing quote included.
fn end_of_text(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(next) = text.get(at..).and_then(|rest| rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))) {
        at += next + 1;
        if text.get(at - 1) == Some(&b'"') {
            return at;
        }
        at += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(value: &str, ttl: Option<u64>) -> ContextEntry {
        ContextEntry {
            key: "a \"key\"\n".to_owned(),
            value: value.to_owned(),
            from_node_id: "kai:, {}".to_owned(),
            created_at: 1,
            updated_at: u64::MAX,
            ttl,
            expires_at: ttl.map(|ttl| ttl * 1000),
            version: 7,
        }
    }

    #[test]
    fn it_is_what_serde_writes() {
        for entry in [entry("", None), entry("ä\\\"\u{1}\u{1f600}/\\", Some(5)), entry("{\"a\":[1,2]}", None)] {
            assert_eq!(Rendered::new(&entry).bytes(), serde_json::to_vec(&entry).expect("JSON"));
        }
    }

    #[test]
    fn the_pretty_array_is_what_serde_writes() {
        for entries in [vec![], vec![entry("\\", Some(1))], vec![entry("a,b:{\\\"}\\\\", None), entry("", Some(9))]] {
            let rendered: Vec<Bytes> = entries.iter().map(|entry| Rendered::new(entry).bytes()).collect();
            let mut out = Vec::new();
            pretty(&rendered, &mut out).expect("memory");
            assert_eq!(String::from_utf8(out).expect("text"), serde_json::to_string_pretty(&entries).expect("JSON") + "\n");
        }
    }
}
