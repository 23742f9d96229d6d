//! The envelope that a message travels in: six fields of JSON.

use loopsy_shared::time::Millis;
use serde_json::Value;

/// What kind of message.
const KINDS: [&str; 5] = ["chat", "request", "response", "ack", "broadcast"];

/// A message as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tabs::messages) struct Envelope {
    pub(in crate::tabs::messages) from: String,
    pub(in crate::tabs::messages) to: String,
    pub(in crate::tabs::messages) ts: Millis,
    pub(in crate::tabs::messages) id: String,
    pub(in crate::tabs::messages) kind: String,
    pub(in crate::tabs::messages) body: String,
    /// The message that it answers; not every sender says so, and we do not.
    pub(in crate::tabs::messages) reply_to: Option<String>,
}

impl Envelope {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(in crate::tabs::messages) fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|_| "it is no JSON".to_owned())?;
        let field = |name: &str| value[name].as_str().map(str::to_owned).ok_or_else(|| format!("`{name}` is missing or no text"));
        let this = Self {
            from: field("from")?,
            to: field("to")?,
            ts: value["ts"].as_u64().ok_or_else(|| "`ts` is no time".to_owned())?,
            id: field("id")?,
            kind: field("type")?,
            body: field("body")?,
            reply_to: value["replyTo"].as_str().map(str::to_owned),
        };
        this.check().map(|()| this)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let problem = if self.from.is_empty() || self.to.is_empty() {
            "sender or receiver is empty".to_owned()
        } else if self.ts == 0 {
            "`ts` is no time".to_owned()
        } else if !KINDS.contains(&self.kind.as_str()) {
            format!("`{}` is no kind of message", self.kind)
        } else if !is_id(&self.id) {
            format!("`{}` is no id of a message; names in it have letters, digits, `_`, `.` and `-` only", self.id)
        } else {
            return Ok(());
        };
        Err(problem)
    }

    /// As it travels: six fields, in this order.
    pub(in crate::tabs::messages) fn wire(&self) -> String {
        let text = |text: &str| Value::from(text).to_string();
        format!(
            "{{\"from\":{},\"to\":{},\"ts\":{},\"id\":{},\"type\":{},\"body\":{}}}",
            text(&self.from),
            text(&self.to),
            self.ts,
            text(&self.id),
            text(&self.kind),
            text(&self.body)
        )
    }
}

/// `<milliseconds>-<sender>-<4 hex digits>`.
fn is_id(id: &str) -> bool {
    let Some((time, rest)) = id.split_once('-') else { return false };
    let Some((name, end)) = rest.rsplit_once('-') else { return false };
    let digits = |text: &str, allowed: fn(&u8) -> bool| !text.is_empty() && text.bytes().all(|byte| allowed(&byte));
    digits(time, u8::is_ascii_digit)
        && digits(name, |byte| byte.is_ascii_alphanumeric() || b"_.-".contains(byte))
        && end.len() == 4
        && digits(end, |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn envelopes_have_six_fields_in_order() {
        let text = r#"{"from":"leo","to":"kai","ts":1795269600000,"id":"1795269600000-leo-0a1f","type":"chat","body":"hi \"you\""}"#;
        let envelope = Envelope::parse(text).unwrap();
        assert_eq!(envelope.wire(), text);
        for (what, broken) in [
            ("no JSON", "hello".to_owned()),
            ("id", text.replace("0a1f", "0A1F")),
            ("id", text.replace("-leo-", "-le o-")),
            ("kind", text.replace("chat", "gossip")),
            ("ts", text.replace("1795269600000,", "-1,")),
            ("empty", text.replace("\"leo\"", "\"\"")),
        ] {
            let why = Envelope::parse(&broken).unwrap_err();
            assert!(why.contains(what), "{broken}: {why}");
        }
    }

    proptest! {
        #[test]
        fn any_body_comes_back(body in any::<String>()) {
            let envelope = Envelope { from: "a".into(), to: "b".into(), ts: 7, id: "7-a-00ff".into(), kind: "chat".into(), body, reply_to: None };
            prop_assert_eq!(Envelope::parse(&envelope.wire()).unwrap(), envelope);
        }

        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let _either = Envelope::parse(&text);
        }
    }
}
