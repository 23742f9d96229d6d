//! The form of a new task: where, which agent, what it is to do. What was typed stays until a task was made of it. A session that the agent kept is gone on
//! with from its task, and not here.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use loopsy_shared::{
    api::{
        ai_tasks::{AgentChoice, AgentInfo, DispatchTask, ListAgents, PermissionMode, TaskMode},
        execute::Timeout,
    },
    id::NodeId,
};
use ratatui::layout::Rect;

use crate::{
    app::{Canvas, Cx},
    effect::{Done, Effect, Purpose},
    event::Event,
    input::Input,
    key::Code,
    keymap::Scope,
    look::Role,
    overlays::{Flow, Overlay},
    request::Place,
    tabs::TabId,
    widgets::{
        field::{Field, Outcome},
        pane::{Pane, centred},
        text::{put, wrap},
    },
};

const PERMISSIONS: [(PermissionMode, &str); 5] = [
    (PermissionMode::Default, "asks before it changes anything"),
    (PermissionMode::AcceptEdits, "changes files in its directory without asking"),
    (PermissionMode::Plan, "only plans"),
    (PermissionMode::DontAsk, "never asks: what is not allowed is denied"),
    (PermissionMode::BypassPermissions, "asks NOTHING: may do all that you may"),
];

/// What was typed so far.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) node: Option<NodeId>,
    pub(super) prompt: Field,
    cwd: Field,
    model: Field,
    budget: Field,
    allowed: Field,
    denied: Field,
    timeout: Field,
    agent: String,
    permission: usize,
    /// As the person chose; by what the agent can do when none.
    interactive: Option<bool>,
    worktree: bool,
    park: bool,
    queue: bool,
    /// What each node's daemon says of its agents, or why that is not known.
    agents: BTreeMap<Option<NodeId>, Result<Vec<AgentInfo>, String>>,
}

impl Draft {
    /// What a node said of its agents.
    pub(super) fn answered(&mut self, node: Option<NodeId>, agents: Result<Vec<AgentInfo>, String>) {
        self.agents.insert(node, agents);
    }

    /// A task was made of it: the next one begins at the same place.
    pub(super) fn done(&mut self) {
        let before = std::mem::take(self);
        (self.node, self.cwd, self.agent, self.agents) = (before.node, before.cwd, before.agent, before.agents);
    }

    /// The agents that can be chosen, `auto` first.
    fn choices(&self) -> Vec<String> {
        let known = self.agents.get(&self.node).and_then(|agents| agents.as_ref().ok()).into_iter().flatten();
        std::iter::once("auto".to_owned()).chain(known.filter(|agent| agent.path.is_some()).map(|agent| agent.name.clone())).collect()
    }

    /// The agent that it will be, where that is known.
    fn chosen(&self) -> Option<&AgentInfo> {
        let agents = self.agents.get(&self.node)?.as_ref().ok()?;
        agents.iter().find(|agent| agent.path.is_some() && (self.agent == "auto" || agent.name == self.agent))
    }

    fn is_interactive(&self) -> bool {
        self.interactive.unwrap_or_else(|| self.chosen().is_some_and(|agent| agent.interactive))
    }
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            node: None,
            prompt: Field::lines(),
            cwd: Field::line(),
            model: Field::line(),
            budget: Field::line(),
            allowed: Field::line(),
            denied: Field::line(),
            timeout: Field::line(),
            agent: "auto".to_owned(),
            permission: 0,
            interactive: None,
            worktree: false,
            park: false,
            queue: true,
            agents: BTreeMap::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    Prompt,
    Node,
    Agent,
    Cwd,
    Permission,
    Mode,
    Model,
    Budget,
    Worktree,
    Park,
    Allowed,
    Denied,
    Timeout,
    Queue,
}

