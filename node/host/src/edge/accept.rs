//! Taking connections: a bound on how many, and on how long a new one may stay silent.

use crate::net::Net;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

/// Pause after a failed accept (as with no file descriptor left) before the next attempt.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A listening socket with its bounds.
pub struct Door<N: Net> {
    net: N,
    listener: N::Listener,
    room: Arc<Semaphore>,
    silence_max: Duration,
}

impl<N: Net> Door<N> {
    pub async fn open(
        net: N,
        at: &str,
        connections_max: usize,
        silence_max: Duration,
    ) -> io::Result<Door<N>> {
        let listener = net.listen(at).await?;
        Ok(Door { net, listener, room: Arc::new(Semaphore::new(connections_max)), silence_max })
    }

    /// The next connection, once there is room for one; until then clients wait in the kernel's queue.
    pub async fn next(&self) -> (Conn<N::Stream>, SocketAddr) {
        let permit = self.room.clone().acquire_owned().await.expect("the semaphore is never closed");
        let (inner, from) = self.accept().await;
        (Conn { inner, first: Some(Box::pin(sleep(self.silence_max))), _permit: permit }, from)
    }

    /// The next connection, and room for it, if there is any.
    pub async fn next_or_full(&self) -> (N::Stream, SocketAddr, Option<OwnedSemaphorePermit>) {
        let (inner, from) = self.accept().await;
        (inner, from, self.room.clone().try_acquire_owned().ok())
    }

    async fn accept(&self) -> (N::Stream, SocketAddr) {
        loop {
            match self.net.accept(&self.listener).await {
                Ok(accepted) => return accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// The connections as a stream, for tonic.
    pub fn connections(self) -> impl tokio_stream::Stream<Item = io::Result<Conn<N::Stream>>> {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                let (conn, _) = self.next().await;
                if sender.send(Ok(conn)).await.is_err() {
                    return;
                }
            }
        });
        tokio_stream::wrappers::ReceiverStream::new(receiver)
    }
}

/// A connection that must say something in time, and that gives its place back when it ends.
pub struct Conn<S> {
    inner: S,
    first: Option<Pin<Box<Sleep>>>,
    _permit: OwnedSemaphorePermit,
}

impl<S: AsyncRead + Unpin> AsyncRead for Conn<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if read.is_ready() {
            self.first = None;
        } else if let Some(first) = &mut self.first
            && first.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client said nothing")));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Conn<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

impl<S> tonic::transport::server::Connected for Conn<S> {
    type ConnectInfo = ();
    fn connect_info(&self) {}
}

impl<N: Net> axum::serve::Listener for Door<N> {
    type Io = Conn<N::Stream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        self.next().await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "the address is the one that was configured"))
    }
}
