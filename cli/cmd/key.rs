//! `loopsy key`: the owner's key of this node.

use std::io::IsTerminal;

use loopsy_daemon::setup;
use loopsy_shared::api::node::{NewKey, RotateKey};

use super::DONE;
use crate::{
    args::Key,
    context::Ctx,
    error::{Error, FAILURE},
};

pub(super) async fn run(ctx: &Ctx, command: Key) -> Result<u8, Error> {
    match command {
        Key::Show => show(ctx),
        Key::Generate { yes } => generate(ctx, yes).await,
    }
}

fn show(ctx: &Ctx) -> Result<u8, Error> {
    let Some(key) = ctx.local()?.config.auth.api_key.clone() else {
        return Err(Error::failure(format!("{} has no `auth.apiKey`.", ctx.dir.config().display())).hint("Make one with `loopsy key generate`."));
    };
    ctx.out.show(&NewKey { key }, |shown| ctx.out.line(shown.key.reveal()))?;
    DONE
}

async fn generate(ctx: &Ctx, yes: bool) -> Result<u8, Error> {
    ctx.local()?;
    if !yes {
        if !std::io::stdin().is_terminal() {
            return Err(Error::usage("Replacing the key needs a yes.").hint("Pass `--yes`."));
        }
        ctx.out.remark("The old key stops at once: scripts and tools that use it must get the new one.");
        ctx.out.remark("Peers are not cut off; they have keys of their own. Commands that you run with the old key are ended.");
        if !ctx.out.confirm("Replace this node's own key?")? {
            ctx.out.say("The key was not changed.")?;
            return Ok(FAILURE);
        }
    }
    // A daemon writes its config itself. Where none lives, nobody else does.
    let new = if ctx.local()?.is_running() { ctx.client()?.call(RotateKey {}).await? } else { NewKey { key: setup::rotate_key(&ctx.dir)? } };
    ctx.out.show(&new, |new| ctx.out.line(new.key.reveal()))?;
    DONE
}
