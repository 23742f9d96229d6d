//! Documents that are made from the code, so that they cannot be wrong: `docs/CLI.md`, `docs/API.md` and `docs/KEYS.md`.

mod api;
mod cli;

use super::DONE;
use crate::{args::Document, context::Ctx, error::Error};

pub(super) fn run(ctx: &Ctx, document: Document) -> Result<u8, Error> {
    let text = match document {
        Document::Cli => cli::page(),
        Document::Api => api::page(),
        Document::Keys => loopsy_tui::keys_page(),
    };
    ctx.out.raw(text.as_bytes())?;
    DONE
}
