//! Platforms without a shared engine yet: every command has an engine of its own there.

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::PlaceError;

/// There is none.
#[derive(Clone, Debug)]
pub struct SocketFolder(Infallible);

/// There is none.
#[derive(Debug)]
pub struct Stream(Infallible);

/// There is none.
#[derive(Debug)]
pub struct AsyncStream(Infallible);

/// There is none.
pub struct Listener(Infallible);

/// There is none.
#[derive(Clone)]
pub struct Name(Infallible);

/// What came of wanting to be the daemon.
pub enum Claim {
    /// This process is it.
    Ours(Listener),
    /// Another one is.
    Taken,
}

impl SocketFolder {
    /// # Errors
    /// Always.
    pub fn of_user() -> Result<SocketFolder, PlaceError> {
        Err(PlaceError::Unsupported)
    }

    /// # Errors
    /// Always.
    pub fn at(_: PathBuf) -> Result<SocketFolder, PlaceError> {
        Err(PlaceError::Unsupported)
    }

    /// Never called.
    pub fn folder(&self) -> &Path {
        match self.0 {}
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn connect(&self) -> io::Result<Option<Stream>> {
        match self.0 {}
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn claim(&self) -> Result<Claim, PlaceError> {
        match self.0 {}
    }
}

impl Listener {
    /// Never called.
    ///
    /// # Errors
    /// None.
    pub async fn accept(&self) -> io::Result<AsyncStream> {
        match self.0 {}
    }

    /// Never called.
    pub fn name(&self) -> &Name {
        match self.0 {}
    }
}

impl Name {
    /// Never called.
    pub fn is_current(&self) -> bool {
        match self.0 {}
    }

    /// Never called.
    pub fn path(&self) -> PathBuf {
        match self.0 {}
    }
}

impl Stream {
    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn set_nonblocking(&self, _: bool) -> io::Result<()> {
        match self.0 {}
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn try_clone(&self) -> io::Result<Stream> {
        match self.0 {}
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn shutdown(&self, _: std::net::Shutdown) -> io::Result<()> {
        match self.0 {}
    }
}

impl Read for Stream {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        match self.0 {}
    }
}

impl Write for Stream {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        match self.0 {}
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0 {}
    }
}

impl AsyncStream {
    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn from_std(stream: Stream) -> io::Result<AsyncStream> {
        match stream.0 {}
    }
}

impl AsyncRead for AsyncStream {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }
}

impl AsyncWrite for AsyncStream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        match self.0 {}
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }
}

/// Never called.
///
/// # Errors
/// None.
pub fn set_deadline(stream: &Stream, _: Option<Duration>) -> io::Result<()> {
    match stream.0 {}
}

/// Never called.
pub fn deadline(stream: &Stream) -> Duration {
    match stream.0 {}
}

/// Never called.
pub fn peer(stream: &Stream) -> Option<u32> {
    match stream.0 {}
}
