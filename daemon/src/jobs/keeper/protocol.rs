//! What the daemon and its keeper say to each other: JSON frames on a stream socket, with file descriptors attached to the first byte of a frame.

use std::{
    collections::VecDeque,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{BorrowedFd, OwnedFd},
};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Standard input, output and error of a job.
pub(crate) const FDS: usize = 3;

/// What the daemon asks.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// Start a program. Three descriptors come along.
    Spawn(Spawn),
    /// End everything that belongs to a job: ask now, force after the grace period.
    Kill { job: String, pid: i32, grace_ms: u64 },
    /// End everything and exit.
    End { grace_ms: u64 },
}

/// A program to start. Everything is decided; the keeper looks nothing up.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Spawn {
    /// The job's id.
    pub(crate) job: String,
    /// The file to run.
    pub(crate) program: String,
    /// What it is told that it is called.
    pub(crate) name: String,
    /// Its arguments.
    pub(crate) args: Vec<String>,
    /// Its working directory.
    pub(crate) cwd: String,
    /// Its whole environment.
    pub(crate) env: Vec<(String, String)>,
    /// Whether its standard input is a terminal that it is to be the session leader of.
    #[serde(default)]
    pub(crate) tty: bool,
}

/// What the keeper tells.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Tell {
    /// It runs.
    Started { job: String, pid: i32 },
    /// It could not be started.
    Failed { job: String, reason: String },
    /// The process that was started is gone; what it started itself may not be.
    Exited { job: String, exit: Exit },
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Exit {
    /// By itself, with a code.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// The keeper died, or the process could not be ended: nobody knows.
    Lost,
}

/// Writes a message as a frame: four bytes of length, little-endian, and JSON.
pub(crate) fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = u32::try_from(frame.len() - 4).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the request is too large"))?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// Puts frames together from whatever pieces arrive.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    buffer: Vec<u8>,
    at: usize,
}

impl Frames {
    /// Takes bytes in.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let rest = &self.buffer[self.at..];
        let whole = rest.split_first_chunk::<4>().and_then(|(length, rest)| rest.get(..u32::from_le_bytes(*length) as usize));
        let Some(frame) = whole else {
            self.buffer.drain(..self.at);
            self.at = 0;
            if self.buffer.is_empty() {
                self.buffer = Vec::new(); // a large frame must not stay in the keeper's memory
            }
            return Ok(None);
        };
        let message = serde_json::from_slice(frame)?;
        self.at += 4 + frame.len();
        Ok(Some(message))
    }
}

/// Sends as much as the socket takes at once; the descriptors go with the first byte.
pub(crate) fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>], flags: SendFlags) -> rustix::io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(rustix::io::Errno::NOBUFS);
    }
    rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags)
}

/// Receives what is there, without waiting. Returns 0 when the other side is gone.
pub(crate) fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8], fds: &mut VecDeque<OwnedFd>) -> rustix::io::Result<usize> {
    #[cfg(not(target_vendor = "apple"))]
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    #[cfg(target_vendor = "apple")]
    let flags = RecvFlags::DONTWAIT;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4 * FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::net::recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut control, flags)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            for fd in rights {
                #[cfg(target_vendor = "apple")]
                rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
                fds.push_back(fd);
            }
        }
    }
    Ok(received.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_any_cut() {
        let first = encode(&Ask::End { grace_ms: 1 }).expect("encodes");
        let second = encode(&Tell::Started { job: "a".into(), pid: 7 }).expect("encodes");
        let both = [first, second].concat();
        for cut in 0..both.len() {
            let mut frames = Frames::default();
            frames.push(&both[..cut]);
            let early: Option<serde_json::Value> = frames.next().expect("parses");
            frames.push(&both[cut..]);
            let mut count = usize::from(early.is_some());
            while frames.next::<serde_json::Value>().expect("parses").is_some() {
                count += 1;
            }
            assert_eq!(count, 2, "cut at {cut}");
        }
    }
}
