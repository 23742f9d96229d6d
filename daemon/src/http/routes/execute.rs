//! Commands run for somebody.

use std::{io, time::Duration};

use axum::{extract::Request, response::Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue};
use loopsy_shared::{
    api::{
        ApiError, Code, Done, JOB_HEADER,
        execute::{
            CancelJob, Execute, ExecuteEvent, ExecuteEventKind, ExecuteStream, GetJob, GetJobOutput, JobInfo, JobOutput, JobResult, Jobs, ListJobs,
            OutputStream, WriteJobInput,
        },
    },
    id::JobId,
    time::{self, Millis},
};
use tokio::io::AsyncWriteExt;

use crate::{
    app::App,
    http::{body, endpoint::Routes, quote::quote, sse},
    jobs::{Job, JobKind, OutputReader, Watch, encode},
    trust::Caller,
};

/// Longest wait of `GET /execute/jobs/{jobId}/output`.
const LONGEST_WAIT: u32 = 60;

pub(super) fn mount(routes: Routes) -> Routes {
    routes.endpoint(run).response(run_stream).endpoint(list).endpoint(get).endpoint(output).upload(input).endpoint(cancel)
}

async fn run(app: App, caller: Caller, request: Execute) -> Result<JobResult, ApiError> {
    let job = app.jobs.spawn(&caller, request.0, JobKind::Call).await?;
    Ok(job.result().await)
}

async fn list(app: App, _caller: Caller, _request: ListJobs) -> Result<Jobs, ApiError> {
    Ok(Jobs { jobs: app.jobs.running() })
}

async fn get(app: App, _caller: Caller, request: GetJob) -> Result<JobInfo, ApiError> {
    Ok(find(&app, &request.job_id)?.info())
}

async fn output(app: App, _caller: Caller, request: GetJobOutput) -> Result<JobOutput, ApiError> {
    let wait = Duration::from_secs(u64::from(request.wait.min(LONGEST_WAIT)));
    Ok(find(&app, &request.job_id)?.output(request.since, wait).await)
}

async fn cancel(app: App, _caller: Caller, request: CancelJob) -> Result<Done, ApiError> {
    app.jobs.cancel(&request.job_id).await?;
    Ok(Done { job_id: Some(request.job_id), ..Done::OK })
}

async fn input(app: App, _caller: Caller, request: Option<WriteJobInput>, body: Request) -> Result<Done, ApiError> {
    let id = request.map(|request| request.job_id).ok_or_else(|| ApiError::new(Code::InvalidRequest, "The path names no job."))?;
    let closed =
        || ApiError::new(Code::JobInputClosed, format!("The job {id} takes no input, or no more.")).hint("Start it with `pipeStdin`, and feed it once.");
    let mut stdin = find(&app, &id)?.take_stdin().await.ok_or_else(closed)?;
    let mut body = body.into_body();
    let mut reads = true;
    while let Some(chunk) = body::next_chunk(&mut body).await? {
        // A program that stops reading is no failure of the feeder: `head` does it all the time. What is left is taken and dropped, because an answer in the
        // middle of a body closes the connection, which a sender takes for a node that is gone.
        reads = reads && stdin.write_all(&chunk).await.is_ok();
    }
    Ok(Done { job_id: Some(id), ..Done::OK })
}

fn find(app: &App, id: &JobId) -> Result<Job, ApiError> {
    app.jobs.get(id).ok_or_else(|| {
        ApiError::new(Code::JobNotFound, format!("There is no job {}.", loopsy_shared::text::inert(id.as_str())))
            .hint("Jobs are kept for an hour after their end.")
    })
}

async fn run_stream(app: App, caller: Caller, request: ExecuteStream, _headers: HeaderMap) -> Result<Response, ApiError> {
    let job = app.jobs.spawn(&caller, request.0, JobKind::Stream).await?;
    let id = HeaderValue::from_str(job.id().as_str()).ok();
    let state = Streaming { reader: job.reader(0), _watch: job.clone().watch(), job, over: false };
    let mut response = sse::response(stream::unfold(state, |mut state| async { state.next().await.map(|frame| (frame, state)) }));
    response.headers_mut().extend(id.map(|id| (HeaderName::from_static(JOB_HEADER), id)));
    Ok(response)
}

/// A stream and its job. Dropping it before the end means that the client went away.
struct Streaming {
    job: Job,
    reader: OutputReader,
    /// Ends the job when it is dropped before the job has ended.
    _watch: Watch,
    over: bool,
}

impl Streaming {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.over {
            return None;
        }
        let event = |kind, data, encoding, next, exit| ExecuteEvent { kind, data, encoding, job_id: self.job.id().clone(), timestamp: time::now(), next, exit };
        let event = tokio::select! {
            biased;
            piece = self.reader.next() => match piece {
                Some(piece) => {
                    if let Ok(text) = std::str::from_utf8(&piece.bytes) {
                        return Some(Ok(printed(self.job.id(), time::now(), piece.stream, text, piece.next)));
                    }
                    let kind = match piece.stream { OutputStream::Stdout => ExecuteEventKind::Stdout, OutputStream::Stderr => ExecuteEventKind::Stderr };
                    let (data, encoding) = encode(&piece.bytes);
                    event(kind, data, encoding, Some(piece.next), None)
                }
                None => {
                    let exit = self.job.ended().await;
                    self.over = true;
                    event(ExecuteEventKind::Exit, exit.shell_code().to_string(), None, None, Some(exit))
                }
            },
            () = tokio::time::sleep(sse::HEARTBEAT) => return Some(Ok(sse::BEAT)),
        };
        Some(sse::frame(None, &event).map_err(io::Error::from))
    }
}

/// The frame of an [`ExecuteEvent`] with text, which is nearly all that streams carry; by hand, because `serde_json` looks at every byte by itself.
fn printed(job: &JobId, timestamp: Millis, stream: OutputStream, text: &str, next: u64) -> Bytes {
    let start: &[u8] = match stream {
        OutputStream::Stdout => b"data: {\"type\":\"stdout\",\"data\":",
        OutputStream::Stderr => b"data: {\"type\":\"stderr\",\"data\":",
    };
    // Room for lines of some length; more escapes make it grow.
    let mut out = Vec::with_capacity(text.len() + text.len() / 32 + 256);
    out.extend_from_slice(start);
    quote(&mut out, text);
    out.extend_from_slice(b",\"jobId\":");
    quote(&mut out, job.as_str());
    out.extend_from_slice(format!(",\"timestamp\":{timestamp},\"next\":{next}}}\n\n").as_bytes());
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_with_text_is_what_serde_writes() {
        for (stream, kind) in [(OutputStream::Stdout, ExecuteEventKind::Stdout), (OutputStream::Stderr, ExecuteEventKind::Stderr)] {
            let data = "one \"line\"\nund noch eine: ä\u{1}\\";
            let event =
                ExecuteEvent { kind, data: data.to_owned(), encoding: None, job_id: JobId::new(), timestamp: 1_700_000_000_000, next: Some(77), exit: None };
            assert_eq!(printed(&event.job_id, event.timestamp, stream, data, 77), sse::frame(None, &event).expect("JSON"));
        }
    }
}
