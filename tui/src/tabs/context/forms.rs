//! What is asked before a key is set, changed, sent around or deleted.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use loopsy_shared::{
    api::context::{ContextEntry, ContextKey, DeleteContext, SetContext, Ttl},
    id::NodeId,
    text::{bytes, inert},
};

use crate::{
    app::Cx,
    effect::{Effect, Purpose},
    look::Role,
    overlays::{
        confirm::Confirm,
        form::{Form, Row},
        live::{Filler, Live},
    },
    world::World,
};

/// Longest key that anybody is asked to type.
const TYPED: usize = 24;

/// A key on its way to every other machine.
#[derive(Debug)]
pub(super) struct Broadcast {
    pub(super) key: String,
    /// By node: none while there is no answer.
    pub(super) nodes: BTreeMap<Option<NodeId>, Option<Result<(), String>>>,
    filler: Filler,
}

impl Broadcast {
    /// Whether an answer about this key from this node is one to this.
    pub(super) fn waits_for(&self, node: Option<&NodeId>, key: &str) -> bool {
        self.key == key && self.nodes.get(&node.cloned()).is_some_and(Option::is_none)
    }

    /// Takes an answer; true when it was the last one.
    pub(super) fn take(&mut self, node: Option<&NodeId>, result: Result<(), String>, cx: &mut Cx<'_>) -> bool {
        self.nodes.insert(node.cloned(), Some(result));
        self.filler.fill(title(&self.key), self.lines(cx.world));
        let done = self.nodes.values().all(Option::is_some);
        if done && !self.filler.is_open() {
            let good = self.nodes.values().filter(|result| matches!(result, Some(Ok(())))).count();
            let bad = self.nodes.iter().filter_map(|(node, result)| match result {
                Some(Err(why)) => Some(format!("{}: {why}", cx.world.name_of(node.as_ref()))),
                _ => None,
            });
            let bad: Vec<String> = bad.collect();
            if bad.is_empty() {
                cx.good(format!("`{}` was set on {}.", self.key, machines(good)));
            } else {
                cx.bad(format!("`{}` was set on {}, but not on {}", self.key, machines(good), bad.join("; ")));
            }
        }
        done
    }

    fn lines(&self, world: &World) -> Vec<(Role, String)> {
        let line = |(node, result): (&Option<NodeId>, &Option<Result<(), String>>)| {
            let name = inert(world.name_of(node.as_ref()));
            match result {
                None => (Role::Busy, format!("..  {name}")),
                Some(Ok(())) => (Role::Good, format!("ok  {name}")),
                Some(Err(why)) => (Role::Bad, format!("!!  {name}  {why}")),
            }
        };
        self.nodes.iter().map(line).collect()
    }
}

fn machines(count: usize) -> String {
    if count == 1 { "1 machine".to_owned() } else { format!("{count} machines") }
}

fn title(key: &str) -> String {
    format!("Set `{}` everywhere", inert(key))
}

/// Every other machine that can be reached; this one too, when a peer's key is sent around.
pub(super) fn targets(node: Option<&NodeId>, world: &World) -> Vec<Option<NodeId>> {
    let here = node.is_some().then_some(None);
    here.into_iter().chain(world.reachable().into_iter().map(|peer| Some(peer.node_id.clone())).filter(|peer| peer.as_ref() != node)).collect()
}

/// `B`.
pub(super) fn broadcast(node: Option<&NodeId>, entry: &ContextEntry, kept: Rc<RefCell<Option<Broadcast>>>, cx: &mut Cx<'_>) {
    let Ok(key) = ContextKey::try_from(entry.key.clone()) else { return };
    let targets = targets(node, cx.world);
    let names: Vec<String> = targets.iter().map(|node| inert(cx.world.name_of(node.as_ref())).into_owned()).collect();
    let effect = format!("Sets this value ({}) on {}. What is there under this key is overwritten.", bytes(entry.value.len() as u64), names.join(", "));
    let (value, ttl) = (entry.value.clone(), seconds(entry));
    let confirm = Confirm::letter(cx, 'Y', title(&entry.key), effect, move |cx| {
        let (live, filler) = Live::new(title(key.as_str()), Vec::new());
        let broadcast = Broadcast { key: key.as_str().to_owned(), nodes: targets.iter().map(|node| (node.clone(), None)).collect(), filler };
        broadcast.filler.fill(title(key.as_str()), broadcast.lines(cx.world));
        kept.replace(Some(broadcast));
        for node in &targets {
            cx.call(node.as_ref(), SetContext { key: key.clone(), value: value.clone(), ttl, if_version: None });
        }
        cx.open(live);
    });
    cx.open(confirm);
}

/// `n`. A key that exists is not overwritten: it is edited.
pub(super) fn set(node: Option<&NodeId>, prefix: &str, cx: &mut Cx<'_>) {
    let rows = vec![
        Row::line("Key", "1 to 256 characters").with(prefix),
        Row::lines("Value", "at most 1 MiB; e opens a value in your editor later", 4),
        Row::line("Expires in", "such as 90s, 10m, 2h or 7d; empty for never"),
    ];
    let node = node.cloned();
    let form = Form::new(cx, format!("Set a key on {}", inert(cx.world.name_of(node.as_ref()))), rows, move |values, cx| {
        let [key, value, ttl] = values else { return Ok(()) };
        let key = ContextKey::try_from((*key).to_owned()).map_err(|why| sentence(&why))?;
        let ttl = parse_ttl(ttl)?;
        cx.call(node.as_ref(), SetContext { key, value: (*value).to_owned(), ttl, if_version: Some(0) });
        Ok(())
    });
    cx.open(form);
}