const ROWS: [Row; 14] = [
    Row::Prompt,
    Row::Node,
    Row::Agent,
    Row::Cwd,
    Row::Permission,
    Row::Mode,
    Row::Model,
    Row::Budget,
    Row::Worktree,
    Row::Park,
    Row::Allowed,
    Row::Denied,
    Row::Timeout,
    Row::Queue,
];
/// Lines of the prompt that are shown.
const PROMPT_LINES: u16 = 4;

/// The form.
#[derive(Debug)]
pub(super) struct NewTask {
    draft: Rc<RefCell<Draft>>,
    nodes: Vec<(Option<NodeId>, String)>,
    at: usize,
    error: Option<String>,
}

impl NewTask {
    pub(super) fn new(draft: Rc<RefCell<Draft>>, cx: &mut Cx<'_>) -> Self {
        let there: Vec<Option<NodeId>> = cx.world.reachable().into_iter().map(|peer| Some(peer.node_id.clone())).collect();
        // Two machines may have one name.
        let labels = cx.world.labels_of(&there);
        let here = (None, format!("{} (this machine)", cx.world.here()));
        let nodes: Vec<_> = std::iter::once(here).chain(there.into_iter().zip(labels)).collect();
        {
            let mut draft = draft.borrow_mut();
            draft.agents.clear();
            if !nodes.iter().any(|(node, _)| *node == draft.node) {
                draft.node = None;
            }
        }
        let this = Self { draft, nodes, at: 0, error: None };
        this.ask(cx);
        this
    }

    /// Asks the chosen node for its agents, once. The answer is the tab's, which keeps the draft.
    fn ask(&self, cx: &mut Cx<'_>) {
        let mut draft = self.draft.borrow_mut();
        let node = draft.node.clone();
        if !draft.agents.contains_key(&node) {
            draft.agents.insert(node.clone(), Err("asking it for its agents ..".to_owned()));
            let before = std::mem::replace(&mut cx.place, Place::Tab(TabId::Tasks));
            cx.call(node.as_ref(), ListAgents {});
            cx.place = before;
        }
    }

    fn step(&mut self, forward: bool) {
        fn turn(at: usize, count: usize, forward: bool) -> usize {
            (at + if forward { 1 } else { count.saturating_sub(1) }) % count.max(1)
        }
        let mut draft = self.draft.borrow_mut();
        match ROWS[self.at] {
            Row::Node => {
                let at = self.nodes.iter().position(|(node, _)| *node == draft.node).unwrap_or(0);
                if let Some((node, _)) = self.nodes.get(turn(at, self.nodes.len(), forward)) {
                    draft.node.clone_from(node);
                    "auto".clone_into(&mut draft.agent);
                }
            }
            Row::Agent => {
                let mut choices = draft.choices();
                let at = choices.iter().position(|name| *name == draft.agent).unwrap_or(0);
                let to = turn(at, choices.len(), forward);
                draft.agent = choices.swap_remove(to);
            }
            Row::Permission => draft.permission = turn(draft.permission, PERMISSIONS.len(), forward),
            Row::Mode => draft.interactive = Some(!draft.is_interactive()),
            Row::Worktree => draft.worktree = !draft.worktree,
            Row::Park => draft.park = !draft.park,
            Row::Queue => draft.queue = !draft.queue,
            Row::Prompt | Row::Cwd | Row::Model | Row::Budget | Row::Allowed | Row::Denied | Row::Timeout => {}
        }
    }

