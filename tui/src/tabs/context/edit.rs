//! Values in the person's editor. Nobody's change is overwritten, and no text that was typed is lost.

use std::collections::BTreeMap;

use loopsy_shared::{
    api::context::{ContextEntry, ContextKey, MAX_VALUE_BYTES, SetContext, Ttl},
    id::NodeId,
};

use crate::{
    app::Cx,
    effect::{Effect, Purpose},
};

/// Texts that are kept because they could not be stored; the first of more is forgotten.
const KEPT: usize = 8;

type Place = (Option<NodeId>, String);

/// What was there when the editor was opened.
#[derive(Debug)]
struct Before {
    version: u64,
    ttl: Option<u64>,
    value: String,
}

/// Edits under way, and texts that were not stored.
#[derive(Debug, Default)]
pub(super) struct Edits {
    open: BTreeMap<Place, Before>,
    /// On their way.
    sent: BTreeMap<Place, String>,
    kept: BTreeMap<Place, String>,
}

impl Edits {
    /// Opens the editor: on what is there, or on the text that was not stored the last time.
    pub(super) fn begin(&mut self, node: Option<NodeId>, entry: &ContextEntry, cx: &mut Cx<'_>) {
        let place = (node.clone(), entry.key.clone());
        let text = match self.kept.get(&place).or_else(|| self.sent.get(&place)) {
            Some(kept) => {
                cx.note("This is your text that was not stored. Saving it replaces what is there now.");
                kept.clone()
            }
            None => entry.value.clone(),
        };
        self.open.insert(place, Before { version: entry.version, ttl: entry.ttl, value: entry.value.clone() });
        cx.effect(Effect::Edit(text, Purpose::Value(node, entry.key.clone())));
    }

    /// The editor was left.
    pub(super) fn came(&mut self, node: Option<&NodeId>, key: &str, result: &Result<Option<String>, String>, cx: &mut Cx<'_>) {
        let place = (node.cloned(), key.to_owned());
        let Some(before) = self.open.remove(&place) else { return };
        let text = match result {
            Err(why) => return cx.bad(format!("`{key}` was not edited: {why}")),
            Ok(None) => return cx.note("Nothing was changed."),
            Ok(Some(text)) => as_before(text, &before.value),
        };
        if text == before.value {
            self.kept.remove(&place);
            return cx.note("Nothing was changed.");
        }
        if text.len() > MAX_VALUE_BYTES {
            self.keep(place, text);
            return cx.bad(format!("`{key}` was not stored: a value has at most 1 MiB. Your text is kept: e opens it again."));
        }
        let Ok(key) = ContextKey::try_from(key.to_owned()) else { return };
        let ttl = before.ttl.and_then(|seconds| Ttl::from_seconds(seconds).ok());
        // Until the answer says otherwise it may be lost on the way.
        self.kept.remove(&place);
        self.sent.insert(place, text.clone());
        cx.call(node, SetContext { key, value: text, ttl, if_version: Some(before.version) });
    }

    /// It is stored: nothing has to be kept any more.
    pub(super) fn stored(&mut self, node: Option<&NodeId>, key: &str) {
        let place = (node.cloned(), key.to_owned());
        self.sent.remove(&place);
        self.kept.remove(&place);
    }

    /// It is not stored: what was typed is kept, if it was.
    pub(super) fn refused(&mut self, node: Option<&NodeId>, key: &str) {
        let place = (node.cloned(), key.to_owned());
        if let Some(text) = self.sent.remove(&place) {
            self.keep(place, text);
        }
    }

    /// Whether a text for this key is kept.
    pub(super) fn has(&self, node: Option<&NodeId>, key: &str) -> bool {
        self.kept.contains_key(&(node.cloned(), key.to_owned()))
    }

    fn keep(&mut self, place: Place, text: String) {
        if self.kept.len() >= KEPT {
            self.kept.pop_first();
        }
        self.kept.insert(place, text);
    }
}

/// Editors end a file with a line end; a value that had none gets none.
fn as_before(text: &str, before: &str) -> String {
    match text.strip_suffix('\n') {
        Some(rest) if !before.ends_with('\n') => rest.strip_suffix('\r').unwrap_or(rest).to_owned(),
        _ => text.to_owned(),
    }
}
