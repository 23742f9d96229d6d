//! `loopsy doctor --peer`: the way to a peer and the way back, step by step, each tried by the node at its beginning.

use loopsy_shared::{
    api::{
        Code,
        peers::{DiagnosePeer, Diagnosis, ListPeers, Step, Verdict},
    },
    id::NodeId,
    text::inert,
};

use super::report::{Grade, Report};
use crate::{
    cmd::peer,
    error::Error,
    output::{BAD, STRONG, paint},
};

/// Both ways; the first step that fails is named at the end.
pub(super) async fn walk(report: &mut Report<'_>, wanted: &str) -> Result<(), Error> {
    let client = report.ctx.client()?.clone();
    let known = client.call(ListPeers {}).await?.peers;
    let peer = match peer::find(&known, wanted) {
        Ok(peer) => peer,
        Err(error) => return report.fail("name", &error),
    };
    let name = inert(&peer.hostname).into_owned();
    if peer.candidate {
        let stranger = Error::failure(format!("`{name}` was seen on this network, but is not paired.")).hint(format!("loopsy pair {name}"));
        return report.fail("name", &stranger);
    }
    let first = report.findings.len();
    heading(report, &format!("From here to `{name}`"))?;
    let there = match client.call(DiagnosePeer { node_id: peer.node_id.clone() }).await {
        Ok(there) => there,
        Err(error) => return report.fail("name", &error.into()),
    };
    if tell(report, there)? {
        back(report, &name, &peer.node_id).await?;
    }
    if !report.ctx.out.json {
        if let Some(broken) = report.findings.iter().skip(first).find(|finding| finding.status == Grade::Fail) {
            let from = broken.from.as_ref().map_or_else(|| "from here".to_owned(), |from| format!("from `{from}`"));
            report.ctx.out.line(format_args!("{} {from}, `{}`: {}", paint(BAD.bold(), "The first broken link:"), broken.check, broken.message))?;
        } else {
            report.ctx.out.say(format!("No link between here and `{name}` is broken."))?;
        }
    }
    Ok(())
}

/// What the peer finds when it tries the way to this node.
async fn back(report: &mut Report<'_>, name: &str, id: &NodeId) -> Result<(), Error> {
    let asked = report.ctx.client()?.at(id.as_str()).call(DiagnosePeer { node_id: NodeId::from("me".to_owned()) }).await;
    match asked {
        Ok(found) => {
            heading(report, &format!("From `{name}` to here"))?;
            report.from = Some(name.to_owned());
            let told = tell(report, found);
            report.from = None;
            told.map(|_| ())
        }
        Err(error) if error.api().is_some_and(|error| matches!(error.code, Code::RouteNotFound | Code::MethodNotAllowed | Code::Other(_, 404 | 405))) => {
            report.warn("back", format!("`{name}` cannot try the way back: its Loopsy is too old for that."), "Update it, or run `loopsy doctor --peer` there.")
        }
        Err(error) => report.fail("back", &error.into()),
    }
}

/// Returns whether every step went well.
fn tell(report: &mut Report<'_>, diagnosis: Diagnosis) -> Result<bool, Error> {
    let mut well = true;
    for Step { step, verdict, message, fix } in diagnosis.steps {
        let grade = match verdict {
            Verdict::Ok => Grade::Ok,
            Verdict::Warning => Grade::Warn,
            Verdict::Failed => Grade::Fail,
        };
        well &= verdict != Verdict::Failed;
        report.add(inert(&step).into_owned(), grade, inert(&message).into_owned(), fix.map(|fix| inert(&fix).into_owned()))?;
    }
    Ok(well)
}

fn heading(report: &Report<'_>, text: &str) -> Result<(), Error> {
    report.ctx.out.say(format_args!("\n{}", paint(STRONG, format!("{text}:"))))
}
