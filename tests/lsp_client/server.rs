//! The server in this process, as one small editor has it.

use serde_json::{Value, json};
use syncline::core::settings::Sources;
use syncline::lsp::{Ended, ServeOptions, serve};
use syncline::workspace::Engine;
use tokio::task::JoinHandle;

use super::{Client, DEADLINE};
use crate::support::Fixture;

/// A server for one client, on an engine that others may use too.
pub struct Server {
    pub client: Client,
    serving: JoinHandle<Ended>,
}

impl Server {
    /// A server that has heard nothing yet.
    pub fn start(fixture: &Fixture, engine: &Engine) -> Server {
        let (client_in, server_out) = tokio::io::duplex(1 << 16);
        let (server_in, client_out) = tokio::io::duplex(1 << 16);
        let environment = vec![("SYNCLINE_INDEX_DIR".to_owned(), fixture.index_dir.clone().into_os_string())];
        let sources = Sources { environment, ..Sources::default() };
        let options = ServeOptions { sources, ..ServeOptions::default() };
        let serving = tokio::spawn(serve(server_in, server_out, engine.clone(), options));
        Server { client: Client::new(client_in, client_out), serving }
    }

    /// A server whose client has the fixture's tree open, and waited until its index was fresh.
    pub async fn fresh(fixture: &Fixture) -> Server {
        let mut server = Server::start(fixture, &Engine::new(&fixture.settings()));
        server.client.initialize(&[&fixture.root], json!({}), Value::Null).await;
        server.client.until_fresh().await;
        server
    }

    pub async fn ended(self) -> Ended {
        tokio::time::timeout(DEADLINE, self.serving).await.expect("the server ends").unwrap()
    }

    pub async fn shut_down(mut self) {
        self.client.shut_down().await;
        assert_eq!(self.ended().await, Ended::Orderly);
    }
}