    fn submit(&mut self, cx: &mut Cx<'_>) -> Flow {
        let draft = self.draft.borrow();
        let text = |field: &Field| Some(field.text().trim().to_owned()).filter(|text| !text.is_empty());
        let time = text(&draft.timeout).map(|time| timeout(&time)).transpose();
        let problem = if draft.prompt.text().trim().is_empty() {
            Some((Row::Prompt, "What is the agent to do? Type it here."))
        } else if text(&draft.budget)
            .is_some_and(|budget| !budget.trim_start_matches('$').parse::<f64>().is_ok_and(|dollars| dollars > 0.0 && dollars.is_finite()))
        {
            Some((Row::Budget, "The budget is a number of US dollars, such as 2.50."))
        } else if time.is_err() {
            Some((Row::Timeout, "The time is a number with its unit, such as 90s, 30m or 2h, up to 31 days; empty leaves it to the machine."))
        } else if !cx.world.is_up() {
            Some((Row::Prompt, "The daemon of this machine does not answer. What you typed stays here: Esc, then r tries again."))
        } else {
            None
        };
        if let Some((row, why)) = problem {
            self.at = ROWS.iter().position(|known| *known == row).unwrap_or(0);
            self.error = Some(why.to_owned());
            return Flow::Stay;
        }
        let request = DispatchTask {
            prompt: draft.prompt.text().to_owned(),
            cwd: text(&draft.cwd),
            agent: AgentChoice(draft.agent.clone()),
            permission_mode: PERMISSIONS.get(draft.permission).map(|(mode, _)| *mode).unwrap_or_default(),
            mode: if draft.is_interactive() { TaskMode::Interactive } else { TaskMode::Headless },
            model: text(&draft.model),
            max_budget_usd: text(&draft.budget).and_then(|budget| budget.trim_start_matches('$').parse().ok()),
            worktree: draft.worktree,
            park: draft.park,
            allowed_tools: tools(draft.allowed.text()),
            disallowed_tools: tools(draft.denied.text()),
            timeout: time.unwrap_or_default(),
            queue: draft.queue,
            ..DispatchTask::default()
        };
        // The answer is the tab's: the form is gone by then.
        let before = std::mem::replace(&mut cx.place, Place::Tab(TabId::Tasks));
        cx.call(draft.node.as_ref(), request);
        cx.place = before;
        Flow::Close
    }

    /// What stands in a row that is chosen, and what is said about it.
    fn chosen(&self, draft: &Draft, row: Row) -> (String, String) {
        let yes = |on: bool| if on { "yes" } else { "no" }.to_owned();
        match row {
            Row::Node => (self.nodes.iter().find(|(node, _)| *node == draft.node).map_or_else(String::new, |(_, name)| name.clone()), String::new()),
            Row::Agent => {
                let about = match draft.agents.get(&draft.node) {
                    Some(Ok(_)) => match draft.chosen() {
                        Some(agent) if draft.agent == "auto" => format!("that is {}", agent.name),
                        Some(agent) => agent.problem.clone().or_else(|| agent.version.clone()).unwrap_or_default(),
                        None => "no agent is installed there".to_owned(),
                    },
                    Some(Err(why)) => why.clone(),
                    None => String::new(),
                };
                (draft.agent.clone(), about)
            }
            Row::Permission => {
                let (mode, about) = PERMISSIONS.get(draft.permission).copied().unwrap_or(PERMISSIONS[0]);
                let word = serde_json::to_value(mode).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default();
                (word, about.to_owned())
            }
            Row::Mode if draft.is_interactive() => ("interactive".to_owned(), "its own screen, which you can type into".to_owned()),
            Row::Mode => ("headless".to_owned(), "without a screen: a log, messages, approvals".to_owned()),
            Row::Worktree => (yes(draft.worktree), "a git worktree and a branch of its own".to_owned()),
            Row::Park => (yes(draft.park), "unanswered questions wait for days (Claude Code)".to_owned()),
            Row::Queue if draft.queue => (yes(true), "waits while all places are taken".to_owned()),
            Row::Queue => (yes(false), "is refused when all places are taken".to_owned()),
            Row::Prompt | Row::Cwd | Row::Model | Row::Budget | Row::Allowed | Row::Denied | Row::Timeout => Default::default(),
        }
    }
}

