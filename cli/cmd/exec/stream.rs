//! A job's output from its first byte to its exit, each byte once, whatever happens to the connection.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use loopsy_shared::{
    api::{
        ApiError, Code,
        execute::{ExecuteEvent, ExecuteEventKind, GetJobOutput, JobExit, JobOutput, OutputStream},
    },
    client::{Client, ClientError, Streamed},
    id::JobId,
};

use super::output::decode;

/// Seconds that the peer may hold a question for more output.
const WAIT: u32 = 20;
const FIRST_DELAY: Duration = Duration::from_millis(200);
const MAX_DELAY: Duration = Duration::from_secs(5);

/// What comes next.
#[derive(Debug)]
pub(super) enum Part {
    /// Something printed.
    Output { stream: OutputStream, bytes: Vec<u8> },
    /// This many bytes are not kept any more.
    Dropped(u64),
    /// The end.
    Exit(JobExit),
}

/// One job.
pub(super) struct JobStream {
    client: Client,
    /// The stream that began it; `None` once it broke and questions took its place.
    live: Option<Streamed<ExecuteEvent>>,
    job: Option<JobId>,
    /// Where the output that was handed out ends.
    next: u64,
    ready: VecDeque<Part>,
    patience: Duration,
    lost_since: Option<Instant>,
    delay: Duration,
}

impl JobStream {
    pub(super) fn new(client: Client, live: Streamed<ExecuteEvent>, patience: Duration) -> Self {
        let job = live.job().map(JobId::from);
        Self { client, live: Some(live), job, next: 0, ready: VecDeque::new(), patience, lost_since: None, delay: FIRST_DELAY }
    }

    /// The job, as soon as it is known.
    pub(super) const fn id(&self) -> Option<&JobId> {
        self.job.as_ref()
    }

    /// What comes next. Can be dropped while it waits without losing anything.
    pub(super) async fn next(&mut self) -> Result<Part, ClientError> {
        loop {
            if let Some(part) = self.ready.pop_front() {
                return Ok(part);
            }
            match &mut self.live {
                Some(live) => match live.next().await {
                    Some(Ok(event)) => self.take_event(event)?,
                    Some(Err(error)) if self.job.is_none() || !error.is_connection() => return Err(error),
                    // Broken, or ended without an end: ask for the rest.
                    Some(Err(_)) | None => self.live = None,
                },
                None => self.ask().await?,
            }
        }
    }

    fn take_event(&mut self, event: ExecuteEvent) -> Result<(), ClientError> {
        self.job.get_or_insert_with(|| event.job_id.clone());
        let stream = match event.kind {
            ExecuteEventKind::Stdout => OutputStream::Stdout,
            ExecuteEventKind::Stderr => OutputStream::Stderr,
            ExecuteEventKind::Exit => {
                let exit = event.exit.unwrap_or_else(|| JobExit { exit_code: event.data.trim().parse().ok(), ..JobExit::default() });
                self.ready.push_back(Part::Exit(exit));
                return Ok(());
            }
            ExecuteEventKind::Error => return Err(ClientError::Api(ApiError::new(Code::SpawnFailed, event.data))),
        };
        let bytes = decode(event.data, event.encoding).ok_or_else(|| self.garbled())?;
        self.next = event.next.unwrap_or(self.next + bytes.len() as u64);
        self.ready.push_back(Part::Output { stream, bytes });
        Ok(())
    }

    /// One question for what follows `next`.
    async fn ask(&mut self) -> Result<(), ClientError> {
        let Some(job_id) = self.job.clone() else {
            return Err(ClientError::Protocol { address: self.client.address().to_owned(), what: "the stream ended before the job began".to_owned() });
        };
        match self.client.call(GetJobOutput { job_id, since: self.next, wait: WAIT }).await {
            Ok(output) => {
                self.lost_since = None;
                self.delay = FIRST_DELAY;
                self.take_output(output)
            }
            Err(error) if error.is_connection() => {
                let since = *self.lost_since.get_or_insert_with(Instant::now);
                if since.elapsed() + self.delay > self.patience {
                    return Err(error);
                }
                tokio::time::sleep(self.delay).await;
                self.delay = (self.delay * 2).min(MAX_DELAY);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn take_output(&mut self, output: JobOutput) -> Result<(), ClientError> {
        if output.dropped > 0 {
            self.ready.push_back(Part::Dropped(output.dropped));
        }
        for chunk in output.chunks {
            let bytes = decode(chunk.data, chunk.encoding).ok_or_else(|| self.garbled())?;
            self.ready.push_back(Part::Output { stream: chunk.stream, bytes });
        }
        self.next = output.next;
        if output.end {
            self.ready.push_back(Part::Exit(output.exit.unwrap_or_default()));
        }
        Ok(())
    }

    fn garbled(&self) -> ClientError {
        ClientError::Protocol { address: self.client.address().to_owned(), what: "output that is said to be base64 and is not".to_owned() }
    }
}
