//! Documents that are made from the code, so that they cannot be wrong: `docs/CLI.md` and `docs/API.md`.

mod api;
mod cli;

use super::DONE;
use crate::{args::Document, context::Ctx, error::Error};

pub(super) fn run(ctx: &Ctx, document: Document) -> Result<u8, Error> {
    let text = match document {
        Document::Cli => cli::page(),
        Document::Api => api::page(),
    };
    ctx.out.raw(text.as_bytes())?;
    DONE
}
