//! `loopsy approvals`: what agents ask, on all machines, and its answers. A yes needs to be for what was shown: a person sees the whole card before a key counts,
//! and a script names the hash of what it looked at. A no harms nothing and needs neither.

pub(super) mod card;
pub(super) mod desk;
mod editor;
pub(super) mod keys;
mod review;
mod rules;
mod watch;

use std::{collections::BTreeMap, io::Read, path::Path};

use jiff::tz::TimeZone;
use loopsy_shared::{
    api::approvals::{Approval, ApprovalKind, Approvals as Listed, DecideApproval, Decision, GetApproval, ListApprovals},
    client::Client,
    id::ApprovalId,
    text::inert,
    time,
};
pub(super) use loopsy_tui::card::who;
use serde_json::Value;

use self::{
    desk::{answered_here, late, look, said},
    keys::{Input, Keys, somebody_is_there},
    review::{Review, Step},
};
use super::{
    DONE,
    task::{essential, signals::Signals},
};
use crate::{
    args::{Approvals, Yes},
    context::Ctx,
    error::Error,
    output::{FAINT, PLAIN, Table, WARN, clock, paint, short},
};

/// Longest input that replaces another.
const MOST_INPUT: u64 = 32 << 20;

pub(super) async fn run(ctx: &Ctx, command: Option<Approvals>) -> Result<u8, Error> {
    match command.unwrap_or(Approvals::List { all: false, local: false }) {
        Approvals::List { all, local } => list(ctx, all, local).await,
        Approvals::Show { approval } => {
            let approval = find(ctx.client()?, &approval.id).await?;
            ctx.out.show(&approval, |approval| card::lines(approval, &look().0).iter().try_for_each(|line| ctx.out.line(line)))?;
            DONE
        }
        Approvals::Allow { approval, input } => {
            let input = input.as_deref().map(json_from).transpose()?;
            say_yes(ctx, approval, |approval| {
                if approval.kind == ApprovalKind::Question {
                    let hint = format!("`loopsy approvals answer {} 1=..` does.", inert(head(approval.id.as_str())));
                    return Err(Error::failure("The agent asks a question: a yes alone does not answer it.").hint(hint));
                }
                if input.is_some() && !approval.may_edit {
                    return Err(Error::failure("This agent takes no other input with the answer.").hint("Allow it as it is, or deny it with a reason."));
                }
                Ok(DecideApproval { input, ..plain(approval, Decision::Allow) })
            })
            .await
        }
        Approvals::Always { approval, suggestion } => {
            say_yes(ctx, approval, |approval| Ok(DecideApproval { suggestion: Some(offered(approval, suggestion)?), ..plain(approval, Decision::Always) }))
                .await
        }
        Approvals::Answer { approval, answers } => {
            say_yes(ctx, approval, |approval| Ok(DecideApproval { answers: answered(approval, &answers)?, ..plain(approval, Decision::Allow) })).await
        }
        Approvals::Deny { approval, reason } => say_no(ctx, &approval.id, Decision::Deny, reason).await,
        Approvals::Stop { approval, reason } => say_no(ctx, &approval.id, Decision::Stop, reason).await,
        Approvals::Watch { local } => watch::run(ctx, local).await,
        Approvals::Rules { command } => rules::run(ctx, command).await,
        Approvals::Test(test) => rules::test(ctx, test).await,
    }
}

async fn list(ctx: &Ctx, all: bool, local: bool) -> Result<u8, Error> {
    let listed = ctx.client()?.ask(ListApprovals { all, local }).await?;
    ctx.out.show(&listed, |listed| {
        if listed.approvals.is_empty() {
            ctx.out.line("Nothing waits for an answer.")?;
        } else {
            table(&listed.approvals, all, time::now(), &TimeZone::system()).print(ctx.out)?;
        }
        Ok(())
    })?;
    unseen(ctx, &listed);
    DONE
}

fn table(approvals: &[Approval], all: bool, now: time::Millis, zone: &TimeZone) -> Table {
    let mut table = Table::new(&["ID", "NODE", "AGENT", "ASKED", if all { "STATE" } else { "EXPIRES" }, "TOOL", "WHAT"]);
    for approval in approvals {
        let state = if all { format!("{:?}", approval.state).to_lowercase() } else { clock(approval.expires_at, now, zone) };
        let what = approval.questions.first().map_or_else(|| essential(&approval.input), |question| question.question.clone());
        let asked = clock(approval.asked_at, now, zone);
        table.row(&[head(approval.id.as_str()), &approval.node, &approval.agent, &asked, &state, &short(&approval.tool, 24), &short(&what, 60)], PLAIN);
    }
    table
}

