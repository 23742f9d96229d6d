//! `loopsy context`: values under keys, shared between machines.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal, Read},
    path::Path,
};

use futures_util::StreamExt;
use loopsy_shared::{
    api::{
        context::{ContextEntry, ContextKey, DeleteContext, GetContext, ImportContext, ListContext, MAX_VALUE_BYTES, SetContext},
        events::{Event, WatchEvents},
    },
    client::Watched,
    text::inert,
    time,
};
use serde::Deserialize;

use super::DONE;
use crate::{
    args::Context,
    context::Ctx,
    error::Error,
    output::{BAD, FAINT, GOOD, STRONG, count, paint, short},
};

/// Characters of a value that a list shows.
const VALUE_WIDTH: usize = 80;

pub(super) async fn run(ctx: &Ctx, command: Context) -> Result<u8, Error> {
    match command {
        Context::Set { key, value, ttl, if_version, at } => {
            let value = if value == "-" { stdin_text()? } else { value };
            let entry = ctx.at(at.peer.as_deref())?.ask(SetContext { key: checked(key)?, value, ttl, if_version }).await?;
            ctx.out.show(&entry, |entry| {
                let left = left(entry).map(|left| format!(", {left}")).unwrap_or_default();
                ctx.out.say(format_args!("{} Stored `{}` (version {}{left}).", paint(GOOD, "✓"), inert(&entry.key), entry.version))
            })?;
        }
        Context::Get { key, at } => {
            let entry = ctx.at(at.peer.as_deref())?.ask(GetContext { key: checked(key)? }).await?;
            ctx.out.show(&entry, |entry| print_value(ctx, &entry.value))?;
        }
        Context::List { prefix, at } => {
            let entries = ctx.at(at.peer.as_deref())?.ask(ListContext { prefix }).await?;
            ctx.out.show(&entries, |entries| {
                if entries.entries.is_empty() {
                    return ctx.out.say("No entries.");
                }
                entries.entries.iter().try_for_each(|entry| ctx.out.line(line_of(entry)))
            })?;
        }
        Context::Delete { key, if_version, at } => {
            let key = checked(key)?;
            let done = ctx.at(at.peer.as_deref())?.ask(DeleteContext { key: key.clone(), if_version }).await?;
            ctx.out.show(&done, |_| ctx.out.say(format_args!("{} Deleted `{}`.", paint(GOOD, "✓"), inert(key.as_str()))))?;
        }
        Context::Watch { prefix, at } => watch(ctx, prefix, at.peer.as_deref()).await?,
        Context::Export { file } => export(ctx, file.as_deref()).await?,
        Context::Import { file, replace } => import(ctx, &file, replace).await?,
    }
    DONE
}

fn checked(key: String) -> Result<ContextKey, Error> {
    ContextKey::try_from(key).map_err(|e| Error::usage(format!("The key is not valid: {e}.")))
}

/// All of standard input, as long as it can be a value at all.
fn stdin_text() -> Result<String, Error> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(MAX_VALUE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_VALUE_BYTES {
        return Err(Error::failure("The value is larger than 1 MiB.").hint("Send it as a file: `loopsy send PEER FILE DEST`."));
    }
    String::from_utf8(bytes).map_err(|_| Error::failure("The value is not UTF-8 text.").hint("Send it as a file: `loopsy send PEER FILE DEST`."))
}

/// Exactly the value to a file or pipe; harmless lines to a terminal.
fn print_value(ctx: &Ctx, value: &str) -> Result<(), Error> {
    if io::stdout().is_terminal() { value.split('\n').try_for_each(|line| ctx.out.line(inert(line))) } else { ctx.out.raw(value.as_bytes()) }
}

fn left(entry: &ContextEntry) -> Option<String> {
    entry.expires_at.map(|at| format!("{} s left", at.saturating_sub(time::now()).div_ceil(1000)))
}

fn line_of(entry: &ContextEntry) -> String {
    let left = left(entry).map(|left| paint(FAINT, format!("  ({left})"))).unwrap_or_default();
    format!("{} = {}{left}", paint(STRONG, inert(&entry.key)), short(&entry.value, VALUE_WIDTH))
}

async fn watch(ctx: &Ctx, prefix: Option<String>, peer: Option<&str>) -> Result<(), Error> {
    let client = ctx.at(peer)?;
    // A wrong peer or a daemon that is down is said at once; later losses are only waited out.
    client.ask(ListContext { prefix: Some(prefix.clone().unwrap_or_default()) }).await?;
    let mut stream = std::pin::pin!(client.watch(&WatchEvents { topics: Some("context".to_owned()), prefix, ..WatchEvents::default() }, None)?);
    let mut known: Option<BTreeMap<String, u64>> = None;
    let mut lost = false;
    loop {
        let item = tokio::select! {
            item = stream.next() => item,
            _ = tokio::signal::ctrl_c() => return Err(Error::Silent(crate::error::INTERRUPTED)),
        };
        match item.transpose()? {
            None => return Ok(()),
            Some(Watched::Lost(why)) => {
                if !std::mem::replace(&mut lost, true) {
                    ctx.out.remark(paint(FAINT, format!("The connection was lost ({}); trying again.", inert(&why))));
                }
            }
            Some(Watched::Connected) => {
                if std::mem::replace(&mut lost, false) {
                    ctx.out.remark(paint(FAINT, "Connected again."));
                }
            }
            Some(Watched::Event { event, .. }) if ctx.out.json => ctx.out.value_line(&event)?,
            Some(Watched::Event { event, .. }) => show_event(ctx, event, &mut known)?,
        }
    }
}

