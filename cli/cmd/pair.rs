//! `loopsy pair`: a person types six digits, two people compare six digits; the daemon does the rest. There is no way around the comparison.

mod answers;
mod news;
mod screen;

use std::time::Duration;

use loopsy_daemon::lp2::InviteCode;
use loopsy_shared::{
    api::{
        ApiError, Code, Scope,
        pairing::{ConfirmPairing, GetPairing, JoinPairing, PairingEnd, PairingOutcome, PairingState, PairingStatus, StartPairing},
    },
    client::{Client, ClientError},
    secret::Secret,
    text::inert,
    time::Millis,
};
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval, timeout};

pub(super) use self::screen::spaced;
use self::{
    answers::Answers,
    news::{Stops, watch},
    screen::Screen,
};
use super::DONE;
use crate::{
    args::{Pair, parse_place},
    context::Ctx,
    error::{Error, FAILURE, INTERRUPTED, explain},
    output::{GOOD, paint},
};

/// How long an interrupted pairing may take to say how it ended.
const AFTERMATH: Duration = Duration::from_secs(3);

pub(super) async fn run(ctx: &Ctx, args: Pair) -> Result<u8, Error> {
    if args.cancel {
        return cancel(ctx).await;
    }
    let mut talk = Talk { client: ctx.client()?.clone(), screen: Screen::new(ctx)?, answers: Answers::new(ctx.out.json), stops: Stops::new()? };
    let scopes = (!args.scopes.is_empty()).then_some(args.scopes);
    match args.address {
        None => talk.wait(scopes).await,
        Some(place) => {
            let (address, port) = parse_place(&place).map_err(Error::usage)?;
            talk.join(address, port, scopes).await
        }
    }
}

/// What a no says, whenever it comes.
fn answer(confirmed: bool) -> ConfirmPairing {
    ConfirmPairing { confirmed: Some(confirmed), ..ConfirmPairing::default() }
}

async fn cancel(ctx: &Ctx) -> Result<u8, Error> {
    #[derive(Serialize)]
    struct Cancelled {
        cancelled: bool,
    }
    let cancelled = match ctx.client()?.call(answer(false)).await {
        Ok(_) => true,
        Err(ClientError::Api(error)) if error.code == Code::PairingNone => false,
        Err(error) => return Err(error.into()),
    };
    ctx.out.show(&Cancelled { cancelled }, |_| {
        if cancelled {
            ctx.out.say(format_args!("{} The pairing is cancelled; nothing was kept.", paint(GOOD, "✓")))
        } else {
            ctx.out.say("No pairing is under way.")
        }
    })?;
    DONE
}

/// How following a pairing ended.
enum Over {
    /// The pairing is over.
    Ended(PairingStatus),
    /// Somebody pressed Ctrl-C.
    Interrupted,
}

/// Where this machine's person is with the question.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Question {
    NotYet,
    Asked,
    Answered,
}

/// One run of the command: the daemon, the person, and what may end it.
struct Talk<'a> {
    client: Client,
    screen: Screen<'a>,
    answers: Answers,
    stops: Stops,
}

