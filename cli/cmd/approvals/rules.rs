//! `loopsy approvals rules` and `test`: what decides before anybody is asked.

use loopsy_shared::{
    api::approvals::{AddRule, ListRules, RemoveRule, Rules as Listed, TestRules, Verdict},
    config::{Rule, RuleVerdict},
    text::inert,
};

use super::{find, json_from};
use crate::{
    args::{Rules, TestRules as Args},
    cmd::DONE,
    context::Ctx,
    error::Error,
    output::{BAD, FAINT, GOOD, PLAIN, Table, WARN, paint},
};

pub(super) async fn run(ctx: &Ctx, command: Option<Rules>) -> Result<u8, Error> {
    let client = ctx.client()?;
    let rules = match command.unwrap_or(Rules::List) {
        Rules::List => {
            let listed = client.ask(ListRules {}).await?;
            return show(ctx, &listed);
        }
        Rules::Add(rule) => {
            let rule: Rule = rule.into();
            if rule.verdict == RuleVerdict::Allow && only_verdict(&rule) {
                return Err(Error::usage("A rule that allows has to name something.").hint("Name a tool, a command, a path, or more than one of them."));
            }
            client.ask(AddRule { rule }).await?
        }
        Rules::Remove { number, yes } => {
            let index = usize::try_from(number).unwrap_or(usize::MAX) - 1;
            let rules = client.ask(ListRules {}).await?.rules;
            let rule =
                rules.get(index).ok_or_else(|| Error::failure(format!("There is no rule {number}.")).hint("List them with `loopsy approvals rules`."))?;
            if !yes && !ctx.out.confirm(&format!("Remove rule {number}, {}?", words(rule)))? {
                return Err(Error::failure("Nothing was removed.").hint("Say `--yes` where nobody can be asked."));
            }
            client.ask(RemoveRule { index }).await?
        }
        Rules::From { approval, verdict, yes } => {
            let approval = find(client, &approval.id).await?;
            if ctx.local()?.runtime.as_ref().is_some_and(|runtime| runtime.node_id != approval.node_id) {
                let there = format!("Rules count where the agent runs: make it on `{}`.", inert(&approval.node));
                return Err(Error::failure("The approval is not one of this machine.").hint(there));
            }
            let verdict = verdict.into();
            let rules: Vec<Rule> = approval.rules.iter().map(|rule| Rule { verdict, ..rule.clone() }).collect();
            if rules.is_empty() {
                let why = "No rule says just what was asked: it is a question, or a command line that is not understood word for word.";
                return Err(Error::failure(why).hint("Write one by hand: `loopsy approvals rules add --help`."));
            }
            let all: Vec<String> = rules.iter().map(words).collect();
            if !yes && !ctx.out.confirm(&format!("Add {}?", all.join("; ")))? {
                return Err(Error::failure(format!("Nothing was added. It would be: {}.", all.join("; "))).hint("Say `--yes` where nobody can be asked."));
            }
            let mut listed = client.ask(ListRules {}).await?;
            for rule in rules {
                listed = client.ask(AddRule { rule }).await?;
            }
            listed
        }
    };
    show(ctx, &rules)
}

fn show(ctx: &Ctx, listed: &Listed) -> Result<u8, Error> {
    ctx.out.show(listed, |listed| {
        if listed.rules.is_empty() {
            return ctx.out.line("There are no rules: a person is asked about everything.");
        }
        table(&listed.rules).print(ctx.out)
    })?;
    DONE
}

pub(super) fn table(rules: &[Rule]) -> Table {
    let mut table = Table::new(&["N", "DO", "AGENT", "TOOL", "COMMAND", "PATH", "PEER", "REPOSITORY"]);
    for (index, rule) in rules.iter().enumerate() {
        fn cell(field: &Option<String>) -> &str {
            field.as_deref().unwrap_or("any")
        }
        let number = (index + 1).to_string();
        let Rule { verdict, agent, tool, command, path, peer, repository } = rule;
        table.row(&[&number, word(*verdict), cell(agent), cell(tool), cell(command), cell(path), cell(peer), cell(repository)], PLAIN);
    }
    table
}

const fn only_verdict(rule: &Rule) -> bool {
    let Rule { verdict: _, agent, tool, command, path, peer, repository } = rule;
    agent.is_none() && tool.is_none() && command.is_none() && path.is_none() && peer.is_none() && repository.is_none()
}

const fn word(verdict: RuleVerdict) -> &'static str {
    match verdict {
        RuleVerdict::Allow => "allow",
        RuleVerdict::Deny => "deny",
        RuleVerdict::Ask => "ask",
    }
}

/// `deny agent claude, command rm`.
pub(super) fn words(rule: &Rule) -> String {
    let Rule { verdict, agent, tool, command, path, peer, repository } = rule;
    let fields = [("agent", agent), ("tool", tool), ("command", command), ("path", path), ("peer", peer), ("repository", repository)];
    let named: Vec<String> = fields.into_iter().filter_map(|(name, field)| Some(format!("{name} `{}`", inert(field.as_deref()?)))).collect();
    format!("{} {}", word(*verdict), if named.is_empty() { "everything".to_owned() } else { named.join(", ") })
}

pub(super) async fn test(ctx: &Ctx, args: Args) -> Result<u8, Error> {
    let here = || std::env::current_dir().ok().and_then(|dir| dir.into_os_string().into_string().ok());
    let request = TestRules {
        tool: args.tool,
        command: args.command,
        input: args.input.as_deref().map(json_from).transpose()?,
        agent: args.agent,
        cwd: args.cwd.or_else(here),
        peer: args.peer,
    };
    let verdict = ctx.client()?.ask(request).await?;
    ctx.out.show(&verdict, |verdict| told(verdict).iter().try_for_each(|line| ctx.out.line(line)))?;
    DONE
}

/// The verdict in lines.
pub(super) fn told(verdict: &Verdict) -> Vec<String> {
    let (style, word) = match verdict.verdict {
        RuleVerdict::Allow => (GOOD, "allowed without asking"),
        RuleVerdict::Deny => (BAD, "denied without asking"),
        RuleVerdict::Ask => (WARN, "a person is asked"),
    };
    let mut lines = vec![format!("{}: {}", paint(style, word), inert(&verdict.why))];
    match (&verdict.rule, verdict.index) {
        (Some(rule), Some(index)) => lines.push(format!("  rule {}: {}", index + 1, inert(rule))),
        (Some(rule), None) => lines.push(format!("  rule: {}", inert(rule))),
        (None, _) => lines.push(paint(FAINT, "  no rule fits")),
    }
    lines.extend(verdict.commands.iter().map(|command| format!("  understood: {}", inert(command))));
    lines
}