fn field_of(draft: &mut Draft, row: Row) -> Option<&mut Field> {
    match row {
        Row::Prompt => Some(&mut draft.prompt),
        Row::Cwd => Some(&mut draft.cwd),
        Row::Model => Some(&mut draft.model),
        Row::Budget => Some(&mut draft.budget),
        Row::Allowed => Some(&mut draft.allowed),
        Row::Denied => Some(&mut draft.denied),
        Row::Timeout => Some(&mut draft.timeout),
        Row::Node | Row::Agent | Row::Permission | Row::Mode | Row::Worktree | Row::Park | Row::Queue => None,
    }
}

const fn label(row: Row) -> &'static str {
    match row {
        Row::Prompt => "Prompt",
        Row::Node => "Machine",
        Row::Agent => "Agent",
        Row::Cwd => "Directory",
        Row::Permission => "Permissions",
        Row::Mode => "Mode",
        Row::Model => "Model",
        Row::Budget => "Budget in $",
        Row::Worktree => "Worktree",
        Row::Park => "Park",
        Row::Allowed => "Allow tools",
        Row::Denied => "Deny tools",
        Row::Timeout => "Ends after",
        Row::Queue => "Queue",
    }
}

/// Names of tools, with commas or blanks in between; what is in parentheses stays together.
fn tools(text: &str) -> Vec<String> {
    let (mut all, mut depth) = (vec![String::new()], 0_usize);
    for c in text.chars() {
        depth = match c {
            '(' => depth + 1,
            ')' => depth.saturating_sub(1),
            _ => depth,
        };
        match all.last_mut() {
            Some(tool) if depth > 0 || c != ',' && !c.is_whitespace() => tool.push(c),
            _ => all.push(String::new()),
        }
    }
    all.retain(|tool| !tool.is_empty());
    all
}

/// `90s`, `30m`, `2h`.
fn timeout(text: &str) -> Result<Timeout, String> {
    let second = 1000.0;
    let units = [("ms", 1.0), ("s", second), ("m", 60.0 * second), ("h", 3600.0 * second)];
    let read = units.iter().find_map(|(unit, long)| text.strip_suffix(unit)?.trim().parse::<f64>().ok().map(|number| number * long));
    Timeout::from_millis(read.unwrap_or_default())
}

impl Overlay for NewTask {
    fn scopes(&self) -> Vec<Scope> {
        Vec::new()
    }

    fn is_typing(&self) -> bool {
        true
    }

    fn typed(&mut self, input: &Input, cx: &mut Cx<'_>) -> Flow {
        let row = ROWS[self.at];
        if let Input::Key(press) = input {
            let key = press.key;
            let to = match key.code {
                Code::Tab if key.shift => Some((self.at + ROWS.len() - 1) % ROWS.len()),
                Code::Tab => Some((self.at + 1) % ROWS.len()),
                Code::Up if row != Row::Prompt => Some(self.at.saturating_sub(1)),
                Code::Down if row != Row::Prompt => Some((self.at + 1).min(ROWS.len() - 1)),
                Code::F(4) => {
                    cx.effect(Effect::Edit(self.draft.borrow().prompt.text().to_owned(), Purpose::Prompt));
                    return Flow::Stay;
                }
                _ => None,
            };
            if let Some(to) = to {
                self.at = to;
                return Flow::Stay;
            }
        }
        let outcome = match field_of(&mut self.draft.borrow_mut(), row) {
            Some(field) => field.take(input),
            None => match input {
                Input::Key(press) => match press.key.code {
                    Code::Enter => Outcome::Submit,
                    Code::Esc => Outcome::Leave,
                    Code::Left | Code::Char('h') | Code::Right | Code::Char('l' | ' ') => Outcome::Changed,
                    _ => Outcome::Ignored,
                },
                _ => Outcome::Ignored,
            },
        };
        match outcome {
            Outcome::Submit => return self.submit(cx),
            Outcome::Leave => return Flow::Close,
            Outcome::Changed => {
                self.error = None;
                if let Input::Key(press) = input {
                    self.step(!matches!(press.key.code, Code::Left | Code::Char('h')));
                }
                self.ask(cx);
            }
            Outcome::Ignored => {}
        }
        Flow::Stay
    }

