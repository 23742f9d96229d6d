//! What the doctor finds: each finding is printed when it is made, and all are kept for `--json`.

use std::borrow::Cow;

use serde::Serialize;

use crate::{
    context::Ctx,
    error::{Error, explain},
    output::{BAD, FAINT, GOOD, STRONG, WARN, paint},
};

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Grade {
    Ok,
    Warn,
    Fail,
}

#[derive(Debug, Serialize)]
pub(super) struct Finding {
    /// What was looked at.
    pub check: Cow<'static, str>,
    /// The peer from which it was looked at, when it was not this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// How it is.
    pub status: Grade,
    /// The same in a sentence.
    pub message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// The findings so far; each is printed when it is made.
pub(super) struct Report<'a> {
    pub ctx: &'a Ctx,
    pub findings: Vec<Finding>,
    /// The peer that looks, while one does.
    pub from: Option<String>,
}

impl Report<'_> {
    pub(super) fn add(&mut self, check: impl Into<Cow<'static, str>>, status: Grade, message: impl Into<String>, fix: Option<String>) -> Result<(), Error> {
        let finding = Finding { check: check.into(), from: self.from.clone(), status, message: message.into(), fix };
        if !self.ctx.out.json {
            let mark = match finding.status {
                Grade::Ok => paint(GOOD, "[OK  ]"),
                Grade::Warn => paint(WARN, "[WARN]"),
                Grade::Fail => paint(BAD, "[FAIL]"),
            };
            if !(self.ctx.out.quiet && status == Grade::Ok) {
                self.ctx.out.line(format_args!("{mark} {} {}", paint(STRONG, format!("{:<9}", finding.check)), finding.message))?;
                if let Some(fix) = &finding.fix {
                    self.ctx.out.line(paint(FAINT, format!("                 → {fix}")))?;
                }
            }
        }
        self.findings.push(finding);
        Ok(())
    }

    pub(super) fn ok(&mut self, check: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Result<(), Error> {
        self.add(check, Grade::Ok, message, None)
    }

    pub(super) fn warn(&mut self, check: impl Into<Cow<'static, str>>, message: impl Into<String>, fix: &str) -> Result<(), Error> {
        self.add(check, Grade::Warn, message, (!fix.is_empty()).then(|| fix.to_owned()))
    }

    /// A failure as any other command would tell it.
    pub(super) fn fail(&mut self, check: impl Into<Cow<'static, str>>, error: &Error) -> Result<(), Error> {
        let said = explain(error);
        self.add(check, Grade::Fail, said.message, said.hint)
    }
}
