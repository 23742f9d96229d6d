//! `loopsy init`: makes a node of this machine, or mends the one that is there.

use loopsy_daemon::setup::{self, InitOptions};
use serde::Serialize;

use super::DONE;
use crate::{
    args::Init,
    context::Ctx,
    error::Error,
    output::{FAINT, GOOD, STRONG, paint},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    data_dir: String,
    config: String,
    created: bool,
    repaired: Vec<String>,
}

pub(super) fn run(ctx: &Ctx, args: &Init) -> Result<u8, Error> {
    let options = InitOptions { port: args.port, host: args.host.clone(), hostname: args.hostname.clone(), discovery: args.no_discovery.then_some(false) };
    let done = setup::init(&ctx.dir, &options)?;
    let report = Report {
        data_dir: ctx.dir.path().display().to_string(),
        config: ctx.dir.config().display().to_string(),
        created: done.created,
        repaired: done.repaired.iter().map(|path| path.display().to_string()).collect(),
    };
    ctx.out.show(&report, |report| {
        let out = ctx.out;
        if report.created {
            out.say(format_args!("{} Made a node in {}.", paint(GOOD, "✓"), report.data_dir))?;
        } else {
            out.say(format_args!("{} There is a node in {} already; its config was left as it is.", paint(GOOD, "✓"), report.data_dir))?;
            if args.port.is_some() || args.host.is_some() || args.hostname.is_some() || args.no_discovery {
                out.remark(format_args!("The options were not applied. Edit {} instead.", report.config));
            }
        }
        for path in &report.repaired {
            out.say(format_args!("  Others could read {path}; now only you can."))?;
        }
        out.say("")?;
        out.say(paint(STRONG, "Next:"))?;
        for (command, what) in [
            ("loopsy start", "start the daemon"),
            ("loopsy pair", "pair with another machine, where it runs too"),
            ("loopsy key show", "show this node's own key, for other tools"),
            ("loopsy doctor", "check that all is well"),
        ] {
            out.say(format_args!("  {command:<18}{}", paint(FAINT, what)))?;
        }
        Ok(())
    })?;
    DONE
}