/// Peers whose approvals are not known are no reason to think that nothing waits there.
fn unseen(ctx: &Ctx, listed: &Listed) {
    if !listed.unseen.is_empty() {
        let names: Vec<String> = listed.unseen.iter().map(|name| format!("`{}`", inert(name))).collect();
        ctx.out.warn(paint(WARN, format!("Not known now is what waits on {}.", names.join(", "))));
    }
}

/// As much of an id as people read.
pub(super) fn head(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

/// The approval with this id, or the only one whose id begins so.
async fn find(client: &Client, id: &str) -> Result<Approval, Error> {
    if ApprovalId::is_well_formed(id) {
        return Ok(client.ask(GetApproval { id: id.into() }).await?);
    }
    let listed = client.ask(ListApprovals { all: true, local: false }).await?.approvals;
    let found = super::task::only(id, "approval", listed, |approval| approval.id.as_str());
    found.map_err(|error| error.hint("List them with `loopsy approvals`."))
}

/// An answer with nothing beside it, for what was just read.
fn plain(approval: &Approval, decision: Decision) -> DecideApproval {
    DecideApproval { id: approval.id.clone(), sha256: approval.sha256.clone(), decision, reason: None, input: None, suggestion: None, answers: BTreeMap::new() }
}

async fn say_no(ctx: &Ctx, id: &str, decision: Decision, reason: Option<String>) -> Result<u8, Error> {
    let approval = open(find(ctx.client()?, id).await?)?;
    send(ctx, DecideApproval { reason, ..plain(&approval, decision) }).await
}

async fn say_yes(ctx: &Ctx, yes: Yes, answer: impl FnOnce(&Approval) -> Result<DecideApproval, Error>) -> Result<u8, Error> {
    let approval = open(find(ctx.client()?, &yes.id).await?)?;
    let answer = answer(&approval)?;
    match yes.sha256 {
        Some(hash) if approval.sha256.to_ascii_lowercase().starts_with(&hash) => {}
        Some(_) => {
            return Err(Error::failure("What is asked is not what you looked at: its hash is another one. Nothing was answered.")
                .hint(format!("Look at it again: `loopsy approvals show {}`.", inert(head(approval.id.as_str())))));
        }
        None if somebody_is_there() && !ctx.out.json => {
            if !confirmed(approval, &answer).await? {
                ctx.out.remark(paint(FAINT, "Nothing was answered."));
                return Err(Error::Silent(crate::error::FAILURE));
            }
        }
        None => {
            return Err(Error::usage("A yes without a person at the terminal has to name the hash of what was looked at.")
                .hint(format!("`loopsy approvals show {}` prints it; then add `--sha256 HASH`.", inert(head(approval.id.as_str())))));
        }
    }
    send(ctx, answer).await
}

async fn send(ctx: &Ctx, answer: DecideApproval) -> Result<u8, Error> {
    let approval = ctx.client()?.ask(answer).await?;
    ctx.out.show(&approval, |approval| ctx.out.say(answered_here(approval)))?;
    DONE
}

/// What can still be answered.
fn open(approval: Approval) -> Result<Approval, Error> {
    if approval.state.is_open() {
        return Ok(approval);
    }
    Err(Error::failure(late(&approval, time::now(), &TimeZone::system())))
}

/// Shows the card with the answer, and waits for the person's yes to exactly that.
async fn confirmed(approval: Approval, answer: &DecideApproval) -> Result<bool, Error> {
    let mut signals = Signals::new()?;
    let (look, height) = look();
    let mut review = Review::new(approval, look, height).only(answer);
    let mut keys = Keys::new()?;
    let mut lines = review.page();
    loop {
        for line in &lines {
            use std::io::Write;
            writeln!(anstream::stderr().lock(), "{line}")?;
        }
        keys.forget();
        let input = tokio::select! {
            input = keys.next() => input,
            code = signals.next() => return Err(Error::Silent(code)),
        };
        let step = match input {
            Input::Key(key) => review.key(key),
            Input::Bunch | Input::Line(_) => review.not_alone(),
            Input::Gone => return Ok(false),
        };
        lines = match step {
            Step::Show(lines) => lines,
            Step::Send(_) => return Ok(true),
            Step::Later | Step::Line(_) | Step::Edit(_) => return Ok(false),
        };
    }
}

/// The place of the rule that is kept.
fn offered(approval: &Approval, number: Option<u16>) -> Result<usize, Error> {
    let most = approval.suggestions.len();
    let hint = format!("`loopsy approvals show {}` lists what the agent offers.", inert(head(approval.id.as_str())));
    match (number.map(|number| usize::from(number) - 1), most) {
        (_, 0) => Err(Error::failure("The agent offers no rule to keep.").hint("Allow it once, or make a rule of your own: `loopsy approvals rules from`.")),
        (Some(index), _) if index < most => Ok(index),
        (None, 1) => Ok(0),
        (Some(_), _) => Err(Error::usage(format!("There is no such rule; the agent offers {most}.")).hint(hint)),
        (None, _) => Err(Error::usage(format!("The agent offers {most} rules; say which with `--suggestion N`.")).hint(hint)),
    }
}

/// `1=yes`, `database=Postgres`, by the questions' ids.
fn answered(approval: &Approval, given: &[String]) -> Result<BTreeMap<String, Vec<String>>, Error> {
    let questions = &approval.questions;
    let all = || questions.iter().enumerate().map(|(index, question)| card::asked(index, question)).collect::<Vec<_>>().join("  ");
    if questions.is_empty() {
        return Err(Error::failure("This approval asks nothing that has answers.").hint("Answer it with `allow`, `always`, `deny` or `stop`."));
    }
    let mut answers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for text in given {
        let complaint = || Error::usage(format!("`{}` answers none of the questions.", inert(text))).hint(format!("Write QUESTION=ANSWER. {}", all()));
        // An id may have `=` in it.
        let by_id = questions.iter().find_map(|question| Some((question, text.strip_prefix(question.id.as_str())?.strip_prefix('=')?)));
        let by_number = || {
            let (number, answer) = text.split_once('=')?;
            Some((questions.get(number.parse::<usize>().ok()?.checked_sub(1)?)?, answer))
        };
        let (question, answer) = by_id.or_else(by_number).ok_or_else(complaint)?;
        if answer.is_empty() {
            return Err(complaint());
        }
        let known = |label: &str| question.options.iter().any(|choice| choice.label == label);
        let by_place = answer.parse::<usize>().ok().and_then(|number| question.options.get(number.checked_sub(1)?)).filter(|_| !known(answer));
        let answer = by_place.map_or_else(|| answer.to_owned(), |choice| choice.label.clone());
        let chosen = answers.entry(question.id.clone()).or_default();
        if !chosen.is_empty() && !question.multiple {
            return Err(Error::usage(format!("Question `{}` takes one answer.", inert(&question.id))));
        }
        chosen.push(answer);
    }
    match questions.iter().enumerate().find(|(_, question)| !answers.contains_key(&question.id)) {
        None => Ok(answers),
        Some((index, question)) => Err(Error::usage(format!("There is no answer to {}", card::asked(index, question)))),
    }
}

/// JSON from a file or from standard input.
fn json_from(path: &Path) -> Result<Value, Error> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(MOST_INPUT).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MOST_INPUT).read_to_string(&mut text))
    };
    read.map_err(|e| Error::file(path, &e))?;
    serde_json::from_str(&text).map_err(|e| Error::failure(format!("`{}` is not JSON: {e}.", path.display())))
}

