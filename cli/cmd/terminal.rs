//! `loopsy terminal`: programs on a screen that go on when nobody looks.

mod attach;
mod raw;

use std::time::Duration;

use loopsy_shared::{
    api::terminals::{CloseTerminal, ListTerminals, OpenTerminal, ReadTerminal, TerminalInfo},
    id::TerminalId,
    text::inert,
    time,
};

use super::{DONE, approvals::head};
use crate::{
    args::Terminal,
    context::Ctx,
    error::Error,
    output::{FAINT, GOOD, Table, short, span},
};

/// Fewer characters of an id than this are more likely a mistake.
const LEAST_PREFIX: usize = 4;

pub(super) async fn run(ctx: &Ctx, command: Terminal) -> Result<u8, Error> {
    match command {
        Terminal::New { peer, on, detach, name, cwd, env, command } => {
            let peer = peer.or(on);
            let mut words = command.into_iter();
            let window = raw::window();
            let request = OpenTerminal {
                command: words.next(),
                args: words.collect(),
                cwd,
                env: env.into_iter().collect(),
                cols: window.map(|size| size.cols),
                rows: window.map(|size| size.rows),
                name,
            };
            let attach = !detach && !ctx.out.json;
            if attach {
                raw::required()?;
            }
            let opened = ctx.at(peer.as_deref())?.call(request).await?;
            if !attach {
                ctx.out.show(&opened, |opened| ctx.out.line(&opened.id))?;
                return DONE;
            }
            attach::run(ctx, attach::Whose { peer, id: opened.id }, attach::How { read_only: false, claim: true }).await
        }
        Terminal::List { peer, on } => list(ctx, peer.or(on).as_deref()).await,
        Terminal::Attach { id, on, read_only, claim } => {
            raw::required()?;
            let info = find(ctx, on.as_deref(), &id).await?;
            // A size that is nobody's follows this window; one that is somebody's only when that is asked for.
            let claim = claim || (!read_only && info.size_owner.is_none());
            attach::run(ctx, attach::Whose { peer: on, id: info.id }, attach::How { read_only, claim }).await
        }
        Terminal::Show { id, on, scrollback } => {
            let terminal_id = find(ctx, on.as_deref(), &id).await?.id;
            let text = ctx.at(on.as_deref())?.ask(ReadTerminal { terminal_id, scrollback }).await?;
            ctx.out.show(&text, |text| text.lines.iter().try_for_each(|line| ctx.out.line(inert(line))))?;
            DONE
        }
        Terminal::Kill { id, on } => {
            let info = find(ctx, on.as_deref(), &id).await?;
            let done = ctx.at(on.as_deref())?.call(CloseTerminal { terminal_id: info.id }).await?;
            ctx.out.show(&done, |_| ctx.out.say(if info.exit.is_some() { "Forgotten: it had ended before." } else { "Ended." }))?;
            DONE
        }
    }
}

/// Asks for a person at a terminal, before anything is begun that needs one.
pub(super) fn required() -> Result<(), Error> {
    raw::required()
}

/// Opens a terminal as its user: it follows this window.
pub(super) async fn attach(ctx: &Ctx, peer: Option<String>, id: TerminalId) -> Result<u8, Error> {
    raw::required()?;
    attach::run(ctx, attach::Whose { peer, id }, attach::How { read_only: false, claim: true }).await
}

async fn list(ctx: &Ctx, peer: Option<&str>) -> Result<u8, Error> {
    let all = ctx.at(peer)?.ask(ListTerminals {}).await?;
    ctx.out.show(&all, |all| {
        if all.terminals.is_empty() {
            return ctx.out.line("There are no terminals. Open one: loopsy terminal new");
        }
        let mut table = Table::new(&["TERMINAL", "NAME", "SIZE", "VIEWERS", "AGE", "TITLE", "STATE"]);
        for one in &all.terminals {
            let age = span(Duration::from_millis(time::now().saturating_sub(one.created_at)));
            let size = format!("{}x{}", one.size.cols, one.size.rows);
            let title = short(one.title.as_deref().unwrap_or_default(), 40);
            let (state, style) = match &one.exit {
                None => ("open".to_owned(), GOOD),
                Some(exit) => (format!("ended with {}", exit.shell_code()), FAINT),
            };
            table.row(&[head(one.id.as_str()), &short(&one.name, 24), &size, &one.viewers.to_string(), &age, &title, &state], style);
        }
        table.print(ctx.out)
    })?;
    DONE
}

/// The one terminal whose id begins so, or whose name is this.
async fn find(ctx: &Ctx, peer: Option<&str>, id: &str) -> Result<TerminalInfo, Error> {
    let all = ctx.at(peer)?.ask(ListTerminals {}).await?.terminals;
    choose(all, id)
}

fn choose(all: Vec<TerminalInfo>, id: &str) -> Result<TerminalInfo, Error> {
    let list = "List them with `loopsy terminal list`.";
    if id.len() < LEAST_PREFIX {
        return Err(Error::usage(format!("`{}` is too short for an id: give at least {LEAST_PREFIX} characters.", inert(id))).hint(list));
    }
    let mut fitting: Vec<TerminalInfo> = all.into_iter().filter(|one| one.id.as_str().starts_with(id)).collect();
    match fitting.len() {
        1 => Ok(fitting.swap_remove(0)),
        0 => Err(Error::failure(format!("There is no terminal `{}`.", inert(id))).hint(list)),
        several => Err(Error::failure(format!("{several} terminals begin with `{}`.", inert(id))).hint("Give more of the id.")),
    }
}

/// How somebody comes back to a terminal.
fn way_back(peer: Option<&str>, id: &TerminalId) -> String {
    let short = id.as_str().get(..8).unwrap_or(id.as_str());
    match peer {
        Some(peer) => format!("loopsy terminal attach {} --on {}", inert(short), inert(peer)),
        None => format!("loopsy terminal attach {}", inert(short)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(id: &str) -> TerminalInfo {
        let json = serde_json::json!({ "id": id, "name": "sh", "command": "sh", "cwd": "/", "pid": 1, "size": { "cols": 80, "rows": 24 }, "createdAt": 1, "viewers": 0, "offset": 0, "principal": "admin" });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn an_id_may_be_short_but_not_ambiguous() {
        let all = || vec![one("abcd1234"), one("abcd9999"), one("ef012345")];
        assert_eq!(choose(all(), "ef01").unwrap().id.as_str(), "ef012345");
        assert_eq!(choose(all(), "abcd1").unwrap().id.as_str(), "abcd1234");
        assert!(choose(all(), "abcd").is_err() && choose(all(), "ef0").is_err() && choose(all(), "ffff").is_err());
    }
}