impl Talk<'_> {
    /// Shows a code and waits for the other machine.
    async fn wait(&mut self, scopes: Option<Vec<Scope>>) -> Result<u8, Error> {
        let started = self.client.call(StartPairing { scopes }).await?;
        let shown = self.screen.invite(&started);
        self.finish(shown, started.expires_at).await
    }

    /// Goes to the other machine with the code that it shows.
    async fn join(&mut self, address: String, port: Option<u16>, scopes: Option<Vec<Scope>>) -> Result<u8, Error> {
        // Before anybody types a code for nothing.
        if self.client.call(GetPairing::default()).await?.active {
            let busy = ApiError::new(Code::PairingBusy, "A pairing is under way on this node.").hint("Finish it, or cancel it with: loopsy pair --cancel");
            return Err(ClientError::Api(busy).into());
        }
        let Some(invite_code) = self.code().await? else {
            self.screen.remark("Interrupted; nothing was changed.");
            return Err(Error::Silent(INTERRUPTED));
        };
        let request = JoinPairing { address, port, invite_code, scopes };
        let joined = tokio::select! {
            joined = self.client.call(request) => joined,
            () = self.stops.one() => return self.interrupted().await,
        };
        match joined {
            Ok(status) => self.finish(Ok(()), status.expires_at.unwrap_or_default()).await,
            Err(error) => {
                if let ClientError::Api(error) = &error {
                    self.screen.outcome(&failed(error), None)?;
                }
                Err(error.into())
            }
        }
    }

    /// The code, which is never an argument: those are seen by everybody on the machine. `None` when interrupted.
    async fn code(&mut self) -> Result<Option<Secret>, Error> {
        let terminal = self.answers.terminal();
        if terminal {
            self.screen.ask("Invite code that the other machine shows: ");
        }
        let line = tokio::select! {
            line = self.answers.next() => line,
            () = self.stops.one() => {
                self.screen.end_of_question();
                return Ok(None);
            }
        };
        if terminal && line.is_some() {
            self.screen.was_answered();
        }
        let line = line.unwrap_or_default();
        match line.trim() {
            "" => {
                self.screen.end_of_question();
                let how = if terminal { "Type the six digits that it shows after `loopsy pair`." } else { "Give it as the first line of standard input." };
                Err(Error::usage("There was no invite code; nothing was changed.").hint(how))
            }
            code if InviteCode::parse(code).is_none() => {
                Err(Error::usage("An invite code has six digits; nothing was changed.").hint("The other machine shows it after `loopsy pair`."))
            }
            code => Ok(Some(Secret::new(code))),
        }
    }

    /// Follows a pairing that this command began. Whatever goes wrong here ends the pairing too.
    async fn finish(&mut self, begun: Result<(), Error>, expires_at: Millis) -> Result<u8, Error> {
        let over = match begun {
            Ok(()) => self.follow(expires_at).await,
            Err(error) => Err(error),
        };
        match over {
            Ok(Over::Ended(status)) => self.ended(&status).await,
            Ok(Over::Interrupted) => self.interrupted().await,
            Err(error) => {
                let _over_already = timeout(AFTERMATH, self.client.call(answer(false))).await;
                Err(error)
            }
        }
    }

    async fn follow(&mut self, expires_at: Millis) -> Result<Over, Error> {
        let mut news = watch(self.client.clone());
        let mut tick = interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut question, mut wrong, mut digits) = (Question::NotYet, 0, None);
        loop {
            tokio::select! {
                biased;
                () = self.stops.one() => return Ok(Over::Interrupted),
                status = news.recv() => {
                    let Some(status) = status else { return Err(Error::failure("The daemon says nothing about the pairing any more.")) };
                    let status = status?;
                    while wrong < status.wrong_codes {
                        wrong += 1;
                        self.screen.wrong_code(wrong)?;
                    }
                    if !status.active {
                        return Ok(Over::Ended(status));
                    }
                    if status.expires_at.is_some_and(|at| at != expires_at) {
                        let message = "This pairing is over, and another one was begun on this machine. From this one nothing was kept.";
                        self.screen.end_of_question();
                        // Not an error of the flow: the other pairing is somebody else's and goes on.
                        return Ok(Over::Ended(PairingStatus { active: false, outcome: Some(failed(&ApiError::new(Code::PairingNone, message))), ..status }));
                    }
                    if question == Question::NotYet && status.state == Some(PairingState::KeyExchanged) {
                        self.answers.forget_what_came_early();
                        self.screen.sas(&status)?;
                        digits = status.sas.clone();
                        question = Question::Asked;
                    }
                    if question == Question::Asked && let Some(answer) = status.answered {
                        question = Question::Answered;
                        self.screen.answered_elsewhere(answer)?;
                    }
                }
                line = self.answers.next(), if question == Question::Asked => {
                    question = Question::Answered;
                    let yes = line.as_deref().is_some_and(|line| matches!(line.trim().to_lowercase().as_str(), "y" | "yes"));
                    if self.answers.terminal() && line.is_some() { self.screen.was_answered() } else { self.screen.end_of_question() }
                    self.decide(yes, digits.clone()).await?;
                    if yes {
                        self.screen.waits_for_the_other()?;
                    }
                }
                _ = tick.tick(), if question != Question::Asked => self.screen.countdown(expires_at),
            }
        }
    }

    /// `digits`: what the person saw.
    async fn decide(&self, yes: bool, digits: Option<String>) -> Result<(), Error> {
        match self.client.call(ConfirmPairing { sas: digits, ..answer(yes) }).await {
            Ok(_) => Ok(()),
            // It ended while the person thought; the status says how.
            Err(ClientError::Api(error)) if error.code == Code::PairingNone => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn ended(&mut self, status: &PairingStatus) -> Result<u8, Error> {
        self.screen.end_of_question();
        let Some(outcome) = &status.outcome else {
            return Err(Error::failure("The pairing is over, and the daemon does not know how it ended: it was started anew in the meantime.")
                .hint("`loopsy peers` shows whether something was kept. If not: loopsy pair"));
        };
        self.screen.outcome(outcome, status.peer.as_ref())?;
        if outcome.end == PairingEnd::Paired {
            if let Some(peer) = &status.peer {
                self.screen.paired(peer, &self.client).await?;
            }
            return DONE;
        }
        let code = Code::from_number(outcome.code, 400);
        let error = Error::from(ClientError::Api(ApiError { code, message: outcome.message.clone(), hint: outcome.hint.clone(), retry_after: None }));
        if outcome.end == PairingEnd::Cancelled {
            // Nobody refused anybody: this machine's own person cancelled it, from somewhere else.
            let said = explain(&error);
            return Err(Error::Said(said.message, said.hint, FAILURE));
        }
        Err(error)
    }

    /// Ctrl-C: takes everything back that can be taken back, and says what became of it.
    async fn interrupted(&mut self) -> Result<u8, Error> {
        self.screen.end_of_question();
        if let Err(error @ (ClientError::Unreachable { .. } | ClientError::Protocol { .. })) = self.client.call(answer(false)).await {
            self.screen.remark(format_args!(
                "Interrupted, but the daemon did not hear it: {} The pairing ends by itself after five minutes.",
                inert(&error.to_string())
            ));
            return Err(Error::Silent(INTERRUPTED));
        }
        let mut news = watch(self.client.clone());
        let over = timeout(AFTERMATH, async {
            loop {
                match news.recv().await {
                    Some(Ok(status)) if status.active => {}
                    Some(Ok(status)) => return Some(status),
                    Some(Err(_)) | None => return None,
                }
            }
        });
        let status = over.await.ok().flatten();
        match status.as_ref().and_then(|status| Some((status, status.outcome.as_ref()?))) {
            Some((status, outcome)) if outcome.end == PairingEnd::Paired => {
                self.screen.remark("It was too late to interrupt: both people had said yes. `loopsy peers remove` undoes it.");
                return self.ended(status).await;
            }
            Some((status, outcome)) => self.screen.outcome(outcome, status.peer.as_ref())?,
            None => {}
        }
        self.screen.remark("Interrupted; the pairing is cancelled, and nothing was kept.");
        Err(Error::Silent(INTERRUPTED))
    }
}

/// How a refusal is told as an outcome.
fn failed(error: &ApiError) -> PairingOutcome {
    let end = match error.code {
        Code::PairingRejected => PairingEnd::Rejected,
        Code::PairingExpired => PairingEnd::Expired,
        Code::PairingBurned => PairingEnd::Burned,
        _ => PairingEnd::Failed,
    };
    PairingOutcome { end, code: error.code.number(), message: error.message.clone(), hint: error.hint.clone() }
}