/// One line for programs that read text.
fn line(approval: &Approval, now: time::Millis, zone: &TimeZone) -> String {
    let what = approval.questions.first().map_or_else(|| essential(&approval.input), |question| short(&question.question, 160));
    let state =
        if approval.state.is_open() { format!("{} {} {what}", paint(WARN, "asks"), short(&approval.tool, 60)) } else { format!("{} ({what})", said(approval)) };
    let (id, node, agent) = (inert(head(approval.id.as_str())), inert(&approval.node), inert(&approval.agent));
    format!("{} {id} {node} {agent} {state}", clock(approval.asked_at, now, zone))
}

/// An approval of a shell command, for tests.
#[cfg(test)]
pub(super) fn sample() -> Value {
    serde_json::json!({
        "id": "11112222-3333-4444-8555-666677778888", "nodeId": "node-1", "node": "leo", "taskId": "7f3a01c2-0000-4000-8000-000000000001", "agent": "claude", "kind": "tool",
        "tool": "Bash", "input": { "command": "rm -rf target && \\\n  cargo build -r", "timeout": 120_000 },
        "sha256": "b61ec0de00000000000000000000000000000000000000000000000000000009", "description": "Builds from scratch",
        "reason": "clean build to rule out stale artefacts", "cwd": "/home/leo/loopsy",
        "paths": [{ "path": "target", "resolved": "/home/leo/loopsy/target", "exists": true, "inside": true }], "flags": ["deletes files (rm -rf)"],
        "suggestions": [{ "label": "Bash(rm:*) in this project", "rule": { "tool": "Bash" } }, { "label": "Bash(cargo:*)", "rule": {} }],
        "rule": "ask command `rm`", "mayEdit": true, "askedAt": 1_795_262_280_000_u64, "expiresAt": 1_795_262_880_000_u64, "state": "pending",
    })
}

#[cfg(test)]
mod tests;
