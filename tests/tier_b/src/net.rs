//! turmoil's sockets as the host's network; each byte written goes into the trace.

use crate::trace::Trace;
use plait_host::net::Net;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};

#[derive(Clone)]
pub struct Simulated {
    pub who: String,
    pub trace: Trace,
}

pub struct Traced {
    inner: TcpStream,
    net: Simulated,
}

impl Net for Simulated {
    type Stream = Traced;
    type Listener = TcpListener;

    async fn listen(&self, at: &str) -> io::Result<TcpListener> {
        TcpListener::bind(at).await
    }

    async fn accept(&self, listener: &TcpListener) -> io::Result<(Traced, SocketAddr)> {
        let (inner, from) = listener.accept().await?;
        Ok((Traced { inner, net: self.clone() }, from))
    }

    async fn connect(&self, to: &str) -> io::Result<Traced> {
        let inner = TcpStream::connect(to).await?;
        Ok(Traced { inner, net: self.clone() })
    }
}

impl AsyncRead for Traced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Traced {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        if let Poll::Ready(Ok(n)) = written {
            self.net.trace.add(&self.net.who, "writes", &bytes[..n]);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
