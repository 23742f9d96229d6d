//! A connection whose reader must not stand still.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};

/// How long bytes may wait while the other side takes none.
const PATIENCE: Duration = Duration::from_secs(30);

/// Can be given bytes even while it does not ask for any.
///
/// The system asks for more only when a third of what it holds is gone, which a slow reader of a megabyte does not manage in time; whether anything at all
/// was taken shows when it is offered more.
pub(super) trait Offer {
    /// How many bytes were taken; [`io::ErrorKind::WouldBlock`] for none.
    fn offer(&self, bytes: &[u8]) -> io::Result<usize>;
}

impl Offer for TcpStream {
    fn offer(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(self, bytes, rustix::net::SendFlags::empty())?)
    }
}

/// What waits for the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Write,
    Flush,
}

/// A connection that fails with [`io::ErrorKind::TimedOut`] when bytes wait and the other side takes none of them for 30 seconds.
#[derive(Debug)]
pub(super) struct Patient<IO> {
    io: IO,
    patience: Duration,
    waiting: Option<Waiting>,
    /// Made when something waits for the first time, then used again.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<IO> Patient<IO> {
    /// Watches over this connection. Goes below TLS, not above: it looks at what the socket takes.
    pub(super) fn new(io: IO) -> Self {
        Self::within(PATIENCE, io)
    }

    fn within(patience: Duration, io: IO) -> Self {
        Self { io, patience, waiting: None, timer: None }
    }

    /// Lets an outcome through, unless it has been "not yet" for too long. `offer` then tries once more.
    fn watch<T>(&mut self, cx: &mut Context<'_>, what: Waiting, polled: Poll<io::Result<T>>, offer: impl FnOnce(&IO) -> io::Result<T>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            // A socket's flush is always done at once, so it says nothing about a write that waits.
            if self.waiting != Some(Waiting::Write) || what == Waiting::Write {
                self.waiting = None;
            }
            return polled;
        }
        let patience = self.patience;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        if self.waiting.is_none() {
            timer.as_mut().reset(Instant::now() + patience);
            self.waiting = Some(what);
        }
        ready!(timer.as_mut().poll(cx));
        match offer(&self.io) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the other side takes nothing of what waits for it")))
            }
            outcome => {
                self.waiting = None;
                Poll::Ready(outcome)
            }
        }
    }
}

/// What cannot be offered once more.
fn nothing<IO>(_: &IO) -> io::Result<()> {
    Err(io::ErrorKind::WouldBlock.into())
}

impl<IO: AsyncRead + Unpin> AsyncRead for Patient<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<IO: AsyncWrite + Offer + Unpin> AsyncWrite for Patient<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.watch(cx, Waiting::Write, polled, |io| io.offer(bytes))
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, parts);
        let first = parts.iter().find(|part| !part.is_empty());
        self.watch(cx, Waiting::Write, polled, |io| io.offer(first.map_or(&[], |part| part)))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_flush(cx);
        self.watch(cx, Waiting::Flush, polled, nothing)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_shutdown(cx);
        self.watch(cx, Waiting::Flush, polled, nothing)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
        net::{TcpListener, TcpSocket},
    };

    use super::*;

    impl Offer for DuplexStream {
        fn offer(&self, _bytes: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stands_still_is_given_up_after_30_seconds() {
        let (near, _far) = tokio::io::duplex(1024);
        let mut near = Patient::new(near);
        near.write_all(&[0; 1024]).await.expect("fits");
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let begun = Instant::now();
        let error = near.write_all(&[0; 1]).await.expect_err("nobody reads");
        assert_eq!((error.kind(), begun.elapsed().as_secs()), (io::ErrorKind::TimedOut, 30));
        assert_eq!(near.write(&[0; 1]).await.expect_err("nor later").kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_served_to_the_end() {
        let (near, mut far) = tokio::io::duplex(1024);
        let reader = tokio::spawn(async move {
            let (mut all, mut buffer) = (0, [0; 1024]);
            loop {
                tokio::time::sleep(Duration::from_secs(29)).await;
                match far.read(&mut buffer[..64]).await.expect("reads") {
                    0 => return all,
                    read => all += read,
                }
            }
        });
        let mut near = Patient::new(near);
        near.write_all(&[7; 4096]).await.expect("all is taken in the end");
        drop(near);
        assert_eq!(reader.await.expect("ends"), 4096);
    }

    /// Takes no bytes; its flush is as given.
    struct Stuck(bool);

    impl Offer for Stuck {
        fn offer(&self, _bytes: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }

    impl AsyncWrite for Stuck {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            if self.0 { Poll::Ready(Ok(())) } else { Poll::Pending }
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
        fn is_write_vectored(&self) -> bool {
            true
        }
    }

    #[tokio::test(start_paused = true)]
    async fn flushes_and_shutdowns_do_not_wait_for_ever_either() {
        let begun = Instant::now();
        assert_eq!(Patient::new(Stuck(false)).flush().await.expect_err("stuck").kind(), io::ErrorKind::TimedOut);
        assert_eq!(Patient::new(Stuck(false)).shutdown().await.expect_err("stuck").kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), 60);
        assert!(Patient::new(Stuck(false)).is_write_vectored());
    }

    #[tokio::test(start_paused = true)]
    async fn a_flush_that_has_nothing_to_do_does_not_excuse_a_write_that_waits() {
        let mut stuck = Patient::new(Stuck(true));
        let begun = Instant::now();
        let outcome = std::future::poll_fn(|cx| {
            let written = Pin::new(&mut stuck).poll_write(cx, b"x");
            assert!(Pin::new(&mut stuck).poll_flush(cx).is_ready());
            written
        });
        assert_eq!(outcome.await.expect_err("stuck").kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), 30);
    }

    /// A server's and a client's end; the client's window is small, as it is towards a real network.
    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("small");
        let far = socket.connect(listener.local_addr().expect("bound")).await.expect("connects");
        (listener.accept().await.expect("accepts").0, far)
    }

    /// Of a third of a second instead of 30 seconds, so the reader is a hundred times as fast as it may be slow.
    #[tokio::test]
    async fn a_socket_whose_reader_takes_a_kilobyte_a_second_is_kept_and_one_that_takes_nothing_is_not() {
        let (near, mut far) = pair().await;
        let mut near = Patient::within(Duration::from_millis(300), near);
        let reader = tokio::spawn(async move {
            let mut buffer = [0; 10 << 10];
            for _ in 0..20 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                far.read_exact(&mut buffer).await.expect("reads");
            }
            far
        });
        let begun = Instant::now();
        let error = near.write_all(&vec![0; 64 << 20]).await.expect_err("the reader stops");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(reader.is_finished(), "given up after {:?}, while it was read", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}
