//! A link that can be cut: a proxy between a client and its Redis.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the link does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It carries everything.
    Whole,
    /// Connections break, and new ones break at once.
    Cut,
    /// Nothing comes through, and neither end notices.
    Dead,
}

/// The proxy; it ends with this.
pub struct Proxy {
    pub port: u16,
    link: watch::Sender<Link>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// A whole link to a port of this machine.
    pub async fn to(target: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (link, states) = watch::channel(Link::Whole);
        let task = tokio::spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                tokio::spawn(carry(client, target, states.clone()));
            }
        });
        Proxy { port, link, task }
    }

    pub fn set(&self, link: Link) {
        self.link.send_replace(link);
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(mut client: TcpStream, target: u16, mut link: watch::Receiver<Link>) {
    if *link.borrow() == Link::Cut {
        return;
    }
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    loop {
        let now = *link.borrow_and_update();
        tokio::select! {
            // Cancelled in the middle it may lose bytes, which is what cut links do.
            _ = copy_bidirectional(&mut client, &mut server), if now == Link::Whole => return,
            changed = link.changed() => if changed.is_err() || *link.borrow() == Link::Cut { return },
        }
        if now == Link::Dead && *link.borrow() == Link::Whole {
            // What was on its way is gone, so the two ends don't understand each other any more.
            return;
        }
    }
}
