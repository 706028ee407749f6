//! A Redis of our own, on a free loopback port, that keeps nothing when it goes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::place;

/// How long it may take to start.
const START: Duration = Duration::from_secs(30);

/// The server; there may be none at the moment.
pub(super) struct Redis {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Redis {
    /// Starts one that works in `folder`.
    pub(super) fn start(program: &Path, folder: &Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).context("no free port")?.port();
        let mut redis = Self { program: program.to_owned(), folder: folder.to_owned(), port, child: None };
        redis.run()?;
        Ok(redis)
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Sees that it runs.
    pub(super) fn run(&mut self) -> Result<()> {
        if self.child.is_some() {
            return Ok(());
        }
        let mut command = Command::new(&self.program);
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &self.port.to_string()]);
        command.arg("--dir").arg(&self.folder).stdin(Stdio::null()).stdout(Stdio::null());
        self.child = Some(command.spawn().context("cannot start redis-server")?);
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if start.elapsed() > START {
                bail!("redis-server doesn't listen");
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            place::end(&mut child);
        }
    }

    /// Takes everything out of it.
    pub(super) fn empty(&self) -> Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).context("cannot reach redis-server")?;
        stream.set_read_timeout(Some(START)).context("no deadline")?;
        stream.write_all(b"FLUSHALL\r\n").context("redis-server takes nothing")?;
        let mut answer = [0; 3];
        stream.read_exact(&mut answer).context("redis-server answers nothing")?;
        if answer != *b"+OK" {
            bail!("redis-server doesn't empty itself");
        }
        Ok(())
    }

    /// Has it stand still for a while.
    pub(super) fn stall(&self, time: Duration) -> Result<()> {
        let Some(child) = &self.child else { return Ok(()) };
        let pid = Pid::from_child(child);
        kill_process(pid, Signal::STOP).context("cannot stop redis-server")?;
        thread::sleep(time);
        kill_process(pid, Signal::CONT).context("cannot continue redis-server")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
