//! `loopsy tui`: opens the control centre.

use super::DONE;
use crate::{args::Tui, context::Ctx, error::Error};

pub(super) fn run(ctx: &Ctx, args: &Tui) -> Result<u8, Error> {
    if args.reset_terminal {
        loopsy_tui::reset_terminal()?;
        return DONE;
    }
    let program = std::env::current_exe()?;
    let options =
        loopsy_tui::Options { dir: ctx.dir.clone(), program, plain: args.plain, ascii: args.ascii, theme: args.theme.clone(), color: args.color.clone() };
    loopsy_tui::run(options).map_err(|error| {
        let failed = Error::failure(error.to_string());
        if ctx.dir.config().exists() { failed } else { failed.hint("Make a node of this machine: loopsy init") }
    })?;
    DONE
}