/// One line for each change. After a loss the whole picture comes again; only what differs from before is shown.
fn show_event(ctx: &Ctx, event: Event, known: &mut Option<BTreeMap<String, u64>>) -> Result<(), Error> {
    let gone = |key: &str| ctx.out.line(format_args!("{} {}", paint(BAD, "-"), paint(STRONG, inert(key))));
    let set = |entry: &ContextEntry| ctx.out.line(format_args!("{} {}", paint(GOOD, "+"), line_of(entry)));
    match event {
        Event::Snapshot { context, .. } => {
            let before = known.take();
            let now: BTreeMap<String, u64> = context.iter().map(|entry| (entry.key.clone(), entry.version)).collect();
            match &before {
                None => context.iter().try_for_each(|entry| ctx.out.line(format_args!("  {}", line_of(entry))))?,
                Some(before) => {
                    before.keys().filter(|key| !now.contains_key(*key)).try_for_each(|key| gone(key))?;
                    context.iter().filter(|entry| before.get(&entry.key) != Some(&entry.version)).try_for_each(set)?;
                }
            }
            *known = Some(now);
        }
        Event::ContextChanged { entry } => {
            set(&entry)?;
            known.get_or_insert_default().insert(entry.key, entry.version);
        }
        Event::ContextRemoved { key } => {
            gone(&key)?;
            known.get_or_insert_default().remove(&key);
        }
        _ => {}
    }
    Ok(())
}

async fn export(ctx: &Ctx, file: Option<&Path>) -> Result<(), Error> {
    let entries = ctx.client()?.ask(ListContext { prefix: None }).await?.entries;
    let Some(file) = file.filter(|file| *file != Path::new("-")) else { return ctx.out.value(&entries) };
    let mut text = serde_json::to_vec_pretty(&entries).map_err(|e| Error::failure(format!("The entries have no JSON form: {e}.")))?;
    text.push(b'\n');
    write_whole(file, &text).map_err(|e| Error::file(file, &e))?;
    ctx.out.say(format_args!("{} Wrote {} to {}.", paint(GOOD, "✓"), count(entries.len() as u64, "entry", "entries"), file.display()))
}

/// All of it or nothing: an export that broke off must not replace an older one.
fn write_whole(file: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    let file = std::path::absolute(file)?;
    let parent = file.parent().unwrap_or(Path::new("/"));
    let mut temp = tempfile::NamedTempFile::new_in(parent)?;
    temp.write_all(bytes)?;
    temp.as_file().sync_all()?;
    temp.persist(&file)?;
    Ok(())
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Exported {
    List(Vec<ContextEntry>),
    Reply { entries: Vec<ContextEntry> },
    Map(BTreeMap<String, ContextEntry>),
}

async fn import(ctx: &Ctx, file: &Path, replace: bool) -> Result<(), Error> {
    let mut text = String::new();
    if file == Path::new("-") {
        io::stdin().lock().read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(file).map_err(|e| Error::file(file, &e))?;
    }
    let imported = ctx.client()?.ask(ImportContext { entries: parse_export(&text)?, replace }).await?;
    ctx.out.show(&imported, |imported| {
        ctx.out.say(format_args!(
            "{} Stored {}, removed {}, left out {} that had expired.",
            paint(GOOD, "✓"),
            count(imported.stored as u64, "entry", "entries"),
            imported.removed,
            imported.expired
        ))
    })
}

fn parse_export(text: &str) -> Result<Vec<ContextEntry>, Error> {
    let complaint = |e: serde_json::Error| {
        Error::failure(format!("This is no export of context entries: {e}."))
            .hint("It must be a list as `loopsy context export` writes it, or a `context.json`.")
    };
    match serde_json::from_str(text).map_err(complaint)? {
        Exported::List(entries) | Exported::Reply { entries } => Ok(entries),
        Exported::Map(entries) => Ok(entries.into_values().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_of_every_shape_are_read() {
        let entry = r#"{"key":"k","value":"v","fromNodeId":"n","createdAt":1,"updatedAt":1}"#;
        for text in [format!("[{entry}]"), format!("{{\"entries\":[{entry}]}}"), format!("{{\"k\":{entry}}}")] {
            assert_eq!(parse_export(&text).expect(&text).len(), 1);
        }
        assert!(parse_export("{\"a\":1}").is_err());
        assert!(parse_export("[").is_err());
    }
}
