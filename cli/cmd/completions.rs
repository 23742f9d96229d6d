//! Completion scripts and manual pages, made from the same tree that parses.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use super::DONE;
use crate::{args::Args, context::Ctx, error::Error};

pub(super) fn script(ctx: &Ctx, shell: Shell) -> Result<u8, Error> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "loopsy", &mut text);
    ctx.out.raw(&text)?;
    DONE
}

pub(super) fn man(dir: &Path) -> Result<u8, Error> {
    std::fs::create_dir_all(dir).map_err(|e| Error::file(dir, &e))?;
    clap_mangen::generate_to(Args::command(), dir).map_err(|e| Error::file(dir, &e))?;
    DONE
}