/// `t`.
pub(super) fn ttl(node: Option<&NodeId>, entry: &ContextEntry, cx: &mut Cx<'_>) {
    let Ok(key) = ContextKey::try_from(entry.key.clone()) else { return };
    let rows = vec![Row::line("Expires in", "such as 90s, 10m, 2h or 7d; empty for never").with(&entry.ttl.map(|ttl| format!("{ttl}s")).unwrap_or_default())];
    let (node, value, version) = (node.cloned(), entry.value.clone(), entry.version);
    let form = Form::new(cx, format!("When `{}` expires", inert(&entry.key)), rows, move |values, cx| {
        let ttl = parse_ttl(values.first().copied().unwrap_or_default())?;
        cx.call(node.as_ref(), SetContext { key: key.clone(), value: value.clone(), ttl, if_version: Some(version) });
        Ok(())
    });
    cx.open(form);
}

/// `x`.
pub(super) fn delete(node: Option<&NodeId>, entry: &ContextEntry, cx: &mut Cx<'_>) {
    let Ok(key) = ContextKey::try_from(entry.key.clone()) else { return };
    let name = inert(cx.world.name_of(node)).into_owned();
    let title = format!("Delete `{}` on {name}", inert(&entry.key));
    let effect = format!("Its value ({}) is gone for every machine and agent that reads it there.", bytes(entry.value.len() as u64));
    let at = node.cloned();
    let if_version = Some(entry.version);
    let then = move |cx: &mut Cx<'_>| cx.call(at.as_ref(), DeleteContext { key, if_version });
    // On another machine it is typed; what cannot be typed is confirmed like here.
    let typable = entry.key.chars().count() <= TYPED && entry.key.trim() == entry.key && !entry.key.chars().any(loopsy_shared::text::is_active);
    if node.is_some() && typable {
        cx.open(Confirm::name(cx, &entry.key, title, effect, then));
    } else {
        cx.open(Confirm::letter(cx, 'X', title, effect, then));
    }
}

/// `X`.
pub(super) fn export(entries: Vec<ContextEntry>, cx: &mut Cx<'_>) {
    let count = entries.len();
    let rows = vec![Row::line("File", "is written anew; `loopsy context import` and I read it").with("context.json")];
    let form = Form::new(cx, format!("Write {count} {} to a file", if count == 1 { "key" } else { "keys" }), rows, move |values, cx| {
        let path = path(values)?;
        let mut text = serde_json::to_vec_pretty(&entries).map_err(|e| format!("The keys have no JSON form: {e}."))?;
        text.push(b'\n');
        cx.effect(Effect::WriteFile(path, text));
        Ok(())
    });
    cx.open(form);
}

/// `I`.
pub(super) fn import(careful: Rc<Cell<bool>>, cx: &mut Cx<'_>) {
    let rows = vec![
        Row::line("File", "as `loopsy context export` or X wrote it").with("context.json"),
        Row::choice("If it exists", "what happens to keys that are there already", vec!["leave it".to_owned(), "overwrite it".to_owned()], 0),
    ];
    let form = Form::new(cx, "Read keys from a file", rows, move |values, cx| {
        let path = path(values)?;
        careful.set(values.get(1) == Some(&"leave it"));
        cx.effect(Effect::ReadFile(path, Purpose::Import(None)));
        Ok(())
    });
    cx.open(form);
}

fn path(values: &[&str]) -> Result<String, String> {
    values
        .first()
        .map(|path| path.trim())
        .filter(|path| !path.is_empty())
        .map(str::to_owned)
        .ok_or_else(|| "Type the path of a file, or Esc leaves.".to_owned())
}

fn seconds(entry: &ContextEntry) -> Option<Ttl> {
    entry.ttl.and_then(|seconds| Ttl::from_seconds(seconds).ok())
}

/// `90`, `90s`, `10m`, `2h`, `7d`; nothing or `never` for none.
fn parse_ttl(text: &str) -> Result<Option<Ttl>, String> {
    let text = text.trim();
    if matches!(text, "" | "-" | "never" | "none") {
        return Ok(None);
    }
    let complaint = || format!("`{}` is no time: 90s, 10m, 2h, 7d, or nothing for never.", inert(text));
    let (number, unit) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3600),
        Some((at, 'd')) => (&text[..at], 86_400),
        _ => (text, 1),
    };
    let seconds = number.trim().parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(complaint)?;
    Ttl::from_seconds(seconds).map(Some).map_err(|why| sentence(&why))
}

fn sentence(why: &str) -> String {
    let mut chars = why.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_people_write_them() {
        for (text, seconds) in [("90", 90), ("90s", 90), (" 10m ", 600), ("2h", 7200), ("7d", 604_800)] {
            assert_eq!(parse_ttl(text).unwrap().map(Ttl::seconds), Some(seconds), "{text}");
        }
        assert_eq!(parse_ttl("").unwrap().map(Ttl::seconds), None);
        for text in ["0", "x", "5w", "-1s", "99999999999999999999h", "m", "36601d", "é"] {
            assert!(parse_ttl(text).is_err(), "{text}");
        }
    }
}
