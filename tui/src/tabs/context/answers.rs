//! What became of what was asked: of nodes, of the editor, and of files.

use std::collections::BTreeMap;

use loopsy_shared::{
    api::{
        Code,
        context::{ContextEntry, ImportContext},
    },
    id::NodeId,
};
use serde::Deserialize;

use super::Context;
use crate::{
    app::Cx,
    effect::Purpose,
    event::{Answered, Failure},
    request::{Answer, Request},
};

/// What an export may look like.
#[derive(Deserialize)]
#[serde(untagged)]
enum Exported {
    List(Vec<ContextEntry>),
    Reply { entries: Vec<ContextEntry> },
    Map(BTreeMap<String, ContextEntry>),
}

impl Context {
    pub(super) fn answered(&mut self, answered: &Answered, cx: &mut Cx<'_>) {
        let at = answered.at.as_ref();
        match (&answered.request, &answered.result) {
            (Request::ListContext(_), result) => self.read_far(at, result, cx),
            (Request::SetContext(request), result) => {
                let key = request.key.as_str();
                if let (Some(node), Ok(Answer::SetContext(entry))) = (at, result)
                    && let Some(far) = self.far.get_mut(node)
                {
                    far.entries.insert(entry.key.clone(), (**entry).clone());
                    self.refresh(cx.world);
                }
                let waits = self.broadcast.borrow().as_ref().is_some_and(|broadcast| broadcast.waits_for(at, key));
                if waits {
                    let short = result.as_ref().map(|_| ()).map_err(|failure| failure.message.clone());
                    let done = self.broadcast.borrow_mut().as_mut().is_some_and(|broadcast| broadcast.take(at, short, cx));
                    if done {
                        self.broadcast.replace(None);
                    }
                    return;
                }
                match result {
                    Ok(_) => {
                        self.edits.stored(at, key);
                        self.list.select(key.to_owned(), &self.rows);
                        cx.good(format!("`{key}` was set on {}.", cx.world.name_of(at)));
                    }
                    Err(failure) => self.not_set(at, key, request.if_version == Some(0), failure, cx),
                }
            }
            (Request::DeleteContext(request), Ok(_)) => {
                if let Some(far) = at.and_then(|node| self.far.get_mut(node)) {
                    far.entries.remove(request.key.as_str());
                    self.refresh(cx.world);
                }
                cx.good(format!("`{}` was deleted on {}.", request.key, cx.world.name_of(at)));
            }
            (Request::DeleteContext(request), Err(failure)) if is_mismatch(failure) => {
                cx.bad(format!("`{}` was changed meanwhile, so it was not deleted. Look at it, then x again.", request.key));
            }
            (Request::DeleteContext(request), Err(failure)) => cx.bad(format!("`{}` was not deleted: {}", request.key, failure.message)),
            (Request::ImportContext(_), Ok(Answer::ImportContext(told))) => {
                let expired = if told.expired > 0 { format!(", {} left out that had expired", told.expired) } else { String::new() };
                cx.good(format!("{} {} stored{expired}.", told.stored, if told.stored == 1 { "key was" } else { "keys were" }));
            }
            (Request::ImportContext(_), Err(failure)) => cx.bad(format!("Nothing was imported: {}", failure.message)),
            (_, Err(failure)) => cx.bad(failure.message.as_str()),
            (_, Ok(_)) => {}
        }
    }

    fn read_far(&mut self, at: Option<&NodeId>, result: &Result<Answer, Failure>, cx: &mut Cx<'_>) {
        let Some(far) = at.and_then(|node| self.far.get_mut(node)) else { return };
        far.asked = false;
        match result {
            Ok(Answer::ListContext(list)) => {
                far.entries = list.entries.iter().map(|entry| (entry.key.clone(), entry.clone())).collect();
                (far.read, far.error) = (Some(cx.now.wall), None);
            }
            Ok(_) => {}
            // It is said in the pane, where the keys would be.
            Err(failure) => far.error = Some(failure.message.clone()),
        }
        self.refresh(cx.world);
    }

    fn not_set(&mut self, at: Option<&NodeId>, key: &str, is_new: bool, failure: &Failure, cx: &mut Cx<'_>) {
        self.edits.refused(at, key);
        let kept = if self.edits.has(at, key) { " Your text is kept: e opens it again." } else { "" };
        if is_mismatch(failure) && is_new {
            cx.bad(format!("`{key}` exists already and was left as it is. Select it, and e changes it."));
        } else if is_mismatch(failure) {
            let who = self.far_or_here(at, key, cx);
            cx.bad(format!("`{key}` was changed{who} meanwhile: nothing was overwritten.{kept}"));
            // What is there now is what the next edit begins with.
            if at == self.node.as_ref() {
                self.read(cx);
            }
        } else {
            cx.bad(format!("`{key}` was not set on {}: {}{kept}", cx.world.name_of(at), failure.message));
        }
    }

    fn far_or_here(&self, at: Option<&NodeId>, key: &str, cx: &Cx<'_>) -> String {
        let entry = if at.is_none() { cx.world.context.get(key) } else { None };
        entry.map(|entry| format!(" by {}", cx.world.name_of_id(&entry.from_node_id))).unwrap_or_default()
    }

    /// The editor or a file brought a text.
    pub(super) fn came(&mut self, purpose: &Purpose, result: &Result<Option<String>, String>, cx: &mut Cx<'_>) {
        match (purpose, result) {
            (Purpose::Value(node, key), result) => self.edits.came(node.as_ref(), key, result, cx),
            (Purpose::Import(None), Err(why)) => cx.bad(format!("Nothing was imported: {why}")),
            (Purpose::Import(None), Ok(Some(text))) => self.import(text, cx),
            _ => cx.nothing_to_see(),
        }
    }

    fn import(&self, text: &str, cx: &mut Cx<'_>) {
        let entries = match serde_json::from_str(text) {
            Ok(Exported::List(entries) | Exported::Reply { entries }) => entries,
            Ok(Exported::Map(entries)) => entries.into_values().collect(),
            Err(e) => return cx.bad(format!("This is no export of context entries: {e}. X and `loopsy context export` write one.")),
        };
        let all = entries.len();
        let entries: Vec<ContextEntry> = entries.into_iter().filter(|entry| !self.careful.get() || !cx.world.context.contains_key(&entry.key)).collect();
        let left = all - entries.len();
        if entries.is_empty() {
            return cx.note(if all == 0 { "There are no keys in that file." } else { "All keys of that file exist already: nothing was changed." });
        }
        if left > 0 {
            cx.note(format!(
                "{left} {} already and {} left as {}.",
                exist(left),
                if left == 1 { "was" } else { "were" },
                if left == 1 { "it is" } else { "they are" }
            ));
        }
        cx.call(None, ImportContext { entries, replace: false });
    }
}

const fn exist(count: usize) -> &'static str {
    if count == 1 { "key exists" } else { "keys exist" }
}

/// Whether somebody else was faster.
fn is_mismatch(failure: &Failure) -> bool {
    failure.code == Some(Code::VersionMismatch.number()) || failure.status == Some(Code::VersionMismatch.status())
}