    fn event(&mut self, event: &Event, _cx: &mut Cx<'_>) -> Flow {
        match event {
            Event::Did(Done::Text(Purpose::Prompt, Ok(Some(text)))) => self.draft.borrow_mut().prompt.set(text.trim_end()),
            Event::Did(Done::Text(Purpose::Prompt, Err(why))) => self.error = Some(why.clone()),
            _ => {}
        }
        Flow::Stay
    }

    fn mode(&self) -> &'static str {
        "INPUT"
    }

    fn status(&self) -> String {
        "Enter start  Tab next  Alt-Enter newline  F4 editor  Esc keep draft".to_owned()
    }

    fn view(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let wide = area.width.min(90);
        let error = self.error.as_ref().map(|error| wrap(error, usize::from(wide).saturating_sub(4))).unwrap_or_default();
        let height = ROWS.len() as u16 + PROMPT_LINES + error.len() as u16 + 3;
        let inside = Pane { title: "New task", focused: true, input: true, note: "" }.draw(centred(area, wide, height), canvas);
        let lines = PROMPT_LINES.min(inside.height.saturating_sub(2).max(1));
        let tall = |row: Row| if row == Row::Prompt { lines } else { 1 };
        let room = inside.height.saturating_sub(error.len() as u16).max(1);
        // Rows above go when the one that is typed into would be below the edge.
        let mut from = 0;
        while from < self.at && ROWS[from..=self.at].iter().map(|row| tall(*row)).sum::<u16>() > room {
            from += 1;
        }
        let draft = self.draft.borrow();
        let mut y = 0;
        for (index, row) in ROWS.into_iter().enumerate().skip(from) {
            if y + tall(row) > room {
                break;
            }
            let typing = index == self.at;
            put(canvas.buf, inside, 1, y, label(row), canvas.look.style(if typing { Role::Strong } else { Role::Text }));
            let place = Rect { x: inside.x + 14, y: inside.y + y, width: inside.width.saturating_sub(15), height: tall(row) }.intersection(inside);
            let field = match row {
                Row::Prompt => Some((&draft.prompt, "")),
                Row::Cwd => Some((&draft.cwd, "the home directory")),
                Row::Model => Some((&draft.model, "the agent's own choice")),
                Row::Budget => Some((&draft.budget, "no limit")),
                Row::Allowed => Some((&draft.allowed, "used without asking: Read, Bash(git log:*)")),
                Row::Denied => Some((&draft.denied, "never used: WebFetch")),
                Row::Timeout => Some((&draft.timeout, "as the machine's config says; 90s, 30m, 2h")),
                Row::Node | Row::Agent | Row::Permission | Row::Mode | Row::Worktree | Row::Park | Row::Queue => None,
            };
            match field {
                Some((field, empty)) => {
                    field.draw(place, canvas, typing);
                    if field.text().is_empty() && !typing {
                        put(canvas.buf, place, 0, 0, empty, canvas.look.style(Role::Faint));
                    }
                }
                None => {
                    let (value, about) = self.chosen(&draft, row);
                    let at = put(canvas.buf, place, 0, 0, &format!("< {value} >"), canvas.look.style(if typing { Role::Selection } else { Role::Text }));
                    put(canvas.buf, place, at + 2, 0, &about, canvas.look.style(Role::Faint));
                }
            }
            y += tall(row);
            if row == Row::Prompt && room > ROWS.iter().map(|row| tall(*row)).sum() {
                y += 1;
            }
        }
        for (row, line) in (0..).zip(&error) {
            put(canvas.buf, inside, 1, inside.height.saturating_sub(error.len() as u16) + row, line, canvas.look.style(Role::Bad));
        }
    }
}
