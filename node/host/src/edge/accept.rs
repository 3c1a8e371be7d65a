//! Taking connections: a bound on how many, and on how long a new one may stay silent.
//!
//! Peers come through the same door as everybody else and must get in when it is full. So a few places are kept
//! beyond the bound: who gets one of them has a moment to greet as a peer, or is sent away. A peer's connection
//! counts for nothing.

use crate::net::Net;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

/// Pause after a failed accept (as with no file descriptor left) before the next attempt.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Places beyond the bound, for peers to come in by.
const PROBATION_MAX: usize = 64;

/// A listening socket with its bounds.
pub struct Door<N: Net> {
    net: N,
    listener: N::Listener,
    room: Arc<Semaphore>,
    probation: Arc<Semaphore>,
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
        let semaphore = |places| Arc::new(Semaphore::new(places));
        Ok(Door {
            net,
            listener,
            room: semaphore(connections_max),
            probation: semaphore(PROBATION_MAX),
            silence_max,
        })
    }

    /// The next connection, once there is a place for one; until then clients wait in the kernel's queue.
    pub async fn next(&self) -> (Conn<N::Stream>, SocketAddr) {
        let (permit, on_probation) = match self.room.clone().try_acquire_owned() {
            Ok(permit) => (permit, false),
            Err(_) => {
                let permit = self.probation.clone().acquire_owned().await;
                (permit.expect("the semaphore is never closed"), true)
            }
        };
        let (inner, from) = self.accept().await;
        let place = Arc::new(Place { permit: Mutex::new(Some(permit)), peer: AtomicBool::new(false) });
        let probation = on_probation.then(|| Box::pin(sleep(self.silence_max)));
        (Conn { inner, first: Some(Box::pin(sleep(self.silence_max))), probation, place }, from)
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

/// A connection's place at the door.
#[derive(Debug)]
pub struct Place {
    permit: Mutex<Option<OwnedSemaphorePermit>>,
    peer: AtomicBool,
}

impl Place {
    /// It is a peer's: it stays, and its place is free for somebody else.
    pub fn is_a_peers(&self) {
        self.peer.store(true, Relaxed);
        self.permit.lock().expect("nothing panics with a place locked").take();
    }
}

/// A connection that must say something in time, and that gives its place back when it ends.
pub struct Conn<S> {
    inner: S,
    first: Option<Pin<Box<Sleep>>>,
    probation: Option<Pin<Box<Sleep>>>,
    place: Arc<Place>,
}

fn late(why: &'static str) -> Poll<io::Result<()>> {
    Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)))
}

impl<S: AsyncRead + Unpin> AsyncRead for Conn<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(probation) = &mut self.probation
            && probation.as_mut().poll(cx).is_ready()
        {
            self.probation = None;
            if !self.place.peer.load(Relaxed) {
                return late("the door is full, and the client did not greet as a peer");
            }
        }
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if read.is_ready() {
            self.first = None;
        } else if let Some(first) = &mut self.first
            && first.as_mut().poll(cx).is_ready()
        {
            return late("the client said nothing");
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
    type ConnectInfo = Arc<Place>;
    fn connect_info(&self) -> Arc<Place> {
        self.place.clone()
    }
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
